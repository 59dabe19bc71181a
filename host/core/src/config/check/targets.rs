//! `[target.NAME]`.

use std::time::Duration;

use super::super::shape;
use super::Checker;
use crate::backoff::Backoff;
use crate::deliver::{Auth, BreakerPolicy, Statuses, Target, guard};

impl Checker<'_> {
    pub(super) fn target(&mut self, name: String, target: shape::Target) -> Option<Target> {
        let at = format!("target.{name}");
        let auth = match target.auth {
            None => None,
            Some(auth) => self.auth(&format!("{at}.auth"), auth),
        };
        let timeout = target.timeout.map_or(Duration::from_secs(10), |span| span.0);
        if timeout < Duration::from_millis(10) || timeout > Duration::from_secs(300) {
            self.wrong(format!("{at}.timeout"), "must be between 10ms and 5m", "10s is the default");
        }
        let retry_on = self.statuses(&at, target.retry.on);
        let defaults = Backoff::default();
        let backoff = Backoff {
            base: target.retry.base.map_or(defaults.base, |span| span.0),
            cap: target.retry.cap.map_or(defaults.cap, |span| span.0),
        };
        if backoff.base.is_zero() || backoff.cap < backoff.base {
            self.wrong(
                format!("{at}.retry"),
                "base must be positive and cap not smaller than base",
                "base = \"2s\", cap = \"15m\"",
            );
        }
        let breaker = self.breaker(&at, target.breaker);
        let url = self.url(&at, &target.url)?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            let hint = "the plugin adds path and query; credentials go into auth";
            self.wrong(format!("{at}.url"), "a base URL has no user, password, query or fragment", hint);
        }
        if !target.allow_private && guard::is_private_host(&url) {
            let problem = format!("{:?} is a private or local address", target.url);
            self.wrong(format!("{at}.url"), problem, "if that is meant, set allow_private = true");
        }
        Some(Target {
            name,
            url,
            auth,
            timeout,
            retry_on,
            backoff,
            breaker,
            allow_private: target.allow_private,
            hold: target.hold,
        })
    }

    fn url(&mut self, at: &str, text: &str) -> Option<url::Url> {
        match text.parse::<url::Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => return Some(url),
            Ok(_) => self.wrong(format!("{at}.url"), format!("{text:?} is no http or https URL"), ""),
            Err(error) => self.wrong(format!("{at}.url"), format!("{text:?} is no URL: {error}"), ""),
        }
        None
    }

    fn breaker(&mut self, at: &str, breaker: shape::Breaker) -> BreakerPolicy {
        let defaults = BreakerPolicy::default();
        let policy = BreakerPolicy {
            failures: breaker.failures.unwrap_or(defaults.failures),
            base: breaker.base.map_or(defaults.base, |span| span.0),
            cap: breaker.cap.map_or(defaults.cap, |span| span.0),
        };
        if policy.base.is_zero() || policy.cap < policy.base {
            let hint = "failures = 10, base = \"1s\", cap = \"30s\" are the defaults; failures = 0 never opens it";
            self.wrong(format!("{at}.breaker"), "base must be positive and cap not smaller than base", hint);
        }
        policy
    }

    fn auth(&mut self, at: &str, auth: shape::Auth) -> Option<Auth> {
        match auth {
            shape::Auth::Bearer { secret } => Some(Auth::Bearer(self.secret(format!("{at}.secret"), &secret)?)),
            shape::Auth::Header { name, secret } => {
                let secret = self.secret(format!("{at}.secret"), &secret);
                let Ok(name) = http::HeaderName::try_from(name.as_str()) else {
                    self.wrong(format!("{at}.name"), format!("{name:?} is no header name"), "");
                    return None;
                };
                Some(Auth::Header(name, secret?))
            }
        }
    }

    fn statuses(&mut self, at: &str, on: Option<Vec<String>>) -> Statuses {
        let Some(on) = on else { return Statuses::default() };
        let mut statuses = Statuses::none();
        for (index, text) in on.iter().enumerate() {
            if !statuses.add(text) {
                let hint = "write a status such as \"429\" or a class such as \"5xx\"; 2xx is success";
                self.wrong(format!("{at}.retry.on[{index}]"), format!("{text:?} is no status from 3xx to 5xx"), hint);
            }
        }
        statuses
    }
}
