//! `[[notify]]` as written.

use serde::Deserialize;

use super::Span;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Notify {
    pub(in super::super) on: On,
    pub(in super::super) to: String,
    #[serde(rename = "for")]
    pub(in super::super) lasting: Option<Span>,
    pub(in super::super) count: Option<u64>,
    pub(in super::super) within: Option<Span>,
    #[serde(default)]
    pub(in super::super) format: Format,
    pub(in super::super) topic: Option<String>,
    pub(in super::super) every: Option<Span>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum On {
    GroupStuck,
    TargetHeld,
    BreakerOpen,
    DeadLetters,
    Unauthorized,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum Format {
    #[default]
    Json,
    Slack,
    Sns,
}
