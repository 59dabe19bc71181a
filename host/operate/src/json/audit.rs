//! Who did what to dead letters.

use serde::Serialize;
use towpath_types::queue::{Attributes, GroupId, MessageId};

use super::Rfc3339;
use super::letter::Death;
use crate::audit::{AuditEntry, Line, Recent};

/// One redrive, edit or drop of a letter.
#[derive(Debug, Serialize)]
pub struct Action<'a> {
    recorded_at: Rfc3339,
    by: &'a str,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    message_id: &'a str,
    letter_id: &'a MessageId,
    group: &'a GroupId,
    note: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    accepted_unverified: bool,
    letter: Death<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: &'a Attributes,
}

impl Action<'_> {
    /// The shape of an entry, whose secrets are hidden already ([`AuditEntry::hidden`]).
    pub fn of(entry: &AuditEntry) -> Action<'_> {
        Action {
            recorded_at: Rfc3339(entry.at),
            by: &entry.by,
            action: &entry.action,
            reason: entry.reason.as_deref(),
            message_id: &entry.letter.id,
            letter_id: &entry.id,
            group: &entry.group,
            note: &entry.note,
            accepted_unverified: entry.accepted_unverified,
            letter: Death::of(&entry.letter),
            body: entry.body.as_deref(),
            attributes: &entry.attributes,
        }
    }
}

/// Any line of the audit, without bodies.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = AuditLine))]
pub struct Audited<'a> {
    recorded_at: Rfc3339,
    by: &'a str,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    note: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
    /// The plugin whose channel was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

impl Audited<'_> {
    /// The shape of a line.
    pub fn of(line: &Line) -> Audited<'_> {
        Audited {
            recorded_at: Rfc3339(line.at),
            by: &line.by,
            action: &line.action,
            step: line.step.as_deref(),
            outcome: line.outcome.as_deref(),
            messages: line.messages,
            reason: line.reason.as_deref(),
            note: &line.note,
            message_id: line.letter.as_ref().map(|letter| letter.id.as_str()).or(line.id.as_deref()),
            group: line.group.as_deref(),
            run: line.run.as_deref(),
            plugin: line.plugin.as_deref(),
            channel: line.channel.as_deref(),
            version: line.version.as_deref(),
        }
    }
}

/// A page of the audit, the newest line first.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditPage<'a> {
    audit: Vec<Audited<'a>>,
    /// The `before` of the next page; null if there is none.
    next: Option<u64>,
}

impl AuditPage<'_> {
    /// The shape of a page.
    pub fn of(recent: &Recent) -> AuditPage<'_> {
        AuditPage { audit: recent.lines.iter().map(Audited::of).collect(), next: recent.next }
    }
}
