//! A message as a record of Lambda's SQS event.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use towpath_core::queue::{Attribute, AttributeValue};
use towpath_local::{Taken, endpoint};

/// The record; all its attributes are text.
pub(super) fn record(taken: &Taken, arn: &str) -> Value {
    let message = &taken.received;
    let attributes = [
        ("ApproximateReceiveCount", Some(message.receive_count.to_string())),
        ("SentTimestamp", Some(message.sent_at.0.to_string())),
        ("SequenceNumber", message.sequence.clone()),
        ("MessageGroupId", taken.group_tag.as_ref().map(|group| group.0.clone())),
        ("SenderId", Some(endpoint::SENDER.to_owned())),
        ("MessageDeduplicationId", message.dedup_id.clone()),
        ("ApproximateFirstReceiveTimestamp", Some(taken.first_received_at.0.to_string())),
        ("AWSTraceHeader", taken.trace.clone()),
    ];
    let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
    let message_attributes = message.attributes.iter().map(|(name, value)| (name.clone(), attribute(value)));
    json!({
        "messageId": message.id,
        "receiptHandle": message.handle,
        "body": message.body,
        "attributes": attributes.collect::<Map<_, _>>(),
        "messageAttributes": message_attributes.collect::<Map<_, _>>(),
        "md5OfBody": endpoint::md5_of_body(&message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": endpoint::REGION,
    })
}

fn attribute(attribute: &Attribute) -> Value {
    let (key, value) = match &attribute.value {
        AttributeValue::Text(text) => ("stringValue", text.clone()),
        AttributeValue::Binary(bytes) => ("binaryValue", BASE64.encode(bytes)),
    };
    json!({ key: value, "stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type })
}
