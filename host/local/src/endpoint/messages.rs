//! Sending and receiving.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use towpath_core::queue::{
    Attribute, AttributeValue, Attributes, GroupId, MAX_BATCH, MAX_VISIBILITY, MAX_WAIT, NewMessage, Receive, Sent,
};

use super::{ApiError, Endpoint, Request, batch, md5, names, nothing};
use crate::limits;
use crate::queue::LocalQueue;
use crate::receive::Taken;
use crate::send::Extras;

/// Who sent every message, as far as clients can see.
pub const SENDER: &str = "AIDATOWPATHLOCAL";

/// The longest delay of a message. Source: `DelaySeconds` of SQS.
const MAX_DELAY: i64 = 900;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    id: String,
    message_body: Option<String>,
    delay_seconds: Option<i64>,
    message_attributes: BTreeMap<String, AttributeText>,
    message_system_attributes: BTreeMap<String, AttributeText>,
    message_deduplication_id: Option<String>,
    message_group_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeText {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Send {
    queue_url: Option<String>,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct SendBatch {
    queue_url: Option<String>,
    entries: Vec<Entry>,
}

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
    pub(super) async fn send_message(&self, request: &Request) -> Result<Value, ApiError> {
        let Send { queue_url, entry } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        let (message, extras) = entry.message(&queue)?;
        let proof = Proof::of(&message, &extras);
        limits::check(&message, &queue.settings())?;
        Ok(proof.with(&queue.send_with(message, extras).await?))
    }

    pub(super) async fn send_message_batch(&self, request: &Request) -> Result<Value, ApiError> {
        let SendBatch { queue_url, entries } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        batch::check("SendMessageBatch", entries.iter().map(|entry| entry.id.as_str()))?;
        let (mut answers, mut size) = (Vec::new(), 0);
        let (mut messages, mut places) = (Vec::new(), Vec::new());
        for entry in entries {
            let id = entry.id.clone();
            let message = entry.message(&queue).and_then(|(message, extras)| {
                size += limits::size(&message);
                limits::check(&message, &queue.settings())?;
                Ok((message, extras))
            });
            match message {
                Ok((message, extras)) => {
                    places.push((answers.len(), Proof::of(&message, &extras)));
                    messages.push((message, extras));
                    answers.push((id, nothing()));
                }
                Err(error) => answers.push((id, Err(error))),
            }
        }
        let most = queue.settings().max_message_bytes;
        if size > most {
            return Err(ApiError::batch_too_long(size, most));
        }
        let sent = queue.send_all(messages).await?;
        for ((place, proof), sent) in places.into_iter().zip(sent) {
            if let Some((_, answer)) = answers.get_mut(place) {
                *answer = sent.map(|sent| proof.with(&sent)).map_err(ApiError::from);
            }
        }
        Ok(batch::answer(answers))
    }

    pub(super) async fn receive_message(&self, request: &Request) -> Result<Value, ApiError> {
        let ask: Ask = request.read()?;
        let queue = self.queue(ask.queue_url.as_deref()).await?;
        let settings = queue.settings();
        let receive = Receive {
            max: number(
                "MaxNumberOfMessages",
                ask.max_number_of_messages,
                1,
                MAX_BATCH as i64,
                "Must be between 1 and 10, if provided.",
            )?
            .map_or(1, |max| max as usize),
            wait: seconds("WaitTimeSeconds", ask.wait_time_seconds, MAX_WAIT, "Must be >= 0 and <= 20, if provided.")?
                .unwrap_or(settings.wait),
            visibility: visibility(ask.visibility_timeout)?,
            attempt_id: ask.receive_request_attempt_id.clone().filter(|_| settings.fifo),
        };
        let taken = queue.take(receive).await?;
        if taken.is_empty() {
            return nothing();
        }
        Ok(json!({ "Messages": taken.into_iter().map(|message| ask.describe(message)).collect::<Vec<_>>() }))
    }
}

/// A number within its bounds, if there is one.
fn number(name: &str, given: Option<i64>, least: i64, most: i64, reason: &str) -> Result<Option<u64>, ApiError> {
    match given {
        Some(number) if number < least || number > most => Err(ApiError::value(name, number, reason)),
        given => Ok(given.and_then(|number| u64::try_from(number).ok())),
    }
}

fn seconds(name: &str, given: Option<i64>, most: Duration, reason: &str) -> Result<Option<Duration>, ApiError> {
    let most = i64::try_from(most.as_secs()).unwrap_or(i64::MAX);
    Ok(number(name, given, 0, most, reason)?.map(Duration::from_secs))
}

/// A visibility timeout, if there is one.
pub(super) fn visibility(given: Option<i64>) -> Result<Option<Duration>, ApiError> {
    seconds("VisibilityTimeout", given, MAX_VISIBILITY, "Must be between 0 and 43200, if provided.")
}

impl Entry {
    fn message(self, queue: &LocalQueue) -> Result<(NewMessage, Extras), ApiError> {
        let settings = queue.settings();
        if settings.fifo && self.delay_seconds.is_some_and(|seconds| seconds != 0) {
            let seconds = self.delay_seconds.unwrap_or_default();
            let reason = "The request include parameter that is not valid for this queue type.";
            return Err(ApiError::value("DelaySeconds", seconds, reason));
        }
        if !settings.fifo && self.message_deduplication_id.is_some() {
            let id = self.message_deduplication_id.unwrap_or_default();
            let reason = "The request includes a parameter that is not valid for this queue type.";
            return Err(ApiError::value("MessageDeduplicationId", id, reason));
        }
        let reason = "DelaySeconds must be >= 0 and <= 900.";
        let delay = number("DelaySeconds", self.delay_seconds.filter(|_| !settings.fifo), 0, MAX_DELAY, reason)?;
        let attributes = self.message_attributes.into_iter().map(|(name, text)| Ok((name.clone(), text.read(&name)?)));
        let trace = self.message_system_attributes.into_iter().find(|(name, _)| name == "AWSTraceHeader");
        let message = NewMessage {
            group: GroupId(self.message_group_id.unwrap_or_default()),
            dedup_id: match self.message_deduplication_id {
                None if settings.content_based_dedup => {
                    crate::send::content_dedup_id(self.message_body.as_deref().unwrap_or_default())
                }
                id => id.unwrap_or_default(),
            },
            body: self.message_body.unwrap_or_default(),
            attributes: attributes.collect::<Result<Attributes, ApiError>>()?,
        };
        let extras =
            Extras { delay: delay.map(Duration::from_secs), trace: trace.and_then(|(_, text)| text.string_value) };
        Ok((message, extras))
    }
}

impl AttributeText {
    fn read(self, name: &str) -> Result<Attribute, ApiError> {
        let wrong = |problem: &str| Err(ApiError::invalid(format!("The message attribute '{name}' {problem}")));
        let kind = self.data_type.split('.').next().unwrap_or_default();
        let value = match (kind, self.string_value, self.binary_value) {
            ("String" | "Number", Some(text), None) => AttributeValue::Text(text),
            ("Binary", None, Some(base64)) => match BASE64.decode(base64) {
                Ok(bytes) => AttributeValue::Binary(bytes),
                Err(_) => return wrong("has a binary value that is not base64."),
            },
            ("String" | "Number" | "Binary", ..) => {
                return wrong("must contain a value of its type, and no other.");
            }
            _ => {
                return wrong(
                    "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.",
                );
            }
        };
        if kind == "Number" && !matches!(&value, AttributeValue::Text(text) if text.trim().parse::<f64>().is_ok()) {
            return wrong("must be a number.");
        }
        Ok(Attribute { data_type: self.data_type.into(), value })
    }
}

/// What a client checks an answer by.
struct Proof {
    body: String,
    attributes: Option<String>,
    system: Option<String>,
}

impl Proof {
    fn of(message: &NewMessage, extras: &Extras) -> Proof {
        let trace = extras.trace.as_ref().map(|trace| ("AWSTraceHeader".to_owned(), Attribute::text(trace)));
        Proof {
            body: md5::of_body(&message.body),
            attributes: md5::of_attributes(&message.attributes),
            system: md5::of_attributes(&trace.into_iter().collect()),
        }
    }

    fn with(self, sent: &Sent) -> Value {
        let mut answer = Map::new();
        answer.insert("MessageId".to_owned(), json!(sent.id));
        answer.insert("MD5OfMessageBody".to_owned(), json!(self.body));
        for (key, value) in [
            ("MD5OfMessageAttributes", self.attributes),
            ("MD5OfMessageSystemAttributes", self.system),
            ("SequenceNumber", sent.sequence.clone()),
        ] {
            if let Some(value) = value {
                answer.insert(key.to_owned(), json!(value));
            }
        }
        Value::Object(answer)
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
            ("MessageDeduplicationId", received.dedup_id),
            ("MessageGroupId", group_tag.map(|group| group.0)),
            ("AWSTraceHeader", trace),
            ("DeadLetterQueueSourceArn", source.map(|name| names::arn(&name))),
        ];
        let system: Map<String, Value> = system
            .into_iter()
            .filter(|(name, _)| self.asks_system(name))
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))))
            .collect();
        let mut attributes = received.attributes;
        attributes.retain(|name, _| self.asks(name));
        let mut message = json!({
            "MessageId": received.id, "ReceiptHandle": received.handle,
            "MD5OfBody": md5::of_body(&received.body), "Body": received.body,
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
        asked.into_iter().any(|asked| asked == "All" || asked == name)
    }

    /// `All`, `.*`, a name, or a prefix with `.*` behind it.
    fn asks(&self, name: &str) -> bool {
        self.message_attribute_names.iter().any(|asked| match asked.strip_suffix(".*") {
            Some(prefix) => name.starts_with(prefix),
            None => asked == "All" || asked == name,
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
