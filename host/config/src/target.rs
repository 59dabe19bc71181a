//! `[target.NAME]`: the HTTP destinations of the config.

mod auth;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use url::Url;

pub use auth::{Auth, ClientAuth, ClientCredentials, SigV4, Signing};
use towpath_types::backoff::Backoff;

use crate::Secret;
use crate::headers::{as_read, is_forbidden};

/// `[target.NAME]`.
#[derive(Clone, Debug)]
pub struct Target {
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
    /// Why it cannot be called yet: a secret is not available.
    pub unready: Option<String>,
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
    /// How the host authenticates to it.
    pub auth: Vec<Auth>,
    /// Headers of every request, which nobody else may set.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How connections to it are made.
    pub reach: Reach,
    /// The secrets that plugins may send to it, by name.
    pub plugin_secrets: BTreeSet<String>,
    /// Headers that plugins may set although they can redirect a request behind the target's front.
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

impl Http {
    /// Whether the host sets this header on every request, so that neither a plugin nor a webhook may.
    pub fn sets(&self, name: &HeaderName) -> bool {
        let own = self.auth.iter().flat_map(Auth::headers).chain(self.headers.iter().map(|(own, _)| own.clone()));
        is_forbidden(name) || own.into_iter().any(|own| as_read(&own) == as_read(name))
    }
}

/// How an endpoint is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reach {
    /// Whether its name may resolve to private and local addresses.
    pub allow_private: bool,
    /// The only trusted authorities, as PEM; absent for the system's.
    pub ca: Option<String>,
    /// The client certificate and its key as PEM, if the endpoint requires one.
    pub identity: Option<Secret>,
    /// The proxy to use.
    pub proxy: Option<Url>,
    /// The longest that a connection is used for new requests, so that a DNS change takes effect.
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
    /// Opens after this many consecutive failures; 0 means never.
    pub failures: u32,
    /// The first wait before a probe; doubles with every failed probe.
    pub base: Duration,
    /// The longest wait before a probe.
    pub cap: Duration,
}

impl Default for BreakerPolicy {
    /// Ten consecutive failures; 1 s up to 30 s.
    fn default() -> BreakerPolicy {
        BreakerPolicy { failures: 10, base: Duration::from_secs(1), cap: Duration::from_secs(30) }
    }
}

/// Limits on calls to a target; absent means unlimited.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Limits {
    /// Concurrent messages. The requests of one message are sequential.
    pub concurrency: Option<usize>,
    /// Requests per second.
    pub rate: Option<f64>,
}

/// A set of HTTP statuses from 300 to 599.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statuses(BTreeSet<u16>);

impl Default for Statuses {
    /// 408, 425, 429 and 5xx: the transient ones.
    fn default() -> Statuses {
        Statuses([408, 425, 429].into_iter().chain(500..600).collect())
    }
}

impl Statuses {
    /// The empty set.
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

    /// The intersection.
    #[must_use]
    pub fn and(&self, other: &Statuses) -> Statuses {
        Statuses(self.0.intersection(&other.0).copied().collect())
    }

    pub fn contains(&self, status: u16) -> bool {
        self.0.contains(&status)
    }
}

/// A three-digit status other than 1xx and 2xx.
fn status(text: &str) -> Option<u16> {
    text.parse::<u16>().ok().filter(|status| (300..600).contains(status) && text.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_given_singly_as_a_class_a_range_or_the_default() {
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
