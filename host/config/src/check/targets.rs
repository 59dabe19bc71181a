//! `[target.NAME]`.

use std::collections::HashSet;
use std::time::Duration;

use http::HeaderName;

use super::super::shape;
use super::Checker;
use crate::headers::{is_forbidden, steers};
use crate::network;
use crate::pem::has_certificates;
use crate::target::{Auth, BreakerPolicy, Http, Kind, Limits, Reach, Statuses, Target};
use towpath_files::regular;
use towpath_types::backoff::Backoff;
use towpath_types::queue::MAX_VISIBILITY;

impl Checker<'_> {
    pub(super) fn target(&mut self, name: String, target: shape::Target) -> Option<Target> {
        let at = format!("target.{name}");
        if name.is_empty() || name.contains(char::is_control) {
            self.wrong(&at, format!("{name:?} is not a valid target name"), "use printable characters");
        }
        let max_age = target.connection_max_age.map_or(Reach::default().max_age, |span| span.0);
        if max_age < Duration::from_secs(1) || max_age > Duration::from_secs(24 * 3600) {
            let hint = "60s is the default: after a DNS change the old address may be used for this long";
            self.wrong(format!("{at}.connection_max_age"), "must be between 1s and 24h", hint);
        }
        let ca = target.ca.and_then(|ca| self.ca(&format!("{at}.ca"), ca));
        let proxy = target.proxy.and_then(|proxy| self.url(&format!("{at}.proxy"), &proxy));
        let reach = Reach { allow_private: target.allow_private, ca, identity: None, proxy, max_age };
        let (auth, reach) = self.auths(&format!("{at}.auth"), target.auth, reach);
        let unready = self.unready(&at);
        let headers = self.target_headers(&at, target.headers);
        let timeout = target.timeout.map_or(Duration::from_secs(10), |span| span.0);
        if timeout < Duration::from_millis(10) || timeout > Duration::from_secs(300) {
            self.wrong(format!("{at}.timeout"), "must be between 10ms and 5m", "10s is the default");
        }
        let retry_on =
            target.retry.on.as_deref().map(|on| self.statuses(&format!("{at}.retry.on"), on)).unwrap_or_default();
        let breaker_on = target.breaker.on.as_deref().map(|on| self.statuses(&format!("{at}.breaker.on"), on));
        let breaker_on = breaker_on.unwrap_or_else(|| retry_on.and(&Statuses::default()));
        let defaults = Backoff::default();
        let backoff = Backoff {
            base: target.retry.base.map_or(defaults.base, |span| span.0),
            cap: target.retry.cap.map_or(defaults.cap, |span| span.0),
        };
        if backoff.base.is_zero() || backoff.cap < backoff.base {
            self.wrong(
                format!("{at}.retry"),
                "base must be positive, and cap must not be smaller than base",
                "base = \"2s\", cap = \"15m\"",
            );
        }
        let limits = self.limits(&at, target.concurrency, target.rate);
        let plugin_headers = self.plugin_headers(&format!("{at}.plugin_headers"), &target.plugin_headers);
        if backoff.cap > MAX_VISIBILITY {
            let hint = "no wait is longer than 10 hours: set 10h or less";
            self.wrong(format!("{at}.retry.cap"), "must be at most 12h", hint);
        }
        let breaker = self.breaker(&at, target.breaker);
        let url = self.url(&format!("{at}.url"), &target.url)?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            let hint = "the plugin adds path and query; put credentials into auth";
            self.wrong(format!("{at}.url"), "a base URL must not have a user, password, query or fragment", hint);
        }
        if !target.allow_private && network::is_private_host(&url) {
            let problem = format!("{:?} is a private or local address", target.url);
            self.wrong(format!("{at}.url"), problem, "if that is intended, set allow_private = true");
        }
        if url.scheme() == "http" && (reach.ca.is_some() || reach.identity.is_some()) {
            let key = if reach.ca.is_some() { "ca" } else { "auth" };
            let hint = "certificates need TLS: make the URL https, or leave them out";
            self.wrong(format!("{at}.{key}"), "has no effect on an http URL", hint);
        }
        let plugin_secrets = target.plugin_secrets.into_iter().collect();
        if let Some((name, _)) =
            headers.iter().find(|(name, _)| auth.iter().flat_map(Auth::headers).any(|own| own == name))
        {
            self.wrong(format!("{at}.headers.{name}"), "is set by auth of this target", "leave it out, here or there");
        }
        let kind = Kind::Http(Http { url, auth, headers, reach, plugin_secrets, plugin_headers });
        Some(Target { name, kind, timeout, retry_on, breaker_on, backoff, breaker, limits, hold: target.hold, unready })
    }

    /// Headers that plugins may set only with the target's permission.
    fn plugin_headers(&mut self, at: &str, names: &[String]) -> HashSet<HeaderName> {
        let mut headers = HashSet::new();
        for name in names {
            match HeaderName::try_from(name) {
                Ok(header) if is_forbidden(&header) => {
                    self.wrong(at, format!("{name:?} is set only by the host, never by a plugin"), "remove it");
                }
                Ok(header) if steers(&header) => drop(headers.insert(header)),
                Ok(_) => self.wrong(at, format!("{name:?} is always allowed: any plugin may set it"), "remove it"),
                Err(_) => self.wrong(at, format!("{name:?} is not a header name"), ""),
            }
        }
        headers
    }

    pub(super) fn url(&mut self, at: &str, text: &str) -> Option<url::Url> {
        match text.parse::<url::Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => return Some(url),
            Ok(_) => self.wrong(at, format!("{text:?} is not an http or https URL"), ""),
            Err(error) => self.wrong(at, format!("{text:?} is not a URL: {error}"), ""),
        }
        None
    }

    /// The CA certificates as PEM: inline, or in a file next to the config.
    pub(super) fn ca(&mut self, at: &str, ca: String) -> Option<String> {
        let hint = "the authority's certificate as PEM: the text itself, or the name of a file next to the config";
        let pem = if ca.trim_start().starts_with("-----BEGIN") {
            Ok(ca)
        } else {
            let file = self.folder.join(&ca);
            regular::read_text(&file, regular::MAX_CONFIG)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))
        };
        match pem {
            Ok(pem) if has_certificates(&pem) => return Some(pem),
            Ok(_) => self.wrong(at, "contains no certificate", hint),
            Err(problem) => self.wrong(at, problem, hint),
        }
        None
    }

    fn limits(&mut self, at: &str, concurrency: Option<usize>, rate: Option<f64>) -> Limits {
        if concurrency.is_some_and(|concurrency| !(1..=1000).contains(&concurrency)) {
            let hint = "the most concurrent messages per host process; unlimited if left out";
            self.wrong(format!("{at}.concurrency"), "must be between 1 and 1000", hint);
        }
        if rate.is_some_and(|rate| !(0.01..=100_000.0).contains(&rate)) {
            let hint = "requests per second and host process, such as 10 or 0.5; unlimited if left out";
            self.wrong(format!("{at}.rate"), "must be between 0.01 and 100000", hint);
        }
        Limits { concurrency, rate }
    }

    fn breaker(&mut self, at: &str, breaker: shape::Breaker) -> BreakerPolicy {
        let defaults = BreakerPolicy::default();
        let policy = BreakerPolicy {
            failures: breaker.failures.unwrap_or(defaults.failures),
            base: breaker.base.map_or(defaults.base, |span| span.0),
            cap: breaker.cap.map_or(defaults.cap, |span| span.0),
        };
        if policy.base.is_zero() || policy.cap < policy.base {
            let hint = "failures = 10, base = \"1s\", cap = \"30s\" are the defaults; with failures = 0 it never opens";
            self.wrong(format!("{at}.breaker"), "base must be positive, and cap must not be smaller than base", hint);
        }
        if policy.cap > MAX_VISIBILITY {
            let hint = "a message waits for at most 12 hours before the target is checked again";
            self.wrong(format!("{at}.breaker.cap"), "must be at most 12h", hint);
        }
        policy
    }

    fn statuses(&mut self, at: &str, on: &[shape::Status]) -> Statuses {
        let mut statuses = Statuses::none();
        for (index, status) in on.iter().enumerate() {
            let text = match status {
                shape::Status::Number(number) => number.to_string(),
                shape::Status::Text(text) => text.clone(),
            };
            if !statuses.add(&text) {
                let hint = "write 429, \"500-504\", \"5xx\", or \"default\" for 408, 425, 429 and 5xx; 2xx is success";
                self.wrong(format!("{at}[{index}]"), format!("{text:?} is not a status from 3xx to 5xx"), hint);
            }
        }
        statuses
    }
}
