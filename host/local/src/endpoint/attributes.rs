//! Queue attributes: from the text of SQS to settings, and back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{ApiError, names};
use crate::browse::Depth;
use crate::settings::{DedupScope, QueueSettings, RedrivePolicy};

/// Attributes that mean nothing here: they are kept and told.
const KEPT: [&str; 6] = [
    "Policy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "RedriveAllowPolicy",
    "FifoThroughputLimit",
];

/// Attributes as a client sends them.
pub(super) type Texts = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Redrive {
    dead_letter_target_arn: String,
    max_receive_count: Count,
}

/// A number, or a number as text: clients send both.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(u32),
    Text(String),
}

/// The settings of a new queue: the defaults of SQS, retention included.
pub(super) fn defaults(fifo: bool) -> QueueSettings {
    QueueSettings { fifo, retention: Duration::from_secs(4 * 24 * 3600), ..QueueSettings::default() }
}

/// Changes settings as the attributes say. Source: the `SetQueueAttributes` API.
pub(super) fn apply(texts: &Texts, settings: &mut QueueSettings) -> Result<(), ApiError> {
    for (name, text) in texts {
        let wrong = || ApiError::attribute_value(name);
        let seconds = |least: u64, most: u64| -> Result<Duration, ApiError> {
            let seconds: u64 = text.parse().map_err(|_| wrong())?;
            if (least..=most).contains(&seconds) { Ok(Duration::from_secs(seconds)) } else { Err(wrong()) }
        };
        match name.as_str() {
            "VisibilityTimeout" => settings.visibility = seconds(0, 43_200)?,
            "MessageRetentionPeriod" => settings.retention = seconds(60, 1_209_600)?,
            "DelaySeconds" => settings.delay = seconds(0, 900)?,
            "ReceiveMessageWaitTimeSeconds" => settings.wait = seconds(0, 20)?,
            "MaximumMessageSize" => {
                let bytes = seconds(1024, 1_048_576)?.as_secs();
                settings.max_message_bytes = usize::try_from(bytes).map_err(|_| wrong())?;
            }
            "FifoQueue" if settings.fifo && text == "true" => {}
            "ContentBasedDeduplication" if settings.fifo => {
                settings.content_based_dedup = text.parse().map_err(|_| wrong())?;
            }
            "DeduplicationScope" if settings.fifo => {
                settings.dedup_scope = match text.as_str() {
                    "queue" => DedupScope::Queue,
                    "messageGroup" => DedupScope::MessageGroup,
                    _ => return Err(wrong()),
                };
            }
            "RedrivePolicy" if text.is_empty() => settings.redrive = None,
            "RedrivePolicy" => settings.redrive = Some(redrive(text, settings.fifo)?),
            kept if KEPT.contains(&kept) => {
                settings.other.insert(name.clone(), text.clone());
            }
            _ => return Err(ApiError::attribute_name(name)),
        }
    }
    Ok(())
}

fn redrive(text: &str, fifo: bool) -> Result<RedrivePolicy, ApiError> {
    let wrong = |reason: &str| ApiError::value("RedrivePolicy", text, reason);
    let Ok(policy) = serde_json::from_str::<Redrive>(text) else {
        return Err(wrong("Redrive policy is not a valid JSON map with deadLetterTargetArn and maxReceiveCount."));
    };
    let count = match policy.max_receive_count {
        Count::Number(count) => Some(count),
        Count::Text(text) => text.parse().ok(),
    };
    let max_receive_count = count.filter(|count| (1..=1000).contains(count));
    let max_receive_count =
        max_receive_count.ok_or_else(|| wrong("Invalid value for maxReceiveCount, valid values are 1 to 1000."))?;
    let name = names::of_arn(&policy.dead_letter_target_arn)
        .ok_or_else(|| wrong("Dead letter target is not a valid queue ARN."))?;
    if name.ends_with(".fifo") != fifo {
        return Err(wrong("Dead-letter queue must be same type of queue as the source."));
    }
    Ok(RedrivePolicy { dead_letter_queue: name.to_owned(), max_receive_count })
}

/// The first attribute that these texts would change.
pub(super) fn difference(texts: &Texts, settings: &QueueSettings) -> Result<Option<String>, ApiError> {
    for (name, text) in texts {
        let mut changed = settings.clone();
        apply(&BTreeMap::from([(name.clone(), text.clone())]), &mut changed)?;
        if changed != *settings {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

/// Everything that `GetQueueAttributes` tells.
pub(super) fn all(name: &str, settings: &QueueSettings, depth: Depth) -> Texts {
    let visible = depth.messages - depth.invisible - depth.delayed;
    let mut texts = settings.other.clone();
    let mut add = |name: &str, text: String| texts.insert(name.to_owned(), text);
    add("QueueArn", names::arn(name));
    add("ApproximateNumberOfMessages", visible.to_string());
    add("ApproximateNumberOfMessagesNotVisible", depth.invisible.to_string());
    add("ApproximateNumberOfMessagesDelayed", depth.delayed.to_string());
    add("CreatedTimestamp", (settings.created_at.0 / 1000).to_string());
    add("LastModifiedTimestamp", (settings.modified_at.0 / 1000).to_string());
    add("VisibilityTimeout", settings.visibility.as_secs().to_string());
    add("MessageRetentionPeriod", settings.retention.as_secs().to_string());
    add("DelaySeconds", settings.delay.as_secs().to_string());
    add("ReceiveMessageWaitTimeSeconds", settings.wait.as_secs().to_string());
    add("MaximumMessageSize", settings.max_message_bytes.to_string());
    if settings.fifo {
        add("FifoQueue", "true".to_owned());
        add("ContentBasedDeduplication", settings.content_based_dedup.to_string());
        let scope = match settings.dedup_scope {
            DedupScope::Queue => "queue",
            DedupScope::MessageGroup => "messageGroup",
        };
        add("DeduplicationScope", scope.to_owned());
    }
    if let Some(redrive) = &settings.redrive {
        let (target, count) = (names::arn(&redrive.dead_letter_queue), redrive.max_receive_count);
        add(
            "RedrivePolicy",
            serde_json::json!({ "deadLetterTargetArn": target, "maxReceiveCount": count }).to_string(),
        );
    }
    texts
}

/// The attributes that were asked for, by name or with `All`.
pub(super) fn asked(mut texts: Texts, asked: &[String]) -> Result<Texts, ApiError> {
    const KNOWN: [&str; 5] = ["RedrivePolicy", "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "All"];
    for name in asked {
        if !texts.contains_key(name) && !KNOWN.contains(&name.as_str()) && !KEPT.contains(&name.as_str()) {
            return Err(ApiError::attribute_name(name));
        }
    }
    if !asked.iter().any(|name| name == "All") {
        texts.retain(|name, _| asked.contains(name));
    }
    Ok(texts)
}
