//! `keep` of an answer: the secret of the route comes in a handshake.

use std::sync::Arc;

use super::super::{Form, Secret, shape};
use super::Checker;
use crate::answer::Keep;
use crate::secrets::{Learned, is_name, variable};
use crate::verify::{Keys, Verification};

impl Checker<'_> {
    /// `verify` of a route, whose secrets may be ones that a handshake brings.
    pub(super) fn verify_learning(&mut self, at: &str, verify: toml::Value, learns: bool) -> Option<Verification> {
        self.learning.own.clear();
        self.learning.is_on = learns;
        let verify = self.verify(at, verify);
        self.learning.is_on = false;
        verify
    }

    /// A secret that a handshake brings.
    pub(super) fn learned(&mut self, at: String, name: &str, form: Form) -> Option<Secret> {
        if self.secrets.is_weak(name, form) {
            self.weak.insert(name.to_owned(), at.clone());
        }
        if let Some(same) = self.learning.own.iter().find(|own| own.name() == name).cloned() {
            if let Err(problem) = same.also_used_as(form) {
                self.wrong(at, format!("the secret {name:?} cannot be used: {problem}"), "");
            }
            return Some(same.value().clone());
        }
        match self.secrets.learned(name, form, self.learning.store.as_deref()) {
            Ok(learned) => {
                let value = learned.value().clone();
                self.learning.own.push(Arc::new(learned));
                Some(value)
            }
            Err(why) => self.unavailable(at, form, why),
        }
    }

    /// `keep`, where the keys beside it allow it.
    pub(super) fn kept_by(&mut self, at: &str, shape: &shape::Answer, verify: Option<&Verification>) -> Option<Keep> {
        let value = self.value(&format!("{at}.keep"), shape.keep.as_deref()?, &[]);
        let besides = [("token", shape.token.is_some()), ("verified", shape.verified), ("call", shape.call.is_some())];
        for (key, _) in besides.into_iter().filter(|(_, is_given)| *is_given) {
            let hint = "a handshake that brings the secret cannot be proven by it: `towpath secret arm` protects the route instead";
            self.wrong(format!("{at}.{key}"), "cannot stand beside keep", hint);
        }
        let route = at.split_once(".answer").map_or(at, |(route, _)| route).to_owned();
        let secret = self.kept_secret(at, &route, verify)?;
        Some(Keep { value: value?, secret })
    }

    /// The secret that `verify` of the route names.
    fn kept_secret(&mut self, at: &str, route: &str, verify: Option<&Verification>) -> Option<Arc<Learned>> {
        let verify_at = format!("{route}.verify");
        let Some(verify) = verify else {
            if self.found.is_sound(&verify_at) {
                let hint = "add verify = { …, secret = \"NAME\" } to the route: the secret that is kept gets this name";
                self.wrong(format!("{at}.keep"), "the route has no verify", hint);
            }
            return None;
        };
        if !verify.at_ingest {
            let hint = "leave out at = \"pipeline\": ingest learns the secret, and verifies with it";
            self.wrong(&verify_at, "a secret that a handshake brings needs at = \"ingest\"", hint);
        }
        let hint =
            "secret = \"NAME\" in verify, the same name in each of its tables: the secret that is kept gets this name";
        if !verify.ways.iter().all(|way| matches!(way.keys, Keys::Secrets(_))) {
            self.wrong(&verify_at, "keep needs a verify whose keys are secrets with fixed names", hint);
            return None;
        }
        let first = self.learning.own.first().cloned()?;
        if verify.secret_names().any(|name| name != first.name()) {
            self.wrong(format!("{verify_at}.secret"), "keep needs exactly one secret in verify", hint);
            return None;
        }
        if !is_name(first.name()) {
            let problem = format!("{:?} cannot be the name of a secret that is kept", first.name());
            let hint = "use up to 128 letters, digits, -, _ and ., beginning with a letter or digit";
            self.wrong(format!("{verify_at}.secret"), problem, hint);
            return None;
        }
        let other = self.learning.routes.entry(variable(first.name())).or_insert_with(|| route.to_owned());
        if other != route {
            let problem = format!("{:?} is the secret that {other} keeps", first.name());
            let hint =
                "each webhook has a secret of its own: give this route another name, such as secret = \"NAME-2\"";
            self.wrong(format!("{verify_at}.secret"), problem, hint);
        }
        Some(first)
    }

    /// A secret that a handshake brings is for the webhooks of its route only.
    pub(super) fn learned_alone(&mut self) {
        let used = std::mem::take(&mut self.used);
        for (name, places) in used {
            // `name#key` is a value inside of the secret.
            let whole = name.split_once('#').map_or(name.as_str(), |(whole, _)| whole);
            let Some(route) = self.learning.routes.get(&variable(whole)).cloned() else { continue };
            for at in places {
                let problem =
                    format!("{name:?} is the secret that {route} keeps: whoever sends a handshake chooses it");
                self.wrong(at, problem, "use a secret of another name");
            }
        }
    }

    /// Nor may it be the secret of a tenant.
    pub(super) fn learned_beside_tenants(&mut self, prefixes: &[(usize, String)]) {
        for (index, prefix) in prefixes {
            let known = self.learning.routes.iter().find(|(name, _)| name.starts_with(&variable(prefix)));
            let Some(route) = known.map(|(_, route)| route.clone()) else { continue };
            let problem = format!(
                "secrets begin with {prefix:?}, and so does the one that {route} keeps: a tenant could have it"
            );
            self.wrong(format!("route[{index}].verify"), problem, "use another prefix");
        }
    }

    /// Whether a value outside of the config wins over what a handshake brings.
    pub(super) fn is_given(&self, keep: &Keep) -> bool {
        !keep.secret.is_learnable() && self.secrets.is_set(keep.secret.name())
    }
}
