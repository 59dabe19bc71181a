//! Keys from elsewhere, and calls, as written.

use serde::Deserialize;

/// The keys of `verify` that say where public keys are fetched.
#[derive(Debug, Default)]
pub(in super::super) struct Fetched {
    pub(in super::super) jwks: Option<Jwks>,
    pub(in super::super) certificate: Option<Certificate>,
    pub(in super::super) fetch: Option<Fetch>,
    pub(in super::super) key_id: Option<String>,
}

/// `jwks`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Jwks {
    pub(in super::super) url: String,
    pub(in super::super) hosts: Option<Vec<String>>,
    #[serde(default)]
    pub(in super::super) allow_private: bool,
}

/// `certificate`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Certificate {
    pub(in super::super) from: String,
    pub(in super::super) hosts: Vec<String>,
    #[serde(default)]
    pub(in super::super) allow_private: bool,
}

/// `fetch`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Fetch {
    pub(in super::super) url: String,
    pub(in super::super) pointer: Option<String>,
    pub(in super::super) bearer: Option<String>,
    pub(in super::super) hosts: Option<Vec<String>>,
    #[serde(default)]
    pub(in super::super) allow_private: bool,
}

/// `call` of an answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Call {
    pub(in super::super) url: String,
    pub(in super::super) method: Option<String>,
    pub(in super::super) hosts: Vec<String>,
    #[serde(default)]
    pub(in super::super) allow_private: bool,
}
