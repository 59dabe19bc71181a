//! What happened to one event, and its content.

use serde::Serialize;
use serde_json::{Map, Value};
use towpath_types::queue::{GroupId, MessageId};

use super::Rfc3339;
use super::letter::Death;
#[cfg(feature = "schema")]
use super::schema;
use crate::dlq::field;
use crate::timeline::{self, Place};

/// Everything that is known of one event, without its body.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Timeline<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    message_id: &'a MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    webhook_id: Option<&'a MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    group: Option<&'a GroupId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    /// `waits`, `dead`, `archived` or `unknown`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Rfc3339>,
    steps: Vec<Step<'a>>,
    /// Whether there were more steps before these.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more_steps: bool,
    /// Where its content is.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    letter_id: Option<&'a MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<Death<'a>>,
}

/// One step.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TimelineStep))]
struct Step<'a> {
    step: &'a str,
    began_at: Rfc3339,
    ended_at: Rfc3339,
    duration_ms: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt<'a>>,
}

/// One request to a target, and its answer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = TimelineAttempt))]
struct Attempt<'a> {
    target: &'a str,
    method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    duration_ms: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    excerpt: &'a str,
}

impl Attempt<'_> {
    fn of(attempt: &timeline::Attempt) -> Attempt<'_> {
        let timeline::Attempt { target, method, path, status, error, millis, excerpt } = attempt;
        Attempt { target, method, path, status: *status, error: error.as_deref(), duration_ms: *millis, excerpt }
    }
}

impl Timeline<'_> {
    /// The shape of a timeline.
    pub fn of(timeline: &timeline::Timeline) -> Timeline<'_> {
        let letter = match &timeline.place {
            Place::Dead(letter) => Some(letter),
            _ => None,
        };
        Timeline {
            message_id: &timeline.message_id,
            webhook_id: timeline.webhook_id.as_ref(),
            group: timeline.group.as_ref(),
            route: timeline.route.as_deref(),
            plugin: timeline.plugin.as_deref(),
            state: match &timeline.place {
                Place::Waits { .. } => "waits",
                Place::Dead(_) => "dead",
                Place::Archived => "archived",
                Place::Elsewhere => "unknown",
            },
            sent_at: timeline.sent_at.map(Rfc3339),
            steps: timeline.steps.iter().map(Step::of).collect(),
            more_steps: timeline.is_cut,
            content: timeline.content.as_ref().map(|content| content.origin.as_str()),
            letter_id: letter.map(|letter| &letter.id),
            letter: letter.map(|letter| Death::of(&letter.death)),
        }
    }
}

impl Step<'_> {
    fn of(step: &timeline::Step) -> Step<'_> {
        Step {
            step: &step.what,
            began_at: Rfc3339(step.began()),
            ended_at: Rfc3339(step.at),
            duration_ms: u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
            failed: step.is_failure,
            detail: &step.detail,
            by: step.by.as_deref(),
            plugin: step.plugin.as_ref().map(|(name, _)| name.as_str()),
            digest: step.plugin.as_ref().map(|(_, digest)| digest.as_str()).filter(|digest| !digest.is_empty()),
            attempts: step.attempts.iter().map(Attempt::of).collect(),
        }
    }
}

/// The content of an event as its plugin sees it, without its secret values.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EventBody<'a> {
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    message_id: &'a MessageId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    webhook_id: &'a MessageId,
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    group: &'a GroupId,
    content: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    redacted: bool,
    /// Why it cannot be unpacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<(String, String)>,
    #[serde(skip_serializing_if = "String::is_empty")]
    query: String,
    headers: Vec<(String, String)>,
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(value_type = schema::Body))]
    body: Map<String, Value>,
}

impl EventBody<'_> {
    /// The shape of a content.
    pub fn of(content: &timeline::Content) -> EventBody<'_> {
        let webhook = content.webhook();
        let method = webhook.as_ref().map(|webhook| webhook.method.to_string());
        let webhook = webhook.unwrap_or_default();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        EventBody {
            message_id: &content.message_id,
            webhook_id: &content.webhook_id,
            group: &content.group,
            content: content.origin.as_str(),
            redacted: content.is_redacted,
            problem: content.problem.as_deref(),
            method,
            headers: webhook.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            body: if content.problem.is_none() { field("body", &webhook.body) } else { Map::new() },
            path: webhook.path,
            query: webhook.query,
        }
    }
}
