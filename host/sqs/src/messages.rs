//! `SendMessage` and `SendMessageBatch`.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use towpath_local::limits::{self, Wrong};
use towpath_local::{Extras, QueueSettings, content_dedup_id};
use towpath_types::queue::{Arrival, Attribute, AttributeValue, Attributes, DedupId, GroupId, NewMessage, Sent};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::numbers::{is_number, number};
use crate::request::Request;
use crate::{batch, md5};

/// The most bytes of a batch, independent of the queue's limit. Source: quotas of SQS.
const MAX_BATCH_BYTES: usize = 1_048_576;

/// The one system attribute that a sender may set.
pub(crate) const TRACE: &str = "AWSTraceHeader";

/// The longest delay of a message, in seconds. Source: `DelaySeconds` in the `SendMessage` API.
const MAX_DELAY: i64 = 900;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct SendEntry {
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
    #[serde(default)]
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Send {
    queue_url: Option<String>,
    #[serde(flatten)]
    entry: SendEntry,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct SendBatch {
    queue_url: Option<String>,
    entries: Vec<SendEntry>,
}

impl Endpoint {
    pub(crate) async fn send_message(&self, request: &Request) -> Result<Value, ApiError> {
        let Send { queue_url, entry } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        // From the store, not from this process's cache: another process may have changed them.
        let settings = queue.current_settings().await?;
        let Prepared { message, extras, proof } = entry.prepare(&settings, request.trace.as_deref())?;
        limits::check(&message, &settings)?;
        Ok(proof.with(&queue.send_with(message, extras).await?))
    }

    pub(crate) async fn send_message_batch(&self, request: &Request) -> Result<Value, ApiError> {
        let SendBatch { queue_url, entries } = request.read()?;
        let queue = self.queue(queue_url.as_deref()).await?;
        batch::check("SendMessageBatch", entries.iter().map(|entry| entry.id.as_str()))?;
        let size = entries.iter().map(SendEntry::size).sum();
        if size > MAX_BATCH_BYTES {
            return Err(ApiError::batch_too_long(size, MAX_BATCH_BYTES));
        }
        // Read the settings from the store: if cached ones wrongly rejected an entry, the client would resend it out of order.
        let settings = queue.current_settings().await?;
        if settings.fifo {
            entries.iter().try_for_each(|entry| entry.has_ids(&settings))?;
        }
        let prepare = |entry: &SendEntry| {
            let prepared = entry.prepare(&settings, request.trace.as_deref())?;
            limits::check(&prepared.message, &settings).map_err(ApiError::of_entry)?;
            Ok(prepared)
        };
        let mut messages = Vec::new();
        let mut proofs = Vec::new();
        for entry in &entries {
            proofs.push(prepare(entry).map(|Prepared { message, extras, proof }| {
                messages.push((message, extras));
                proof
            }));
        }
        let mut sent = queue.send_all(messages).await?.into_iter();
        let mut one = |proof: Result<Digests, ApiError>| match (proof?, sent.next()) {
            (proof, Some(sent)) => Ok(proof.with(&sent?)),
            (_, None) => Err(ApiError::missing("MessageBody")),
        };
        let answers = proofs.into_iter().map(&mut one).collect::<Vec<_>>();
        Ok(batch::answer(entries.into_iter().map(|entry| entry.id).zip(answers).collect()))
    }
}

/// A valid message, and the checksums for its response.
struct Prepared {
    message: NewMessage,
    extras: Extras,
    proof: Digests,
}

impl SendEntry {
    /// Fails for an entry of a FIFO batch without a group or deduplication id. The whole batch is then rejected: if the
    /// others were stored, the entry would be out of order when it is sent again.
    fn has_ids(&self, settings: &QueueSettings) -> Result<(), ApiError> {
        match self.message_deduplication_id.as_deref() {
            None | Some("") if !settings.content_based_dedup => {
                return Err(ApiError::invalid(Wrong::NoDedupId.to_string()));
            }
            // An empty id is invalid, and is not replaced by a content-based one.
            Some("") => return Err(Wrong::DedupId(String::new()).into()),
            _ => {}
        }
        if self.message_group_id.as_ref().is_none_or(String::is_empty) {
            return Err(ApiError::invalid(Wrong::NoGroup.to_string()));
        }
        Ok(())
    }

    /// The bytes that count against [`MAX_BATCH_BYTES`].
    fn size(&self) -> usize {
        let attribute = |(name, text): (&String, &AttributeText)| name.len() + text.data_type.len() + text.size();
        let body = self.message_body.as_ref().map_or(0, String::len);
        body + self.message_attributes.iter().map(attribute).sum::<usize>()
    }

    fn prepare(&self, settings: &QueueSettings, trace: Option<&str>) -> Result<Prepared, ApiError> {
        if let Some(seconds) = self.delay_seconds.filter(|seconds| settings.fifo && *seconds != 0) {
            let reason = "The request include parameter that is not valid for this queue type.";
            return Err(ApiError::value("DelaySeconds", seconds, reason));
        }
        if let Some(id) = self.message_deduplication_id.as_ref().filter(|_| !settings.fifo) {
            let reason = "The request includes a parameter that is not valid for this queue type.";
            return Err(ApiError::value("MessageDeduplicationId", id, reason));
        }
        // An empty id is not a missing one.
        if self.message_group_id.as_ref().is_some_and(String::is_empty) {
            return Err(Wrong::Group(String::new()).into());
        }
        if self.message_deduplication_id.as_ref().is_some_and(String::is_empty) {
            return Err(Wrong::DedupId(String::new()).into());
        }
        let reason = "DelaySeconds must be >= 0 and <= 900.";
        let delay = number("DelaySeconds", self.delay_seconds.filter(|_| !settings.fifo), 0, MAX_DELAY, reason)?;
        let attributes = self.message_attributes.iter().map(|(name, text)| Ok((name.clone(), text.read(name)?)));
        let body = self.message_body.clone().unwrap_or_default();
        let message = NewMessage {
            group: GroupId::from(self.message_group_id.clone().unwrap_or_default()),
            dedup_id: match &self.message_deduplication_id {
                None if settings.content_based_dedup => Some(content_dedup_id(&body)),
                id => id.as_deref().map(DedupId::from),
            },
            body: body.into(),
            attributes: attributes.collect::<Result<Attributes, ApiError>>()?,
        };
        let system = system_attributes(&self.message_system_attributes)?;
        let proof = Digests::of(&message, &system);
        let said = system.get(TRACE).and_then(Attribute::as_text);
        let trace = said.or(trace.filter(|trace| limits::is_xml(trace))).map(str::to_owned);
        Ok(Prepared {
            message,
            extras: Extras { delay: delay.map(Duration::from_secs), trace, arrival: Arrival::default() },
            proof,
        })
    }
}

/// Reads the system attributes of a message. SQS defines only `AWSTraceHeader`.
fn system_attributes(texts: &BTreeMap<String, AttributeText>) -> Result<Attributes, ApiError> {
    let mut attributes = Attributes::new();
    for (name, text) in texts {
        if name != TRACE {
            return Err(ApiError::invalid(format!("Message system attribute name '{name}' is invalid.")));
        }
        let attribute = text.read(name)?;
        let is_trace = |text: &str| !text.is_empty() && limits::is_xml(text);
        if attribute.data_type != "String" || !attribute.as_text().is_some_and(is_trace) {
            let message = format!("Message system attribute '{name}' must contain a non-empty value of type 'String'.");
            return Err(ApiError::invalid(message));
        }
        attributes.insert(name.clone(), attribute);
    }
    Ok(attributes)
}

impl AttributeText {
    fn size(&self) -> usize {
        let binary = self.binary_value.as_ref().map(|text| BASE64.decode(text).map_or(text.len(), |bytes| bytes.len()));
        self.string_value.as_ref().map_or(0, String::len) + binary.unwrap_or_default()
    }

    fn read(&self, name: &str) -> Result<Attribute, ApiError> {
        let wrong = |problem: String| Err(ApiError::invalid(problem));
        let kind = self.data_type.split('.').next().unwrap_or_default();
        if self.string_value.is_none() && self.binary_value.is_none() {
            return wrong(format!(
                "The message (user) attribute '{name}' must contain a non-empty message attribute value."
            ));
        }
        let value = match (kind, &self.string_value, &self.binary_value) {
            ("String" | "Number", Some(text), None) => AttributeValue::Text(text.clone()),
            ("Binary", None, Some(base64)) => match BASE64.decode(base64) {
                Ok(bytes) => AttributeValue::Binary(bytes),
                Err(_) => return wrong(format!("The message (user) attribute '{name}' is not base64.")),
            },
            ("String" | "Number" | "Binary", ..) => {
                return wrong(format!(
                    "The message (user) attribute '{name}' must contain a value of type '{kind}', and no other."
                ));
            }
            _ => {
                return wrong(format!(
                    "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type prefixes: Binary, Number, String."
                ));
            }
        };
        let number = |value: &AttributeValue| match value {
            AttributeValue::Text(text) => text.is_empty() || is_number(text),
            AttributeValue::Binary(_) => false,
        };
        if kind == "Number" && !number(&value) {
            return wrong(format!("Can't cast the value of message (user) attribute '{name}' to a number."));
        }
        Ok(Attribute { data_type: self.data_type.clone().into(), value })
    }
}

/// The checksums in a response, which clients verify.
struct Digests {
    body: String,
    attributes: Option<String>,
    system: Option<String>,
}

impl Digests {
    fn of(message: &NewMessage, system: &Attributes) -> Digests {
        Digests {
            body: md5::of_body(&message.body.text()),
            attributes: md5::of_attributes(&message.attributes),
            system: md5::of_attributes(system),
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
