//! Forwarding as written.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `forward` of a route.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Forward {
    pub(in super::super) method: Option<String>,
    pub(in super::super) path: Option<String>,
    #[serde(default)]
    pub(in super::super) headers: BTreeMap<String, String>,
}
