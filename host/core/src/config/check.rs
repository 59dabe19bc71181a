//! From shapes to a checked config: references, ranges, addresses, overlaps.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::shape::{self, Shape};
use super::{Config, IngestConfig, Mistake, QueueConfig, S3Url, Secret, Secrets};
use crate::backoff::Backoff;
use crate::decide::OnDeadLetter;
use crate::deliver::{Auth, BreakerPolicy, Statuses, Target, guard};
use crate::plugin::{Limits, Settings};
use crate::queue::{MAX_MESSAGE_BYTES, MAX_RETENTION};
use crate::route::{Route, Routes, Selector, Template};
use crate::verify::Verify;

/// A body of this size still fits into a message when it is base64 in an envelope, with headers.
const MAX_SQS_BODY: usize = MAX_MESSAGE_BYTES / 4 * 3 - 24 * 1024;

struct Checker<'a> {
    folder: &'a Path,
    secrets: &'a Secrets,
    mistakes: &'a mut Vec<Mistake>,
    named: &'a BTreeMap<&'static str, Vec<String>>,
}

/// Checks everything; the config that is returned counts only if no mistake was added.
pub(super) fn check(shape: Shape, file: &Path, secrets: &Secrets, mistakes: &mut Vec<Mistake>) -> Config {
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut checker = Checker { folder, secrets, mistakes, named: &shape.named };
    let queue = checker.queue(shape.queue);
    let ingest = checker.ingest(shape.ingest, &queue);
    let holds = checker.holds(shape.holds, &queue);
    let routes = checker.routes(shape.routes, &queue);
    let plugins = shape.plugins.into_iter().map(|(name, plugin)| (name.clone(), checker.plugin(name, plugin)));
    let plugins = plugins.collect();
    let targets = shape.targets.into_iter().filter_map(|(name, t)| Some((name.clone(), checker.target(name, t)?)));
    let targets = targets.collect();
    Config { file: file.to_owned(), queue, ingest, holds, routes: Routes::new(routes), plugins, targets }
}

impl Checker<'_> {
    fn wrong(&mut self, at: impl Into<String>, problem: impl Into<String>, hint: impl Into<String>) {
        self.mistakes.push(Mistake { at: at.into(), problem: problem.into(), hint: hint.into() });
    }

    fn queue(&mut self, queue: shape::Queue) -> QueueConfig {
        let pairs = [("url", &queue.url, "dead_letter_url"), ("dead_letter_url", &queue.dead_letter_url, "url")];
        for (key, url, other) in pairs {
            let Some(url) = url else { continue };
            if !url.ends_with(".fifo") {
                let hint = "order needs a FIFO queue, and a FIFO queue's dead-letter queue is FIFO too";
                self.wrong(
                    format!("queue.{key}"),
                    format!("{url:?} is no FIFO queue: its name does not end in .fifo"),
                    hint,
                );
            }
            if queue.url.is_none() || queue.dead_letter_url.is_none() {
                self.wrong(format!("queue.{other}"), "missing", "give both, or neither for the local queue");
            }
        }
        let concurrency = queue.concurrency.unwrap_or(16);
        if !(1..=1000).contains(&concurrency) {
            self.wrong("queue.concurrency", format!("{concurrency} is not in 1–1000"), "16 is the default");
        }
        let store = self.folder.join(queue.store.unwrap_or_else(|| ".towpath".into()));
        QueueConfig { url: queue.url, dead_letter_url: queue.dead_letter_url, store, concurrency }
    }

    fn ingest(&mut self, ingest: shape::Ingest, queue: &QueueConfig) -> IngestConfig {
        let listen = ingest.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
        let prefix = ingest.prefix.unwrap_or_else(|| "/hooks".to_owned());
        if !prefix.starts_with('/') || prefix.ends_with('/') || prefix.contains(['{', '}', '?', '#']) {
            self.wrong(
                "ingest.prefix",
                format!("{prefix:?} is no path such as \"/hooks\""),
                "start it with / and end it without",
            );
        }
        // SQS takes 1 MiB with everything; the local queue has room for the envelope's overhead.
        let (default, most) = match queue.url {
            Some(_) => (MAX_SQS_BODY, MAX_SQS_BODY),
            None => (MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
        };
        let body_limit = ingest.body_limit.map_or(default, |size| usize::try_from(size.0).unwrap_or(usize::MAX));
        if body_limit == 0 || body_limit > most {
            let hint = format!("a message holds at most 1 MiB, so here a body holds 1–{most} bytes");
            self.wrong("ingest.body_limit", format!("{body_limit} bytes cannot be stored"), hint);
        }
        IngestConfig { listen, prefix, body_limit }
    }

    fn holds(&mut self, holds: shape::Holds, queue: &QueueConfig) -> Option<S3Url> {
        if holds.url.is_some() && queue.url.is_none() {
            self.wrong(
                "holds.url",
                "is for queues of SQS",
                "with the local queue holds are kept in its store: leave it out",
            );
        }
        let url = holds.url?.parse();
        url.map_err(|problem: String| {
            self.wrong("holds.url", problem, "the host and `towpath hold` must both reach it")
        })
        .ok()
    }

    fn routes(&mut self, shapes: Vec<(usize, shape::Route)>, queue: &QueueConfig) -> Vec<Route> {
        let mut routes: Vec<(usize, Route)> = Vec::new();
        for (index, shape) in shapes {
            let Some(route) = self.route(&format!("route[{index}]"), shape, queue) else { continue };
            for (earlier, other) in &routes {
                if route.path == other.path {
                    let problem = format!("{:?} is the path of route[{earlier}] too", route.path);
                    self.wrong(format!("route[{index}].path"), problem, "give every route a path of its own");
                }
                if route.group.overlaps(&other.group) {
                    let problem = format!(
                        "{:?} overlaps with {:?} of route[{earlier}]",
                        route.group.as_str(),
                        other.group.as_str()
                    );
                    let hint = "start every template with a literal of its own, such as the route's name and a slash";
                    self.wrong(format!("route[{index}].group"), problem, hint);
                }
            }
            routes.push((index, route));
        }
        routes.into_iter().map(|(_, route)| route).collect()
    }

    fn route(&mut self, at: &str, route: shape::Route, queue: &QueueConfig) -> Option<Route> {
        let path = route.path.trim_matches('/').to_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if path.is_empty() || !path.chars().all(plain) || path.split('/').any(|part| part.is_empty() || part == "..") {
            self.wrong(
                format!("{at}.path"),
                format!("{:?} is no path", route.path),
                "use letters, digits, -, _, . and /",
            );
        }
        self.reference(format!("{at}.plugin"), "plugin", &route.plugin);
        let max_age = route.max_age.map_or(Duration::from_secs(3 * 24 * 3600), |span| span.0);
        let longest = MAX_RETENTION - Duration::from_secs(24 * 3600);
        if max_age < Duration::from_secs(60) || max_age > longest {
            let hint = "a queue forgets a message after 14 days at most: give up before that, to dead-letter it";
            self.wrong(format!("{at}.max_age"), "must be between 1m and 13d", hint);
        }
        let verify = match route.verify {
            None => None,
            Some(verify) => self.verify(&format!("{at}.verify"), verify),
        };
        let dedup = route.dedup.map(|dedup| dedup.parse::<Selector>().map_err(|error| (error.to_string(), dedup)));
        let dedup = match dedup.transpose() {
            Ok(dedup) => dedup,
            Err((problem, _)) => {
                self.wrong(format!("{at}.dedup"), problem, "dedup = \"header:x-event-id\" or \"json:/id\"");
                None
            }
        };
        let group = match route.group.parse::<Template>() {
            Ok(group) => group,
            Err(error) => {
                self.wrong(
                    format!("{at}.group"),
                    error.to_string(),
                    "group = \"crm/{json:/customer/id}\", for example",
                );
                return None;
            }
        };
        let on_dead_letter = match route.on_dead_letter {
            shape::OnDeadLetter::Continue => OnDeadLetter::Continue,
            shape::OnDeadLetter::Block => OnDeadLetter::Block,
            shape::OnDeadLetter::Park => OnDeadLetter::Park,
        };
        if on_dead_letter == OnDeadLetter::Park && queue.url.is_some() {
            let hint = "only the local queue can tell whether a group has dead letters: use \"block\" or \"continue\"";
            self.wrong(format!("{at}.on_dead_letter"), "\"park\" does not work with SQS", hint);
        }
        Some(Route { path, group, dedup, plugin: route.plugin, verify, on_dead_letter, max_age })
    }

    fn verify(&mut self, at: &str, verify: shape::Verify) -> Option<Verify> {
        let shape::Verify::HmacSha256 { header, prefix, secret } = verify;
        if http::HeaderName::try_from(header.as_str()).is_err() {
            self.wrong(format!("{at}.header"), format!("{header:?} is no header name"), "");
        }
        let secret = self.secret(format!("{at}.secret"), &secret)?;
        Some(Verify::HmacSha256 { header: header.to_ascii_lowercase(), prefix, secret })
    }

    fn plugin(&mut self, name: String, plugin: shape::Plugin) -> Settings {
        let at = format!("plugin.{name}");
        if let Some(digest) = &plugin.sha256
            && (digest.len() != 64 || hex::decode(digest).is_err())
        {
            self.wrong(format!("{at}.sha256"), "not 64 hex digits", "`towpath plugin build` prints the digest");
        }
        let defaults = Limits::default();
        let limits = Limits {
            memory: plugin.limits.memory.map_or(defaults.memory, |size| usize::try_from(size.0).unwrap_or(usize::MAX)),
            fuel: plugin.limits.fuel.unwrap_or(defaults.fuel),
            timeout: plugin.limits.timeout.map_or(defaults.timeout, |span| span.0),
        };
        if limits.timeout < Duration::from_millis(10) || limits.timeout > Duration::from_secs(60) {
            self.wrong(format!("{at}.limits.timeout"), "must be between 10ms and 60s", "2s is the default");
        }
        if limits.fuel == 0 {
            self.wrong(format!("{at}.limits.fuel"), "must be positive", "500_000_000 is the default");
        }
        let names = plugin.secrets.iter().enumerate();
        let secrets =
            names.filter_map(|(i, name)| Some((name.clone(), self.secret(format!("{at}.secrets[{i}]"), name)?)));
        let secrets = secrets.collect();
        Settings {
            path: self.folder.join(plugin.path),
            sha256: plugin.sha256.map(|digest| digest.to_ascii_lowercase()),
            limits,
            config: serde_json::Value::Object(plugin.config).to_string(),
            secrets,
            name,
        }
    }

    fn target(&mut self, name: String, target: shape::Target) -> Option<Target> {
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

    fn secret(&mut self, at: String, name: &str) -> Option<Secret> {
        let secret = self.secrets.get(name).filter(|secret| !secret.expose().is_empty());
        if secret.is_none() {
            let hint = format!("set the environment variable {}", Secrets::variable(name));
            self.wrong(at, format!("the secret {name:?} is not set"), hint);
        }
        secret
    }

    fn reference(&mut self, at: String, kind: &'static str, name: &str) {
        let names = self.named.get(kind).map(Vec::as_slice).unwrap_or_default();
        if !names.iter().any(|known| known == name) {
            let hint = match names.is_empty() {
                true => format!("add [{kind}.{name}]"),
                false => format!("known are: {}", names.join(", ")),
            };
            self.wrong(at, format!("there is no {kind} {name:?}"), hint);
        }
    }
}
