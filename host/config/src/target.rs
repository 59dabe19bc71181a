//! `[target.NAME]`: the HTTP destinations of the config.

mod auth;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use http::HeaderName;
use url::Url;

pub use auth::{Auth, ClientAuth, ClientCredentials, SigV4, Signing};
use towpath_types::backoff::Backoff;

use crate::Secret;

/// `[target.NAME]`.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What it is, and how it is reached.
    pub kind: Kind,
    /// The longest that an attempt may take before it is answered.
    pub timeout: Duration,
    /// The statuses that are retried.
    pub retry_on: Statuses,
    /// The statuses that its breaker counts as failures.
    pub breaker_on: Statuses,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// When it is left alone for a while.
    pub breaker: BreakerPolicy,
    /// How much it is called at most.
    pub limits: Limits,
    /// Whether it is on hold.
    pub hold: bool,
}

/// The kinds of targets.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An HTTP service.
    Http(Http),
}

/// An HTTP service.
#[derive(Clone, Debug)]
pub struct Http {
    /// Its base URL; a request's path is appended to it.
    pub url: Url,
    /// How the host proves who it is.
    pub auth: Vec<Auth>,
    /// How connections to it are made.
    pub reach: Reach,
    /// The secrets that plugins may send to it, by name.
    pub plugin_secrets: BTreeSet<String>,
    /// The headers that plugins may set although they can send a request elsewhere behind the target's front.
    pub plugin_headers: HashSet<HeaderName>,
}

impl Target {
    /// What it is as an HTTP service.
    pub fn http(&self) -> Option<&Http> {
        match &self.kind {
            Kind::Http(http) => Some(http),
        }
    }
}

/// How an endpoint is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Whether its name may resolve to private and local addresses.
    pub allow_private: bool,
    /// The only authorities whose certificates count, as PEM; absent for those of the system.
    pub ca: Option<String>,
    /// The client certificate and its key as PEM, for an endpoint that wants to see one.
    pub identity: Option<Secret>,
    /// The proxy that it is reached through.
    pub proxy: Option<Url>,
    /// The longest that a connection is used for new requests: a name that has moved is looked up again by then.
    pub max_age: Duration,
}

impl Default for Reach {
    /// Public addresses, the system's authorities, no certificate, no proxy, a minute.
    fn default() -> Reach {
        Reach { allow_private: false, ca: None, identity: None, proxy: None, max_age: Duration::from_secs(60) }
    }
}

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerPolicy {
    /// It opens after so many failures in a row; 0 never.
    pub failures: u32,
    /// The first wait before a probe. It doubles with every probe that fails.
    pub base: Duration,
    /// The longest wait before a probe.
    pub cap: Duration,
}

impl Default for BreakerPolicy {
    /// Ten failures in a row; a second, up to half a minute.
    fn default() -> BreakerPolicy {
        BreakerPolicy { failures: 10, base: Duration::from_secs(1), cap: Duration::from_secs(30) }
    }
}

/// What the config says of a target. Whatever is absent is not limited.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Limits {
    /// How many messages are with it at the same time. The requests of a message go one after another.
    pub concurrency: Option<usize>,
    /// How many requests a second.
    pub rate: Option<f64>,
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

    /// Adds `429`, `500-504`, `5xx` or `default`; false if the text is none of them.
    pub fn add(&mut self, text: &str) -> bool {
        if text == "default" {
            self.0.extend(Statuses::default().0);
            return true;
        }
        let range = match (text.split_once('-'), text.strip_suffix("xx")) {
            (Some((first, last)), _) => status(first).zip(status(last)),
            (None, Some(class)) => status(&format!("{class}00")).zip(status(&format!("{class}99"))),
            (None, None) => status(text).zip(status(text)),
        };
        let Some((first, last)) = range.filter(|(first, last)| first <= last) else { return false };
        self.0.extend(first..=last);
        true
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, other: &Statuses) -> Statuses {
        Statuses(self.0.intersection(&other.0).copied().collect())
    }

    /// Whether the status is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

/// A status of three digits that is no success.
fn status(text: &str) -> Option<u16> {
    text.parse::<u16>().ok().filter(|status| (300..600).contains(status) && text.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_added_one_by_one_as_a_class_as_a_range_or_as_the_default() {
        let cases: [(&str, &[u16], &[u16]); 5] = [
            ("404", &[404], &[403, 405]),
            ("5xx", &[500, 599], &[499]),
            ("401-404", &[401, 403, 404], &[400, 405]),
            ("300-599", &[300, 429, 599], &[200, 299]),
            ("default", &[408, 425, 429, 500, 599], &[401, 403, 404]),
        ];
        for (text, inside, outside) in cases {
            let mut statuses = Statuses::none();
            assert!(statuses.add(text), "{text}");
            assert!(inside.iter().all(|status| statuses.contains(*status)), "{text}");
            assert!(!outside.iter().any(|status| statuses.contains(*status)), "{text}");
        }
        for text in
            ["200", "2xx", "600", "6xx", "xx", "04xx", "404-401", "404-", "-404", "+404", "4xx-5xx", "", "Default"]
        {
            assert!(!Statuses::none().add(text), "{text}");
        }
    }
}
