//! `[[route]]`.

use std::time::Duration;

use super::super::{IngestConfig, QueueConfig, shape};
use super::Checker;
use super::forward::MappingKeys;
use crate::registry::{CANDIDATE, Reference};
use crate::route::{Canary, OnDeadLetter, PathPattern, Rollout, Route, Share, Template};
use crate::value::{Besides, Source, Value};
use crate::verify::Verification;
use towpath_types::queue::MAX_RETENTION;

/// Paths that the host answers itself.
const OWN: [&str; 3] = ["healthz", "readyz", "metrics"];

/// The shortest `max_age` of a route.
pub(super) const SHORTEST_MAX_AGE: Duration = Duration::from_secs(60);

impl Checker<'_> {
    pub(super) fn routes(
        &mut self,
        shapes: Vec<(usize, shape::Route)>,
        queue: &QueueConfig,
        ingest: &IngestConfig,
    ) -> Vec<Route> {
        let mut routes: Vec<(usize, Route)> = Vec::new();
        let mut prefixes = Vec::new();
        for (index, shape) in shapes {
            let Some(route) = self.route(&format!("route[{index}]"), shape, queue) else { continue };
            if ingest.prefix.is_empty() && OWN.contains(&route.path.as_str()) {
                let hint = "give the route another path, or ingest a prefix such as \"/hooks\"";
                let problem = format!("without ingest.prefix the host itself answers /{}", route.path);
                self.wrong(format!("route[{index}].path"), problem, hint);
            }
            for (earlier, other) in &routes {
                if route.path == other.path {
                    let problem = format!("{:?} is also the path of route[{earlier}]", route.path);
                    self.wrong(format!("route[{index}].path"), problem, "give every route its own path");
                } else if route.pattern.conflicts(&other.pattern) {
                    let problem =
                        format!("{:?} and {:?} of route[{earlier}] match the same paths", route.path, other.path);
                    self.wrong(format!("route[{index}].path"), problem, "give every route its own path");
                }
                if route.group.overlaps(&other.group) {
                    let problem = format!(
                        "{:?} overlaps with {:?} of route[{earlier}]",
                        route.group.as_str(),
                        other.group.as_str()
                    );
                    let hint = "begin every template with a unique literal, such as the route's name and a slash";
                    self.wrong(format!("route[{index}].group"), problem, hint);
                }
            }
            if let Some(verify) = &route.verify {
                self.tenant_prefixes(index, verify, &mut prefixes);
            }
            routes.push((index, route));
        }
        self.learned_beside_tenants(&prefixes);
        routes.into_iter().map(|(_, route)| route).collect()
    }

    /// The secret of a tenant of one route must not be that of another tenant elsewhere. With the same prefix a name means
    /// the same tenant everywhere.
    fn tenant_prefixes(&mut self, index: usize, verify: &Verification, before: &mut Vec<(usize, String)>) {
        for way in &verify.ways {
            let own: Vec<String> = way.keys.tenant_secrets().iter().map(|secret| secret.prefix().to_owned()).collect();
            for prefix in &own {
                let overlaps = |(_, other): &&(usize, String)| {
                    prefix != other && (prefix.starts_with(other.as_str()) || other.starts_with(prefix.as_str()))
                };
                if let Some((earlier, other)) = before.iter().find(overlaps) {
                    let hint =
                        "let no prefix begin with another one: \"crm-us-{path:tenant}\" and \"crm-eu-{path:tenant}\"";
                    let problem = format!(
                        "secrets begin with {prefix:?}, and those of route[{earlier}] with {other:?}: two tenants could have one secret"
                    );
                    self.wrong(format!("route[{index}].verify"), problem, hint);
                }
            }
            before.extend(own.into_iter().map(|prefix| (index, prefix)));
        }
    }

    fn route(&mut self, at: &str, route: shape::Route, queue: &QueueConfig) -> Option<Route> {
        let path = route.path.trim_matches('/').to_owned();
        let pattern = PathPattern::read(&path);
        if pattern.is_none() {
            self.wrong(
                format!("{at}.path"),
                format!("{:?} is not a path", route.path),
                "use letters, digits, -, _, . and /; a segment may be {name}, and the last one * for whatever follows",
            );
        }
        let mut methods = Vec::new();
        for (number, name) in route.methods.unwrap_or_else(|| vec!["POST".to_owned()]).iter().enumerate() {
            methods.extend(self.method(&format!("{at}.methods[{number}]"), name));
        }
        if methods.is_empty() {
            self.wrong(format!("{at}.methods"), "an empty list", "[\"POST\"] is the default");
        }
        let ingress = route.ingress;
        let shape::Route { plugin, target, forward, shadow, canary, .. } = route;
        let mapping = self.mapping(at, MappingKeys { plugin, target, forward, shadow, canary }, pattern.as_ref());
        let max_age = route.max_age.map_or(Duration::from_secs(3 * 24 * 3600), |span| span.0);
        let longest = MAX_RETENTION - Duration::from_secs(24 * 3600);
        if max_age < SHORTEST_MAX_AGE || max_age > longest {
            let hint =
                "a queue deletes messages after at most 14 days: give up earlier, so that they are dead-lettered";
            self.wrong(format!("{at}.max_age"), "must be between 1m and 13d", hint);
        }
        let verify_at = format!("{at}.verify");
        let learns = route.answer.iter().any(|answer| answer.keep.is_some());
        let verify = route.verify.and_then(|verify| self.verify_learning(&verify_at, verify, learns));
        if let (Some(verify), Some(pattern)) = (&verify, &pattern) {
            verify.values().for_each(|value| self.segment(&verify_at, value, pattern));
        }
        let answers = self.answers(at, route.answer, verify.as_ref());
        let ack = route.ack.and_then(|ack| self.ack(at, ack));
        let dedup = match route.dedup.map(|dedup| dedup.parse::<Value>()).transpose() {
            Ok(dedup) => dedup,
            Err(error) => {
                self.wrong(format!("{at}.dedup"), error.to_string(), "dedup = \"header:x-event-id\" or \"json:/id\"");
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
        let unwrap = route.unwrap.and_then(|unwrap| self.value(&format!("{at}.unwrap"), &unwrap, &[]));
        let split = self.split(at, route.split, verify.as_ref());
        for (key, value) in
            group.values().map(|value| ("group", value)).chain(dedup.iter().map(|value| ("dedup", value)))
        {
            self.key_value(&format!("{at}.{key}"), value, pattern.as_ref(), split.is_some());
        }
        let admission = self.admission(at, &route.allow_from, route.rate);
        let on_missing_key = route.on_missing_key;
        let on_dead_letter = route.on_dead_letter;
        if on_dead_letter == OnDeadLetter::Park && queue.url.is_some() {
            let hint = "only the local queue can tell whether a group has dead letters: use \"block\" or \"continue\"";
            self.wrong(format!("{at}.on_dead_letter"), "\"park\" does not work with SQS", hint);
        }
        let checked = Route {
            path,
            pattern: pattern?,
            methods,
            answers,
            ack,
            group,
            dedup,
            unwrap,
            split,
            on_missing_key,
            mapping,
            admission,
            verify,
            on_dead_letter,
            max_age,
            unready: self.unready(at),
        };
        if ingress == shape::Ingress::Direct {
            self.direct(at, &checked, queue);
        }
        Some(checked)
    }

    /// A value that a webhook is stored under.
    pub(super) fn key_value(&mut self, at: &str, value: &Value, pattern: Option<&PathPattern>, splits: bool) {
        if !value.besides().all(|read| splits && read == Besides::Item) {
            self.wrong(
                at,
                format!("{value} cannot be used here"),
                "docs/configure.md#values says where each value is known",
            );
        }
        if let Some(pattern) = pattern {
            self.segment(at, value, pattern);
        }
    }

    /// A segment that a value names must be one of the path.
    fn segment(&mut self, at: &str, value: &Value, pattern: &PathPattern) {
        let Source::Segment(name) = &value.source else { return };
        if !pattern.names().any(|own| own == name) {
            let hint = format!("path = \"{pattern}/{{{name}}}\" has one, for example");
            self.wrong(at, format!("the route's path has no segment {{{name}}}"), hint);
        }
    }

    pub(super) fn rollout(
        &mut self,
        at: &str,
        plugin: &str,
        shadow: Option<String>,
        canary: Option<String>,
    ) -> Rollout {
        let shadow = shadow.filter(|shadow| {
            let base = shadow.split('@').next().unwrap_or_default();
            self.reference(format!("{at}.shadow"), "plugin", base);
            let well_formed = !shadow.contains('@') || shadow.parse::<Reference>().is_ok();
            if shadow == plugin {
                let hint =
                    format!("a plugin always agrees with itself: shadow = \"{plugin}@{CANDIDATE}\", for example");
                self.wrong(format!("{at}.shadow"), "is the route's own plugin", hint);
            }
            if !well_formed {
                let hint = format!("shadow = \"{base}@{CANDIDATE}\", for example");
                self.wrong(format!("{at}.shadow"), format!("{shadow:?} is not a plugin with a version"), hint);
            }
            well_formed
        });
        let canary = canary.and_then(|share| match share.parse::<Share>() {
            Ok(share) => Some(Canary { plugin: format!("{plugin}@{CANDIDATE}"), share }),
            Err(problem) => {
                let hint = format!("canary = \"5%\" gives every twentieth group to {plugin}@{CANDIDATE}");
                self.wrong(format!("{at}.canary"), problem, hint);
                None
            }
        });
        Rollout { shadow, canary }
    }
}
