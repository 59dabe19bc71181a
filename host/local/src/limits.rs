//! What a message may hold, as SQS words it. Source: the `SendMessage` API and the quotas of SQS.

use towpath_core::queue::{AttributeValue, NewMessage, QueueError};
use towpath_core::route::is_id;

use crate::settings::QueueSettings;

/// The most attributes of a message.
const MAX_ATTRIBUTES: usize = 10;

/// The longest name of an attribute.
const MAX_NAME: usize = 256;

/// What is wrong with a message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Wrong {
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
    #[error("The request must contain the parameter MessageBody.")]
    NoBody,
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."
    )]
    Contents,
    #[error("Number of message attributes [{0}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].")]
    TooManyAttributes(usize),
    #[error(
        "The message attribute name '{0}' is invalid. It can contain the characters A-Z, a-z, 0-9, underscore, hyphen and period, must not start or end with a period, and must not start with 'AWS.' or 'Amazon.'. 1 to {MAX_NAME} in length."
    )]
    AttributeName(String),
    #[error("The message attribute '{0}' must contain a non-empty message attribute value.")]
    EmptyAttribute(String),
    #[error("One or more parameters are invalid. Reason: Message must be shorter than {most} bytes. It has {size}.")]
    TooLong { size: usize, most: usize },
}

impl Wrong {
    /// The error code of SQS.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Wrong::NoGroup | Wrong::NoBody => "MissingParameter",
            Wrong::Contents => "InvalidMessageContents",
            _ => "InvalidParameterValue",
        }
    }
}

impl From<Wrong> for QueueError {
    fn from(wrong: Wrong) -> QueueError {
        QueueError::Invalid(wrong.to_string())
    }
}

/// Checks a message against the limits.
pub(crate) fn check(message: &NewMessage, settings: &QueueSettings) -> Result<(), Wrong> {
    let NewMessage { group, dedup_id, body, attributes } = message;
    check_ids(group.as_str(), dedup_id, settings.fifo)?;
    if body.is_empty() {
        return Err(Wrong::NoBody);
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(Wrong::TooManyAttributes(attributes.len()));
    }
    for (name, attribute) in attributes {
        let empty = match &attribute.value {
            AttributeValue::Text(text) => text.is_empty(),
            AttributeValue::Binary(bytes) => bytes.is_empty(),
        };
        if !is_attribute_name(name) {
            return Err(Wrong::AttributeName(name.clone()));
        }
        if empty {
            return Err(Wrong::EmptyAttribute(name.clone()));
        }
        if attribute.as_text().is_some_and(|text| !is_xml(text)) {
            return Err(Wrong::Contents);
        }
    }
    if !is_xml(body) {
        return Err(Wrong::Contents);
    }
    let (size, most) = (size(message), settings.max_message_bytes);
    if size > most { Err(Wrong::TooLong { size, most }) } else { Ok(()) }
}

fn check_ids(group: &str, dedup_id: &str, fifo: bool) -> Result<(), Wrong> {
    match (group, fifo) {
        ("", true) => return Err(Wrong::NoGroup),
        ("", false) => {}
        (group, _) if !is_id(group) => return Err(Wrong::Group(group.to_owned())),
        _ => {}
    }
    match (dedup_id, fifo) {
        (_, false) => Ok(()),
        ("", true) => Err(Wrong::NoDedupId),
        (id, true) if !is_id(id) => Err(Wrong::DedupId(id.to_owned())),
        _ => Ok(()),
    }
}

/// How large a message is: body, and names, types and values of attributes.
pub(crate) fn size(message: &NewMessage) -> usize {
    let attribute = |(name, attribute): (&String, &towpath_core::queue::Attribute)| {
        let value = match &attribute.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Binary(bytes) => bytes.len(),
        };
        name.len() + attribute.data_type.len() + value
    };
    message.body.len() + message.attributes.iter().map(attribute).sum::<usize>()
}

fn is_attribute_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let lower = name.to_ascii_lowercase();
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name.chars().all(fits)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
}

/// `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF`.
pub(crate) fn is_xml(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..))
}
