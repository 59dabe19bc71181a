//! Answers of a route as written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use super::verify::When;
use super::{Call, Names};

/// `[[route.answer]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Answer {
    pub(in super::super) when: When,
    pub(in super::super) token: Option<String>,
    pub(in super::super) secret: Option<Names>,
    pub(in super::super) keep: Option<String>,
    #[serde(default)]
    pub(in super::super) verified: bool,
    pub(in super::super) call: Option<Call>,
    pub(in super::super) status: Option<u16>,
    #[serde(default)]
    pub(in super::super) headers: BTreeMap<String, String>,
    pub(in super::super) body: Option<String>,
    pub(in super::super) json: Option<Json>,
}

/// `ack` of a route.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Ack {
    pub(in super::super) status: Option<u16>,
    #[serde(default)]
    pub(in super::super) headers: BTreeMap<String, String>,
    pub(in super::super) body: Option<String>,
    pub(in super::super) json: Option<Json>,
}
