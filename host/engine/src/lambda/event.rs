//! Lambda's SQS event, read record by record: one malformed record must not fail its batch.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use towpath_types::clock::Timestamp;
use towpath_types::queue::{
    Attribute, AttributeValue, Attributes, DedupId, GroupId, Handle, MessageId, Received, sent_at,
};

/// A record, readable or not.
#[derive(Debug)]
pub struct Record {
    /// The message id. The response names a failed record by it.
    pub id: MessageId,
    pub group: GroupId,
    /// The message, or why the record cannot be read.
    pub message: Result<Received, String>,
}

/// Why a whole event fails.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not an SQS event.
    #[error("the event has no list of Records: is the function's trigger an SQS queue?")]
    NoRecords,
    /// The response names failed records by id, and an id is never invented.
    #[error("record {0} has no messageId: the whole batch returns to the queue")]
    NoMessageId(usize),
}

/// Reads an event. An unreadable record fails only itself.
pub fn records(event: &Value, now: Timestamp) -> Result<Vec<Record>, EventError> {
    let records = event.get("Records").and_then(Value::as_array).ok_or(EventError::NoRecords)?;
    let read = |(index, record): (usize, &Value)| {
        let id = record.get("messageId").and_then(Value::as_str).filter(|id| !id.is_empty());
        let id = MessageId::from(id.ok_or(EventError::NoMessageId(index))?);
        // A message without a group is a group of its own.
        let group = record.pointer("/attributes/MessageGroupId").and_then(Value::as_str).unwrap_or(id.as_str());
        let group = GroupId::from(group);
        let message = message(record, &id, &group, now);
        Ok(Record { id, group, message })
    };
    records.iter().enumerate().map(read).collect()
}

fn message(record: &Value, id: &MessageId, group: &GroupId, now: Timestamp) -> Result<Received, String> {
    let text = |key: &str| {
        let value = record.get(key).and_then(Value::as_str);
        value.map(str::to_owned).ok_or_else(|| format!("{key} is missing or not text"))
    };
    let attribute = |key: &str| record.pointer("/attributes").and_then(|attributes| attributes.get(key)?.as_str());
    // Attributes are text. A missing or malformed count is 1.
    let receive_count = attribute("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    let sent_at = sent_at(attribute("SentTimestamp"), attribute("ApproximateFirstReceiveTimestamp"), now);
    Ok(Received {
        id: id.clone(),
        group: group.clone(),
        dedup_id: attribute("MessageDeduplicationId").map(DedupId::from),
        sequence: attribute("SequenceNumber").map(str::to_owned),
        receive_count: receive_count.max(1),
        sent_at,
        body: text("body")?.into(),
        attributes: attributes(record)?,
        trace: attribute("AWSTraceHeader").map(str::to_owned),
        handle: Handle::from(text("receiptHandle")?),
    })
}

fn attributes(record: &Value) -> Result<Attributes, String> {
    let Some(attributes) = record.get("messageAttributes").and_then(Value::as_object) else {
        return Ok(Attributes::new());
    };
    let read = |(name, value): (&String, &Value)| {
        let data_type = value.get("dataType").and_then(Value::as_str).unwrap_or("String").to_owned();
        let text = value.get("stringValue").and_then(Value::as_str);
        let binary = value.get("binaryValue").and_then(Value::as_str);
        let value = match (text, binary) {
            (Some(text), _) => AttributeValue::Text(text.to_owned()),
            (None, Some(base64)) => match BASE64.decode(base64) {
                Ok(bytes) => AttributeValue::Binary(bytes),
                Err(_) => return Err(format!("the message attribute {name:?} is not base64")),
            },
            (None, None) => return Err(format!("the message attribute {name:?} has no value")),
        };
        Ok((name.clone(), Attribute { data_type: data_type.into(), value }))
    };
    attributes.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record() -> Value {
        json!({
            "messageId": "m-1", "receiptHandle": "h-1", "body": "{}",
            "attributes": {
                "ApproximateReceiveCount": "7", "SentTimestamp": "1700000000000", "SequenceNumber": "18",
                "MessageGroupId": "g", "MessageDeduplicationId": "d", "SomethingNew": "x"
            },
            "messageAttributes": {
                "x-event": {"stringValue": "push", "dataType": "String"},
                "x-raw": {"binaryValue": "/w==", "dataType": "Binary"}
            },
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:q.fifo"
        })
    }

    fn read(record: Value) -> Result<Received, String> {
        let mut records = records(&json!({ "Records": [record] }), Timestamp(9)).expect("records");
        records.remove(0).message
    }

    #[test]
    fn every_field_of_a_record_is_read() {
        let message = read(record()).expect("readable");
        assert_eq!((message.group.as_str(), message.receive_count), ("g", 7));
        assert_eq!((message.sent_at, message.sequence.as_deref()), (Timestamp(1_700_000_000_000), Some("18")));
        assert_eq!(message.attributes["x-event"], Attribute::text("push"));
        assert_eq!(message.attributes["x-raw"].value, AttributeValue::Binary(vec![0xff]));
    }

    #[test]
    fn missing_or_malformed_attributes_have_defaults() {
        let mut odd = record();
        odd["attributes"] = json!({"ApproximateReceiveCount": "many", "SentTimestamp": 5});
        odd["messageAttributes"] = Value::Null;
        let message = read(odd).expect("readable");
        assert_eq!((message.receive_count, message.sent_at), (1, Timestamp(9)));
        assert_eq!(message.group.as_str(), "m-1", "a message without a group is a group of its own");
    }

    #[test]
    fn a_missing_or_implausible_sent_time_is_replaced() {
        let sent = "1700000000000";
        let first = "1700000005000";
        let now = Timestamp(1_700_000_009_000);
        let cases = [
            ("well-formed", Some(sent), Some(first), Timestamp(1_700_000_000_000)),
            ("no sent time", None, Some(first), Timestamp(1_700_000_005_000)),
            ("zero", Some("0"), Some(first), Timestamp(1_700_000_005_000)),
            ("seconds", Some("1700000000"), Some(first), Timestamp(1_700_000_005_000)),
            ("words", Some("yesterday"), Some("-1"), now),
            ("nothing", None, None, now),
            ("empty", Some(""), Some(""), now),
        ];
        for (name, sent, first, expected) in cases {
            assert_eq!(sent_at(sent, first, now), expected, "{name}");
        }
        let mut odd = record();
        odd["attributes"] = json!({"ApproximateFirstReceiveTimestamp": first});
        assert_eq!(read(odd).expect("readable").sent_at, Timestamp(1_700_000_005_000));
    }

    #[test]
    fn an_unreadable_record_fails_only_itself() {
        for (key, value) in [("body", Value::Null), ("body", json!(5)), ("receiptHandle", Value::Null)] {
            let mut odd = record();
            odd[key] = value;
            let event = json!({ "Records": [odd, record()] });
            let records = records(&event, Timestamp(0)).expect("records");
            assert!(records[0].message.as_ref().expect_err(key).contains(key));
            assert!(records[1].message.is_ok(), "{key}");
        }
    }

    #[test]
    fn a_record_without_an_id_fails_the_event() {
        for id in [Value::Null, json!(""), json!(5)] {
            let mut odd = record();
            odd["messageId"] = id;
            let event = json!({ "Records": [record(), odd] });
            assert_eq!(records(&event, Timestamp(0)).expect_err("no id"), EventError::NoMessageId(1));
        }
        assert_eq!(records(&json!({}), Timestamp(0)).expect_err("no records"), EventError::NoRecords);
    }
}
