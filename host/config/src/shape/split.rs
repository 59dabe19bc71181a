//! `split` of a route as written.

use serde::Deserialize;

/// A pointer, or a table.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a pointer to an array such as \"/events\", or { at = \"/events\", rest = true }"
)]
pub(in super::super) enum Split {
    At(String),
    Table(Table),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Table {
    pub(in super::super) at: String,
    #[serde(default)]
    pub(in super::super) rest: bool,
}
