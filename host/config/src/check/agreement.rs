//! Checks across tables.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::super::{Config, Mistake};
use super::routes::SHORTEST_MAX_AGE;
use super::{Checker, archive, console};
use crate::target::{Http, Target};
use crate::value::{Filter, Value};
use crate::verify::Keys;

impl Checker<'_> {
    pub(super) fn agreement(&mut self, config: &Config) {
        self.forwarding(config);
        // An invalid max_age says nothing about the targets.
        let ages = config.routes.iter().map(|route| route.max_age);
        let longest = ages.filter(|max_age| *max_age >= SHORTEST_MAX_AGE).max();
        for (name, target) in &config.targets {
            if target.http().is_some_and(|http| is_reached_at(config.ingest.listen, &http.url))
                && config.queue.url.is_none()
            {
                let hint = "messages would loop forever: the target must be another server";
                self.wrong(format!("target.{name}.url"), "is the address that ingest listens on", hint);
            }
            if longest.is_some_and(|longest| target.backoff.base >= longest) {
                let hint = "nothing would ever be retried: make base shorter, or max_age longer";
                let problem = "is not shorter than the max_age of any route";
                self.wrong(format!("target.{name}.retry.base"), problem, hint);
            }
        }
    }

    /// Configs that do no harm but are probably not intended.
    pub(super) fn warnings(&self, config: &Config) -> Vec<Mistake> {
        let warning = |at: String, problem: &str, hint: &str| Mistake {
            at,
            problem: problem.to_owned(),
            hint: hint.to_owned(),
            line: None,
        };
        let mut warnings = Vec::new();
        if config.routes.iter().next().is_none() && self.found.is_sound("route") {
            let hint = "add [[route]] with path, group, and plugin or target";
            warnings.push(warning("route".to_owned(), "there is no route: all webhooks are rejected with 404", hint));
        }
        let used = |name: &str| {
            config.routes.iter().any(|route| route.mapping.plugins().any(|own| own == name)) || name.contains('@')
        };
        for name in config.plugins.keys().filter(|name| !used(name) && self.found.is_sound("route")) {
            warnings.push(warning(format!("plugin.{name}"), "no route uses it", "it is loaded nevertheless"));
        }
        for (name, plugin) in &config.plugins {
            let taken = |secret: &str| https(config).any(|http| http.plugin_secrets.contains(secret));
            for secret in plugin.secrets.keys().filter(|secret| !taken(secret) && self.found.is_sound("target")) {
                let problem = format!("no target accepts the secret {secret:?} from plugins");
                let hint = "add it to plugin_secrets of its target";
                warnings.push(warning(format!("plugin.{name}.secrets"), &problem, hint));
            }
        }
        for (index, route) in config.routes.iter().enumerate() {
            let has_payload = |value: &&Value| value.filters.contains(&Filter::JwtPayload);
            let checks = |value: &Value| route.verify.as_ref().is_some_and(|verify| verify.checks_token(value));
            if route.unwrap.as_ref().filter(has_payload).is_some_and(|value| !checks(value)) {
                let problem = "the payload of a token is used, but nothing checks the token: anybody can write one";
                let hint = "add verify = { scheme = \"jwt\", token = … } with the same value";
                warnings.push(warning(format!("route[{index}].unwrap"), problem, hint));
            }
            let Some(verification) = &route.verify else {
                if route.admission.from.is_empty() && self.found.is_sound(&format!("route[{index}].verify")) {
                    let hint = "add verify or provider; or allow_from, if only certain addresses can send";
                    let problem = "no proof of the sender: anyone who knows the URL can send events";
                    warnings.push(warning(format!("route[{index}]"), problem, hint));
                }
                continue;
            };
            if let Some(keep) =
                route.answers.iter().find_map(|answer| answer.keep.as_ref()).filter(|keep| self.is_given(keep))
            {
                let problem =
                    format!("the secret {:?} is set in the environment, so no handshake brings it", keep.secret.name());
                let hint =
                    "unset it to learn the secret from the sender; keep it if you chose the secret there yourself";
                warnings.push(warning(format!("route[{index}].verify.secret"), &problem, hint));
            }
            let may_vanish = route.learned().is_some()
                || verification.ways.iter().any(|way| matches!(way.keys, Keys::Fetched(_) | Keys::OfTenant(_)));
            if verification.at_ingest && may_vanish && config.queue.url.is_some() && config.note_keys.is_empty() {
                let hint = "add dead_letters.note_key, by which the front door vouches for what it verified";
                let problem = "is verified again after waiting in the queue: a key that the sender withdrew or replaced meanwhile makes \
                    its messages dead letters";
                warnings.push(warning(format!("route[{index}].verify"), problem, hint));
            }
            if !verification.at_ingest && route.dedup.is_some() {
                let hint = "leave at out to verify at the front door, where a repeat is recognised by its key";
                let problem = "verified only in the pipeline: a repeat with a new signature is stored again, because an unverified \
                    key must not take the place of a verified one";
                warnings.push(warning(format!("route[{index}].verify.at"), problem, hint));
            }
            for (key, name) in route.unsigned_headers() {
                let problem = format!("the header {name:?} is not signed: a replayed webhook can change it");
                let hint = "use a value in the body, or a header that the signature covers";
                warnings.push(warning(format!("route[{index}].{key}"), &problem, hint));
            }
        }
        for (at, pointer) in archive::unredacted(config) {
            let problem =
                format!("shows {pointer}, which archive.redact removes from bodies: keys are archived as they are");
            let hint = "hash it, as in json:/customer/email|sha256|hex, or use another value";
            warnings.push(warning(at, &problem, hint));
        }
        for (at, document) in archive::other_documents(config) {
            let problem = format!("archive.redact looks for its pointers in what is archived, here {document}");
            let hint = "see that the pointers name the values there, with `towpath archive show`";
            warnings.push(warning(at, &problem, hint));
        }
        for (name, _) in config.targets.iter().filter(|(_, target)| sends_secrets_in_clear(target)) {
            let hint = "anybody on the network can read them: make the URL https";
            warnings.push(warning(format!("target.{name}.url"), "secrets are sent over plain http", hint));
        }
        warnings.extend(console::warnings(config));
        for (name, at) in &self.weak {
            let problem = format!(
                "the secret {name:?} looks short or predictable: it seems to have less than 128 bits of entropy"
            );
            let hint = "if you can choose it, generate a random one with `openssl rand -hex 32`";
            warnings.push(warning(at.clone(), &problem, hint));
        }
        warnings
    }
}

fn https(config: &Config) -> impl Iterator<Item = &Http> {
    config.targets.values().filter_map(Target::http)
}

fn sends_secrets_in_clear(target: &Target) -> bool {
    target.http().is_some_and(|http| http.url.scheme() == "http" && !http.reach.allow_private && !http.auth.is_empty())
}

/// Whether a request to this URL reaches a server that listens here on this machine.
fn is_reached_at(listen: SocketAddr, url: &Url) -> bool {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain("localhost")) => Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        Some(Host::Domain(_)) | None => None,
    };
    let here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    url.scheme() == "http"
        && url.port_or_known_default() == Some(listen.port())
        && address.is_some_and(|ip| ip == listen.ip() || here(ip) && here(listen.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_address_is_recognised_in_every_spelling() {
        let reached = |listen: &str, url: &str| is_reached_at(listen.parse().unwrap(), &url.parse().unwrap());
        for url in ["http://127.0.0.1:8080/x", "http://localhost:8080", "http://[::1]:8080", "http://0.0.0.0:8080"] {
            assert!(reached("127.0.0.1:8080", url) && reached("0.0.0.0:8080", url), "{url}");
        }
        assert!(reached("10.0.0.5:8080", "http://10.0.0.5:8080/hooks/a") && reached("0.0.0.0:80", "http://127.1/"));
        for url in ["http://127.0.0.1:8081", "http://10.0.0.5:8080", "http://sss.example:8080"] {
            assert!(!reached("127.0.0.1:8080", url), "{url}");
        }
    }
}
