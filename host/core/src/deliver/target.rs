//! Targets: the HTTP destinations of the config.

use std::collections::BTreeSet;
use std::time::Duration;

use url::Url;

use super::{Auth, BreakerPolicy};
use crate::backoff::Backoff;
use crate::config::Secret;

/// `[target.NAME]`.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its base URL; a request's path is appended to it.
    pub url: Url,
    /// How the host proves who it is.
    pub auth: Vec<Auth>,
    /// The client certificate and its key as PEM, for a target that wants to see one.
    pub identity: Option<Secret>,
    /// The only authorities whose certificates count, as PEM; absent for those of the system.
    pub ca: Option<String>,
    /// The proxy that it is reached through.
    pub proxy: Option<Url>,
    /// The secrets that plugins may send to it, by name.
    pub plugin_secrets: BTreeSet<String>,
    /// The longest an exchange may take, body included.
    pub timeout: Duration,
    /// The statuses that are tried again.
    pub retry_on: Statuses,
    /// How long to wait between tries.
    pub backoff: Backoff,
    /// Whether it may resolve to private and local addresses.
    pub allow_private: bool,
    /// When it is left alone for a while.
    pub breaker: BreakerPolicy,
    /// Whether it must not be called now.
    pub hold: bool,
}

/// A set of HTTP statuses from 300 to 599.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statuses(BTreeSet<u16>);

impl Default for Statuses {
    /// 408, 425, 429 and 5xx: those that may pass.
    fn default() -> Statuses {
        Statuses([408, 425, 429].into_iter().chain(500..600).collect())
    }
}

impl Statuses {
    /// No status at all.
    pub fn none() -> Statuses {
        Statuses(BTreeSet::new())
    }

    /// Adds `429` or `5xx`; false if the text is neither.
    pub fn add(&mut self, text: &str) -> bool {
        match text.parse::<u16>() {
            Ok(status @ 300..=599) => {
                self.0.insert(status);
                true
            }
            Ok(_) => false,
            Err(_) => {
                let Some(class) = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()) else {
                    return false;
                };
                self.0.extend(class.saturating_mul(100)..class.saturating_mul(100).saturating_add(100));
                (3..=5).contains(&class)
            }
        }
    }

    /// Whether the status is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}
