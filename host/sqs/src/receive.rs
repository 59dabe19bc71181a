//! `ReceiveMessage`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use towpath_local::Taken;
use towpath_types::queue::{Attribute, AttributeValue, MAX_BATCH, MAX_WAIT, Receive};

use crate::attributes::is_all;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::messages::TRACE;
use crate::numbers::{number, seconds, visibility};
use crate::request::{Request, nothing};
use crate::{md5, names};

/// The `SenderId` of every message.
pub const SENDER: &str = "AIDATOWPATHLOCAL";

const WAITS: &str = "Must be >= 0 and <= 20, if provided.";

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Ask {
    queue_url: Option<String>,
    attribute_names: Vec<String>,
    message_system_attribute_names: Vec<String>,
    message_attribute_names: Vec<String>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    receive_request_attempt_id: Option<String>,
}

impl Endpoint {
    pub(crate) async fn receive_message(&self, request: &Request) -> Result<Value, ApiError> {
        let ask: Ask = request.read()?;
        let queue = self.queue(ask.queue_url.as_deref()).await?;
        let receive = Receive {
            max: number(
                "MaxNumberOfMessages",
                ask.max_number_of_messages,
                1,
                MAX_BATCH as i64,
                "Must be between 1 and 10, if provided.",
            )?
            .map_or(1, |max| max as usize),
            wait: match seconds("WaitTimeSeconds", ask.wait_time_seconds, MAX_WAIT, WAITS)? {
                Some(wait) => wait,
                None => queue.current_settings().await?.wait,
            },
            visibility: visibility(ask.visibility_timeout)?,
            attempt_id: ask.receive_request_attempt_id.clone(),
        };
        let taken = queue.take(receive).await?;
        if taken.is_empty() {
            return nothing();
        }
        Ok(json!({ "Messages": taken.into_iter().map(|message| ask.describe(message)).collect::<Vec<_>>() }))
    }
}

impl Ask {
    fn describe(&self, taken: Taken) -> Value {
        let Taken { received, first_received_at, group_tag, source, trace } = taken;
        let system = [
            ("SenderId", Some(SENDER.to_owned())),
            ("SentTimestamp", Some(received.sent_at.0.to_string())),
            ("ApproximateReceiveCount", Some(received.receive_count.to_string())),
            ("ApproximateFirstReceiveTimestamp", Some(first_received_at.0.to_string())),
            ("SequenceNumber", received.sequence),
            ("MessageDeduplicationId", received.dedup_id.map(String::from)),
            ("MessageGroupId", group_tag.map(String::from)),
            (TRACE, trace),
            ("DeadLetterQueueSourceArn", source.map(|name| names::arn(&name))),
        ];
        let system: Map<String, Value> = system
            .into_iter()
            .filter(|(name, _)| self.asks_system(name))
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))))
            .collect();
        let mut attributes = received.attributes;
        attributes.retain(|name, _| self.asks(name));
        let body = received.body.into_text();
        let mut message = json!({
            "MessageId": received.id, "ReceiptHandle": received.handle,
            "MD5OfBody": md5::of_body(&body), "Body": body,
        });
        if let Value::Object(message) = &mut message {
            if !system.is_empty() {
                message.insert("Attributes".to_owned(), Value::Object(system));
            }
            if let Some(md5) = md5::of_attributes(&attributes) {
                message.insert("MD5OfMessageAttributes".to_owned(), json!(md5));
                message.insert("MessageAttributes".to_owned(), attributes.into_iter().map(describe).collect());
            }
        }
        message
    }

    fn asks_system(&self, name: &str) -> bool {
        let asked = self.attribute_names.iter().chain(&self.message_system_attribute_names);
        asked.into_iter().any(|asked| is_all(asked) || asked == name)
    }

    /// Whether the client asked for this attribute: by `All`, `*`, `.*`, its name, or a prefix followed by `.*`.
    fn asks(&self, name: &str) -> bool {
        self.message_attribute_names.iter().any(|asked| match asked.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => is_all(asked) || asked == name,
        })
    }
}

fn describe((name, attribute): (String, Attribute)) -> (String, Value) {
    let value = match attribute.value {
        AttributeValue::Text(text) => json!({ "DataType": attribute.data_type, "StringValue": text }),
        AttributeValue::Binary(bytes) => {
            json!({ "DataType": attribute.data_type, "BinaryValue": BASE64.encode(bytes) })
        }
    };
    (name, value)
}
