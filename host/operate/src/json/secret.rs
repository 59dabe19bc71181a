//! Secrets that senders send in a handshake.

use serde::Serialize;
use towpath_types::clock::Timestamp;

use super::Rfc3339;
use crate::secret::Kept;

/// A secret that a route keeps, without its value.
#[derive(Debug, Serialize)]
pub struct Secret<'a> {
    secret: &'a str,
    route: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    armed_until_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
}

impl Secret<'_> {
    /// The shape of a secret at this time.
    pub fn of(kept: &Kept, now: Timestamp) -> Secret<'_> {
        let Kept { name, route, state, armed_until, expired_at, stored_at } = kept;
        Secret {
            secret: name,
            route,
            state: state.as_str(),
            armed_until_at: armed_until.map(Rfc3339),
            expired_at: expired_at.map(Rfc3339),
            stored_at: stored_at.map(Rfc3339),
            age_seconds: stored_at.map(|at| now.since(at).as_secs()),
        }
    }
}

/// The value of a secret.
#[derive(Serialize)]
pub struct SecretValue<'a> {
    /// Its name.
    pub secret: &'a str,
    /// Its value.
    pub value: &'a str,
}
