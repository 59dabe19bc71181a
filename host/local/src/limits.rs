//! The limits of a message, with the error texts of SQS. Source: the `SendMessage` API and the quotas of SQS.

use towpath_types::queue::{AttributeValue, DedupId, NewMessage, QueueError, is_id};

use crate::settings::QueueSettings;

const MAX_ATTRIBUTES: usize = 10;

/// The longest name or type of an attribute, in bytes.
const MAX_NAME: usize = 256;

/// Why a message, or the attempt id of a receive, is invalid.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Wrong {
    #[error("The request must contain the parameter MessageGroupId.")]
    NoGroup,
    #[error(
        "Value {0} for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length."
    )]
    Group(String),
    #[error(
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    )]
    NoDedupId,
    #[error(
        "Value {0} for parameter MessageDeduplicationId is invalid. Reason: MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length."
    )]
    DedupId(String),
    #[error(
        "Value {0} for parameter ReceiveRequestAttemptId is invalid. Reason: ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in length."
    )]
    AttemptId(String),
    #[error("The request must contain the parameter MessageBody.")]
    NoBody,
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."
    )]
    Contents,
    #[error(
        "Message (user) attribute '{0}' contains invalid characters. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."
    )]
    AttributeContents(String),
    #[error("Number of message attributes [{0}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].")]
    TooManyAttributes(usize),
    #[error("The request must contain non-empty message (user) attribute names.")]
    NoAttributeName,
    #[error("Message (user) attribute names must be shorter than 256 Bytes")]
    LongAttributeName,
    #[error(
        "Message (user) attributes name can only contain upper and lower score characters, digits, periods, hyphens and underscores. "
    )]
    AttributeName,
    #[error(
        "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for internal use. Additionally, they cannot start or end with '.'."
    )]
    ReservedAttributeName,
    #[error("Message (user) attribute names can't contain successive '.' characters.")]
    SuccessivePeriods,
    #[error("Message (user) attribute types must be shorter than 256 Bytes")]
    LongAttributeType,
    #[error("Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'.")]
    EmptyAttribute { name: String, kind: String },
    #[error("One or more parameters are invalid. Reason: Message must be shorter than {most} bytes.")]
    TooLong { most: usize },
}

impl Wrong {
    /// The error code of SQS.
    pub fn code(&self) -> &'static str {
        match self {
            Wrong::NoGroup | Wrong::NoBody => "MissingParameter",
            Wrong::Contents => "InvalidMessageContents",
            _ => "InvalidParameterValue",
        }
    }
}

impl From<Wrong> for QueueError {
    fn from(wrong: Wrong) -> QueueError {
        match wrong {
            Wrong::TooLong { most } => QueueError::TooLong { most: Some(most), said: wrong.to_string() },
            _ => QueueError::Invalid(wrong.to_string()),
        }
    }
}

/// Checks a message against the limits of its queue.
pub fn check(message: &NewMessage, settings: &QueueSettings) -> Result<(), Wrong> {
    let NewMessage { group, dedup_id, body, attributes } = message;
    check_ids(group.as_str(), dedup_id.as_ref(), settings.fifo)?;
    if body.is_empty() {
        return Err(Wrong::NoBody);
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Wrong::TooManyAttributes(attributes.len()));
    }
    for (name, attribute) in attributes {
        check_name(name)?;
        if attribute.data_type.len() > MAX_NAME {
            return Err(Wrong::LongAttributeType);
        }
        let empty = match &attribute.value {
            AttributeValue::Text(text) => text.is_empty(),
            AttributeValue::Binary(bytes) => bytes.is_empty(),
        };
        if empty {
            return Err(Wrong::EmptyAttribute { name: name.clone(), kind: attribute.data_type.to_string() });
        }
        if !is_xml(&attribute.data_type) || attribute.as_text().is_some_and(|text| !is_xml(text)) {
            return Err(Wrong::AttributeContents(name.clone()));
        }
    }
    // Only SQS needs a webhook as text, which is always legal.
    if body.as_text().is_some_and(|text| !is_xml(text)) {
        return Err(Wrong::Contents);
    }
    let size = message.size();
    let most = settings.max_message_bytes;
    if size > most { Err(Wrong::TooLong { most }) } else { Ok(()) }
}

fn check_ids(group: &str, dedup_id: Option<&DedupId>, fifo: bool) -> Result<(), Wrong> {
    match (group, fifo) {
        ("", true) => return Err(Wrong::NoGroup),
        ("", false) => {}
        (group, _) if !is_id(group) => return Err(Wrong::Group(group.to_owned())),
        _ => {}
    }
    match (dedup_id, fifo) {
        (_, false) => Ok(()),
        (None, true) => Err(Wrong::NoDedupId),
        (Some(id), true) if !is_id(id.as_str()) => Err(Wrong::DedupId(id.to_string())),
        (Some(_), true) => Ok(()),
    }
}

/// Checks the name of an attribute. SQS accepts Latin letters with diacritics, although its documentation does not list them.
fn check_name(name: &str) -> Result<(), Wrong> {
    let latin = |c: char| ('\u{C0}'..='\u{17F}').contains(&c) && c.is_alphabetic();
    let fits = |c: char| "_.-".contains(c) || c.is_ascii_alphanumeric() || latin(c);
    let lower = name.to_lowercase();
    let reserved = ["aws.", "amazon.", "."].iter().any(|prefix| lower.starts_with(prefix)) || name.ends_with('.');
    match name {
        "" => Err(Wrong::NoAttributeName),
        _ if name.len() > MAX_NAME => Err(Wrong::LongAttributeName),
        _ if !name.chars().all(fits) => Err(Wrong::AttributeName),
        _ if reserved => Err(Wrong::ReservedAttributeName),
        _ if name.contains("..") => Err(Wrong::SuccessivePeriods),
        _ => Ok(()),
    }
}

/// Whether all characters are in `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF`.
pub fn is_xml(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..))
}
