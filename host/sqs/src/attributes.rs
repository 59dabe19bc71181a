//! Queue attributes: converts SQS's text values to settings and back.

use std::time::Duration;

use crate::error::ApiError;
use crate::names;
use crate::redrive::{self, REDRIVE};
use crate::request::Texts;
use towpath_local::{DedupScope, Depth, QueueSettings, REDRIVE_ALLOW, RedriveAllow};

const FIFO: &str = "FifoQueue";
const POLICY: &str = "Policy";
const KMS_KEY: &str = "KmsMasterKeyId";
const KMS_REUSE: &str = "KmsDataKeyReusePeriodSeconds";
const SSE: &str = "SqsManagedSseEnabled";
const THROUGHPUT: &str = "FifoThroughputLimit";
const SCOPE: &str = "DeduplicationScope";
const BY_CONTENT: &str = "ContentBasedDeduplication";

/// Attributes that a queue may lack: asking for one of them is not an error.
const OPTIONAL: [&str; 9] = [FIFO, POLICY, KMS_KEY, KMS_REUSE, THROUGHPUT, SCOPE, BY_CONTENT, REDRIVE, REDRIVE_ALLOW];

/// The settings of a new queue: the defaults of SQS, including its retention of four days.
pub(crate) fn defaults(fifo: bool) -> QueueSettings {
    QueueSettings { fifo, retention: Duration::from_secs(4 * 24 * 3600), ..QueueSettings::default() }
}

/// Whether a queue with these attributes is FIFO. As in SQS, `FifoQueue` can be true or absent, but not false.
pub(crate) fn wants_fifo(texts: &Texts) -> Result<bool, ApiError> {
    match texts.get(FIFO) {
        None => Ok(false),
        Some(text) if boolean(FIFO, text)? => Ok(true),
        Some(_) => Err(ApiError::attribute_name(FIFO)),
    }
}

/// Applies attributes to settings. Source: the `SetQueueAttributes` API.
pub(crate) fn apply(texts: &Texts, settings: &mut QueueSettings) -> Result<(), ApiError> {
    let own_key = texts.get(KMS_KEY).is_some_and(|key| !key.is_empty());
    if own_key && texts.get(SSE).is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err(ApiError::two_encryptions());
    }
    texts.iter().try_for_each(|(name, text)| apply_one(name, text, settings))?;
    let per_group = settings.other.get(THROUGHPUT).is_some_and(|limit| limit == "perMessageGroupId");
    if per_group && settings.dedup_scope == DedupScope::Queue {
        let reason =
            "The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup.";
        return Err(ApiError::attribute_reason(THROUGHPUT, reason));
    }
    Ok(())
}

fn apply_one(name: &str, text: &str, settings: &mut QueueSettings) -> Result<(), ApiError> {
    let wrong = || ApiError::attribute_value(name);
    let number = |least: u64, most: u64| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits).filter(|number| (least..=most).contains(number));
        number.ok_or_else(wrong)
    };
    let seconds = |least: u64, most: u64| number(least, most).map(Duration::from_secs);
    match name {
        "VisibilityTimeout" => settings.visibility = seconds(0, 43_200)?,
        "MessageRetentionPeriod" => settings.retention = seconds(60, 1_209_600)?,
        "DelaySeconds" => settings.delay = seconds(0, 900)?,
        "ReceiveMessageWaitTimeSeconds" => settings.wait = seconds(0, 20)?,
        "MaximumMessageSize" => {
            settings.max_message_bytes = usize::try_from(number(1024, 1_048_576)?).map_err(|_| wrong())?;
        }
        FIFO | BY_CONTENT if !settings.fifo => return Err(ApiError::attribute_name(name)),
        SCOPE | THROUGHPUT if !settings.fifo => return Err(ApiError::only_fifo(name)),
        FIFO if !boolean(name, text)? => {
            return Err(ApiError::attribute_reason(name, "Modifying queue type is not supported."));
        }
        FIFO => {}
        BY_CONTENT => settings.content_based_dedup = boolean(name, text)?,
        SCOPE => {
            settings.dedup_scope = match text {
                "queue" => DedupScope::Queue,
                "messageGroup" => DedupScope::MessageGroup,
                _ => return Err(wrong()),
            };
        }
        THROUGHPUT if !["perQueue", "perMessageGroupId"].contains(&text) => return Err(wrong()),
        REDRIVE if text.is_empty() => settings.redrive = None,
        REDRIVE => settings.redrive = Some(redrive::policy(text, settings.fifo)?),
        POLICY | REDRIVE_ALLOW | KMS_KEY if text.is_empty() => {
            settings.other.remove(name);
        }
        POLICY if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_err() => {
            return Err(wrong());
        }
        KMS_REUSE => {
            let seconds = number(60, 86_400)?.to_string();
            settings.other.insert(name.to_owned(), seconds);
        }
        SSE => {
            let enabled = boolean(name, text)?;
            settings.other.insert(name.to_owned(), enabled.to_string());
            if enabled {
                settings.other.remove(KMS_KEY);
            }
        }
        POLICY | KMS_KEY | REDRIVE_ALLOW | THROUGHPUT => {
            match name {
                REDRIVE_ALLOW => redrive::check_allow(text)?,
                // A KMS key disables the encryption that SQS manages.
                KMS_KEY => drop(settings.other.insert(SSE.to_owned(), false.to_string())),
                _ => {}
            }
            settings.other.insert(name.to_owned(), text.to_owned());
        }
        _ => return Err(ApiError::attribute_name(name)),
    }
    Ok(())
}

fn boolean(name: &str, text: &str) -> Result<bool, ApiError> {
    text.to_ascii_lowercase().parse().map_err(|_| ApiError::attribute_value(name))
}

/// The first attribute that these values would change.
pub(crate) fn difference(texts: &Texts, settings: &QueueSettings) -> Result<Option<String>, ApiError> {
    for (name, text) in texts {
        let mut changed = settings.clone();
        apply_one(name, text, &mut changed)?;
        if !are_same(&set(&changed), &set(settings)) {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

/// Whether two queues have the same attributes. Policies are compared as JSON, not as text.
fn are_same(left: &Texts, right: &Texts) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let is_same = |name: &str, one: &str, other: &str| match name {
        POLICY => json(one) == json(other),
        REDRIVE_ALLOW => RedriveAllow::read(one) == RedriveAllow::read(other),
        _ => one == other,
    };
    left.len() == right.len()
        && left.iter().all(|(name, one)| right.get(name).is_some_and(|other| is_same(name, one, other)))
}

/// The attributes that were set, and those with defaults.
fn set(settings: &QueueSettings) -> Texts {
    let mut texts = settings.other.clone();
    let mut add = |name: &str, text: String| texts.insert(name.to_owned(), text);
    add("VisibilityTimeout", settings.visibility.as_secs().to_string());
    add("MessageRetentionPeriod", settings.retention.as_secs().to_string());
    add("DelaySeconds", settings.delay.as_secs().to_string());
    add("ReceiveMessageWaitTimeSeconds", settings.wait.as_secs().to_string());
    add("MaximumMessageSize", settings.max_message_bytes.to_string());
    if settings.fifo {
        add(FIFO, true.to_string());
        add(BY_CONTENT, settings.content_based_dedup.to_string());
        let scope = match settings.dedup_scope {
            DedupScope::Queue => "queue",
            DedupScope::MessageGroup => "messageGroup",
        };
        add(SCOPE, scope.to_owned());
    }
    if let Some(redrive) = &settings.redrive {
        let target = names::arn(&redrive.dead_letter_queue);
        let count = redrive.max_receive_count;
        let policy = serde_json::json!({ "deadLetterTargetArn": target, "maxReceiveCount": count });
        add(REDRIVE, policy.to_string());
    }
    let mut default = |name: &str, text: &str| {
        texts.entry(name.to_owned()).or_insert_with(|| text.to_owned());
    };
    default(SSE, "true");
    if settings.fifo {
        default(THROUGHPUT, "perQueue");
    }
    if settings.other.contains_key(KMS_KEY) {
        default(KMS_REUSE, "300")
    } else {
        drop(texts.remove(KMS_REUSE))
    }
    texts
}

/// All attributes that `GetQueueAttributes` returns.
pub(crate) fn all(name: &str, settings: &QueueSettings, depth: Depth) -> Texts {
    let visible = depth.messages.saturating_sub(depth.invisible + depth.delayed);
    let mut texts = set(settings);
    let mut add = |name: &str, text: String| texts.insert(name.to_owned(), text);
    add("QueueArn", names::arn(name));
    add("ApproximateNumberOfMessages", visible.to_string());
    add("ApproximateNumberOfMessagesNotVisible", depth.invisible.to_string());
    add("ApproximateNumberOfMessagesDelayed", depth.delayed.to_string());
    add("CreatedTimestamp", (settings.created_at.0 / 1000).to_string());
    add("LastModifiedTimestamp", (settings.modified_at.0 / 1000).to_string());
    texts
}

/// The requested attributes, by name or all of them.
pub(crate) fn asked(mut texts: Texts, asked: &[String]) -> Result<Texts, ApiError> {
    let unknown = |name: &&String| !is_all(name) && !texts.contains_key(*name) && !OPTIONAL.contains(&name.as_str());
    if let Some(name) = asked.iter().find(unknown) {
        return Err(ApiError::attribute_name(name));
    }
    if !asked.iter().any(|name| is_all(name)) {
        texts.retain(|name, _| asked.contains(name));
    }
    Ok(texts)
}

/// Whether a requested name means all attributes.
pub(crate) fn is_all(name: &str) -> bool {
    matches!(name, "All" | "*")
}
