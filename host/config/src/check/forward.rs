//! What makes requests of a route's webhooks: `plugin`, or `target` and `forward`.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Method};

use super::super::{Config, shape};
use super::Checker;
use crate::headers::{as_read, grants_access, is_forbidden, steers};
use crate::route::{Forward, Mapping, PathPattern, Rollout};
use crate::value::{Part, Template};

/// The keys of a route that say it.
pub(super) struct MappingKeys {
    pub(super) plugin: Option<String>,
    pub(super) target: Option<String>,
    pub(super) forward: Option<shape::Forward>,
    pub(super) shadow: Option<String>,
    pub(super) canary: Option<String>,
}

impl Checker<'_> {
    /// With a mistake, something stands in for it, so that the rest of the route is checked too.
    pub(super) fn mapping(&mut self, at: &str, keys: MappingKeys, pattern: Option<&PathPattern>) -> Mapping {
        let MappingKeys { plugin, target, forward, shadow, canary } = keys;
        if target.is_none() && forward.is_some() {
            let hint = "target = \"NAME\" forwards the webhooks to that target; a plugin makes requests of its own";
            self.wrong(format!("{at}.forward"), "needs target", hint);
        }
        match (plugin, target) {
            (Some(name), Some(_)) => {
                let hint = "leave out plugin to forward what came, or target to let the plugin make the requests";
                self.wrong(format!("{at}.target"), "conflicts with plugin", hint);
                Mapping::Plugin { name, rollout: Rollout::default() }
            }
            (None, None) => {
                let hint =
                    "plugin = \"NAME\" maps the webhooks to requests, target = \"NAME\" forwards them as they came";
                self.wrong(format!("{at}.plugin"), "missing, and so is target", hint);
                Mapping::Plugin { name: String::new(), rollout: Rollout::default() }
            }
            (Some(name), None) => {
                self.reference(format!("{at}.plugin"), "plugin", &name);
                let rollout = self.rollout(at, &name, shadow, canary);
                Mapping::Plugin { name, rollout }
            }
            (None, Some(target)) => {
                self.reference(format!("{at}.target"), "target", &target);
                for (key, given) in [("shadow", shadow), ("canary", canary)] {
                    if given.is_some() {
                        let hint = "there is no plugin to try another build of: leave it out";
                        self.wrong(format!("{at}.{key}"), "conflicts with target", hint);
                    }
                }
                Mapping::Forward(self.forward(&format!("{at}.forward"), target, forward.unwrap_or_default(), pattern))
            }
        }
    }

    fn forward(&mut self, at: &str, target: String, forward: shape::Forward, pattern: Option<&PathPattern>) -> Forward {
        let method = forward.method.and_then(|name| self.method(&format!("{at}.method"), &name));
        let path_at = format!("{at}.path");
        let path = forward.path.and_then(|text| self.forwarded_path(&path_at, &text, pattern));
        let mut headers = Vec::new();
        for (name, text) in forward.headers {
            let at = format!("{at}.headers.{name}");
            let Some(template) = self.forwarded_value(&at, &text, pattern) else { continue };
            let Some(name) = self.own_header(&at, &name, template.literal().as_deref()) else { continue };
            headers.push((name, template));
        }
        Forward { target, method, path, headers }
    }

    /// A template of values that a webhook has.
    fn forwarded_value(&mut self, at: &str, text: &str, pattern: Option<&PathPattern>) -> Option<Template> {
        let template = self.template(at, text, &[])?;
        template.values().for_each(|value| self.key_value(at, value, pattern, false));
        Some(template)
    }

    fn forwarded_path(&mut self, at: &str, text: &str, pattern: Option<&PathPattern>) -> Option<Template> {
        let template = self.forwarded_value(at, text, pattern)?;
        // Whatever stands for the values.
        let part = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Value(_) => "x".to_owned(),
        };
        let path: String = template.parts().iter().map(part).collect();
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#".contains(&byte));
        let only_path = path.split('?').next().unwrap_or_default();
        let climbs = only_path.split('/').any(|segment| segment == "." || segment == "..");
        if !is_plain || climbs || !path.starts_with('/') || path.starts_with("//") {
            let hint = "begin with one /; spaces and the like are written %20: \"/v1/{path:tenant}/events\"";
            self.wrong(at, format!("{text:?} is not a path below the target's URL"), hint);
            return None;
        }
        Some(template)
    }

    /// The name of a header that the config sets. `fixed` is its value, if the config has all of it.
    fn own_header(&mut self, at: &str, name: &str, fixed: Option<&str>) -> Option<HeaderName> {
        let Ok(parsed) = HeaderName::try_from(name) else {
            self.wrong(at, format!("{name:?} is not a header name"), "");
            return None;
        };
        if is_forbidden(&parsed) {
            self.wrong(at, format!("{name:?} is set only by the host"), "leave it out");
        } else if fixed.is_some() && grants_access(&as_read(&parsed)) {
            let hint = "auth = { scheme = \"header\", name = \"…\", secret = \"NAME\" } of the target, for example";
            self.wrong(at, format!("{name:?} looks like a secret, which must not be in the config"), hint);
        } else if fixed.is_some_and(|text| HeaderValue::from_str(text).is_err()) {
            self.wrong(at, "the value has characters that are invalid in a header", "");
        } else {
            return Some(parsed);
        }
        None
    }

    /// `headers` of a target.
    pub(super) fn target_headers(
        &mut self,
        at: &str,
        headers: BTreeMap<String, String>,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mut all = Vec::new();
        for (name, text) in headers {
            let at = format!("{at}.headers.{name}");
            let Some(name) = self.own_header(&at, &name, Some(&text)) else { continue };
            if OF_REQUESTS.contains(&name.as_str()) {
                let hint = "it differs from request to request: leave it out";
                self.wrong(at, format!("{:?} belongs to each request", name.as_str()), hint);
                continue;
            }
            all.extend(HeaderValue::from_str(&text).ok().map(|value| (name, value)));
        }
        all
    }

    /// Whether what routes forward fits their targets.
    pub(super) fn forwarding(&mut self, config: &Config) {
        for (index, route) in config.routes.iter().enumerate() {
            let Some(forward) = route.mapping.forward() else { continue };
            let at = format!("route[{index}]");
            let cannot = |method: &&Method| UNSENDABLE.contains(method);
            if let Some(method) = &forward.method
                && cannot(&method)
            {
                let hint = "use GET, POST, PUT, PATCH or DELETE";
                self.wrong(format!("{at}.forward.method"), format!("{method} cannot be forwarded"), hint);
            }
            if let Some(method) = route.methods.iter().find(cannot)
                && forward.method.is_none()
            {
                let hint = "[[route.answer]] answers it; or set forward = { method = \"POST\" }";
                self.wrong(format!("{at}.methods"), format!("{method} cannot be forwarded"), hint);
            }
            let tokens = route.tokens();
            let of_headers = forward.headers.iter().map(|(name, template)| (format!("headers.{name}"), template));
            let templates = forward.path.iter().map(|path| ("path".to_owned(), path)).chain(of_headers);
            for (key, template) in templates {
                if let Some(value) = template.values().find(|value| tokens.iter().any(|own| own.source == value.source))
                {
                    let hint = "it has served its purpose: the target has auth of its own";
                    self.wrong(format!("{at}.forward.{key}"), format!("{{{value}}} is the secret of verify"), hint);
                }
            }
            let Some(http) = config.targets.get(&forward.target).and_then(|target| target.http()) else { continue };
            for (name, _) in &forward.headers {
                let at = format!("{at}.forward.headers.{name}");
                let target = &forward.target;
                if http.sets(name) {
                    self.wrong(at, format!("is set by the target {target:?}"), "leave it out, here or there");
                } else if steers(name) && !http.plugin_headers.contains(name) {
                    let problem = "can change the path, method, host, client or user of the request behind the target";
                    let hint = format!("if that is intended, add it to plugin_headers of target.{target}");
                    self.wrong(at, problem, hint);
                }
            }
        }
    }
}

/// The methods of routes that targets are not called with.
const UNSENDABLE: [Method; 2] = [Method::HEAD, Method::OPTIONS];

/// Headers that describe one request: its body, and its trace.
const OF_REQUESTS: [&str; 4] = ["content-type", "content-encoding", "traceparent", "tracestate"];
