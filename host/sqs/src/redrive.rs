//! `RedrivePolicy` and `RedriveAllowPolicy`: parses them into settings, and words the errors.

use serde_json::Value;

use crate::error::ApiError;
use crate::names;
use crate::request::Texts;
use towpath_local::{REDRIVE_ALLOW, RedriveAllow, RedriveAllowError, RedrivePolicy, Refused, Unchanged};

pub(crate) const REDRIVE: &str = "RedrivePolicy";

/// The fields of a redrive policy.
const TARGET: &str = "deadLetterTargetArn";
const COUNT: &str = "maxReceiveCount";

/// Parses a redrive policy.
pub(crate) fn policy(text: &str, fifo: bool) -> Result<RedrivePolicy, ApiError> {
    let wrong = |reason: &str| ApiError::value(REDRIVE, text, reason);
    let Ok(Value::Object(policy)) = serde_json::from_str::<Value>(text) else {
        return Err(ApiError::attribute_reason(REDRIVE, "Redrive policy is not a valid JSON map."));
    };
    let mandatory = |field: &str| {
        let reason = format!("Redrive policy does not contain mandatory attribute: {field}.");
        policy.get(field).ok_or_else(|| wrong(&reason))
    };
    let count = mandatory(COUNT)?;
    let target = mandatory(TARGET)?;
    let shown = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
    let max_receive_count = shown.parse().ok().filter(|count| (1..=1000).contains(count)).ok_or_else(|| {
        wrong(&format!("Invalid value for maxReceiveCount: {shown}, valid values are from 1 to 1000 both inclusive."))
    })?;
    let dead_letter_queue = target_of(target.as_str().unwrap_or_default()).map_err(wrong)?;
    if policy.len() > 2 {
        return Err(wrong(&format!("Only following attributes are supported: [{COUNT}, {TARGET}].")));
    }
    if dead_letter_queue.ends_with(".fifo") != fifo {
        return Err(wrong("Dead-letter queue must be same type of queue as the source."));
    }
    Ok(RedrivePolicy { dead_letter_queue: dead_letter_queue.to_owned(), max_receive_count })
}

/// The name of the queue with this ARN.
fn target_of(arn: &str) -> Result<&str, &'static str> {
    match names::of_arn(arn) {
        Some(name) => Ok(name),
        None if arn.starts_with("arn:") => Err("Only SQS queues are valid resources for deadLetterTargetArn."),
        None => Err("Invalid value for deadLetterTargetArn."),
    }
}

/// Checks a redrive allow policy.
pub(crate) fn check_allow(text: &str) -> Result<(), ApiError> {
    const CANNOT: &str = "Amazon SQS can't create the redrive allow policy";
    let wrong = |more: &str| Err(ApiError::value(REDRIVE_ALLOW, text, &format!("{CANNOT}. {more}")));
    match RedriveAllow::read(text) {
        Ok(policy) => match policy.sources().find(|arn| names::of_arn(arn).is_none()) {
            Some(arn) => wrong(&format!("Invalid value for sourceQueueArns: {arn} is not the ARN of a queue.")),
            None => Ok(()),
        },
        Err(RedriveAllowError::Format) => {
            Err(ApiError::attribute_reason(REDRIVE_ALLOW, &format!("{CANNOT}, as it’s in an unsupported format.")))
        }
        Err(RedriveAllowError::NoQueues) => wrong(
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values.",
        ),
        Err(RedriveAllowError::Queues) => {
            wrong("To specify one or more source queue ARNs, you must set redrivePermission to byQueue.")
        }
        Err(RedriveAllowError::TooMany) => wrong("The maximum number of source queue ARNs you can specify is 10."),
    }
}

/// The error for attributes that the store did not accept.
pub(crate) fn refused(refused: Refused, attributes: &Texts) -> ApiError {
    let policy = attributes.get(REDRIVE).map(String::as_str).unwrap_or_default();
    let wrong = |reason: &str| ApiError::value(REDRIVE, policy, reason);
    match refused {
        Refused::RemovedRecently => ApiError::queue_deleted_recently(),
        Refused::NoDeadLetterQueue => wrong("Dead letter target does not exist."),
        Refused::OwnDeadLetterQueue => wrong("A queue cannot be its own dead-letter queue."),
        Refused::NotAllowed => {
            wrong("The redrive allow policy of the dead-letter queue does not allow this queue as a source.")
        }
    }
}

impl From<Unchanged<ApiError>> for ApiError {
    fn from(unchanged: Unchanged<ApiError>) -> ApiError {
        match unchanged {
            Unchanged::Wrong(error) => error,
            Unchanged::Refused(reason) => refused(reason, &Texts::new()),
        }
    }
}
