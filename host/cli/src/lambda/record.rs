//! A message as a record of Lambda's SQS event.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use towpath_local::Taken;
use towpath_types::queue::{Attribute, AttributeValue, DedupId, GroupId};

/// The record; all its attributes are text.
pub(super) fn record(taken: &Taken, arn: &str) -> Value {
    let message = &taken.received;
    let attributes = [
        ("ApproximateReceiveCount", Some(message.receive_count.to_string())),
        ("SentTimestamp", Some(message.sent_at.0.to_string())),
        ("SequenceNumber", message.sequence.clone()),
        ("MessageGroupId", taken.group_tag.as_ref().map(GroupId::to_string)),
        ("SenderId", Some(towpath_sqs::SENDER.to_owned())),
        ("MessageDeduplicationId", message.dedup_id.as_ref().map(DedupId::to_string)),
        ("ApproximateFirstReceiveTimestamp", Some(taken.first_received_at.0.to_string())),
        ("AWSTraceHeader", taken.trace.clone()),
    ];
    let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
    let message_attributes = message.attributes.iter().map(|(name, value)| (name.clone(), attribute(value)));
    let body = message.body.text();
    let mut record = json!({
        "messageId": message.id,
        "receiptHandle": message.handle,
        "body": body,
        "attributes": attributes.collect::<Map<_, _>>(),
        "messageAttributes": message_attributes.collect::<Map<_, _>>(),
        "md5OfBody": towpath_sqs::md5_of_body(&body),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": towpath_sqs::REGION,
    });
    if let (Some(md5), Value::Object(record)) = (towpath_sqs::md5_of_attributes(&message.attributes), &mut record) {
        record.insert("md5OfMessageAttributes".to_owned(), json!(md5));
    }
    record
}

fn attribute(attribute: &Attribute) -> Value {
    let (key, value) = match &attribute.value {
        AttributeValue::Text(text) => ("stringValue", text.clone()),
        AttributeValue::Binary(bytes) => ("binaryValue", BASE64.encode(bytes)),
    };
    json!({ key: value, "stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type })
}

#[cfg(test)]
mod tests {
    use towpath_types::clock::Timestamp;
    use towpath_types::queue::{Attributes, GroupId, Received};

    use super::*;

    #[test]
    fn a_record_has_the_digest_of_its_attributes_if_it_has_attributes() {
        let recorded = |attributes: Attributes| {
            let received = Received {
                id: "m-1".into(),
                group: GroupId::from("g"),
                dedup_id: None,
                sequence: None,
                receive_count: 1,
                sent_at: Timestamp(1),
                body: "x".into(),
                attributes,
                trace: None,
                handle: "h".into(),
            };
            let taken = Taken { received, first_received_at: Timestamp(1), group_tag: None, source: None, trace: None };
            record(&taken, "arn:aws:sqs:us-east-1:000000000000:q.fifo")
        };
        let two = [("Hello", "There"), ("General", "Kenobi")];
        let two = two.map(|(name, text)| (name.to_owned(), Attribute::text(text)));
        // Recorded at AWS: LocalStack's test_receive_message_message_attribute_names_filters.
        assert_eq!(recorded(two.into())["md5OfMessageAttributes"], "fca026605781cb4126a1e9044df24232");
        assert_eq!(recorded(Attributes::new()).get("md5OfMessageAttributes"), None);
    }
}
