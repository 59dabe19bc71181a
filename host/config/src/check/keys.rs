//! The keys that prove a webhook: secrets and public keys.

use super::super::{Form, Secret, shape};
use super::Checker;
use crate::tenant::TenantSecret;
use crate::value::{Besides, Filter, Source, Template};
use crate::verify::{Algorithm, Keys, NamedSecret, PublicKey};

impl Checker<'_> {
    /// How the key is made of the secret, and what the secret must look like for it.
    pub(super) fn key(&mut self, at: &str, key: Option<String>, algorithm: Algorithm) -> (Option<Template>, Form) {
        let text = key.unwrap_or_else(|| "{secret}".to_owned());
        let Some(template) = self.template(&format!("{at}.key"), &text, &[Besides::Secret]) else {
            return (None, Form::Key);
        };
        if !template.values().any(|value| value.source == Source::Secret) {
            self.wrong(format!("{at}.key"), "leaves out {secret}", "key = \"{secret|unbase64}\", for example");
        }
        let filters =
            template.values().find(|value| value.source == Source::Secret).map(|value| value.filters.as_slice());
        let form = match (algorithm.is_public(), filters.and_then(<[_]>::first)) {
            (true, _) => Form::PublicKey(algorithm),
            (_, Some(Filter::Unbase64)) => Form::Base64Key,
            (_, Some(Filter::Unhex)) => Form::HexKey,
            _ => Form::Key,
        };
        (Some(template), form)
    }

    /// The keys of a signature: secrets, or public keys.
    pub(super) fn keys_of(
        &mut self,
        at: &str,
        secret: Option<shape::Names>,
        public_key: Option<shape::Names>,
        algorithm: Algorithm,
        form: Form,
    ) -> Option<Keys> {
        match (secret, public_key) {
            (Some(secret), None) => Some(self.keys(at, secret, form)),
            (None, Some(texts)) if algorithm.is_public() => {
                let texts = texts.indexed();
                if texts.is_empty() {
                    self.wrong(format!("{at}.public_key"), "an empty list", "");
                }
                let mut keys = Vec::new();
                for (suffix, text) in texts {
                    match PublicKey::read(&text, algorithm) {
                        Ok(key) => keys.push(key),
                        Err(problem) => {
                            let hint = "PEM (BEGIN PUBLIC KEY), or base64 or hex as the sender shows it";
                            self.wrong(format!("{at}.public_key{suffix}"), problem.to_string(), hint);
                        }
                    }
                }
                Some(Keys::Public(keys))
            }
            (None, Some(_)) => {
                let hint = "secret = \"NAME\" names the secret: the algorithm uses no public key";
                self.wrong(format!("{at}.public_key"), "cannot be used with this algorithm", hint);
                None
            }
            (Some(_), Some(_)) => {
                self.wrong(format!("{at}.public_key"), "cannot stand beside secret", "leave out one of them");
                None
            }
            (None, None) => {
                let key = if algorithm.is_public() { "public_key" } else { "secret" };
                let others =
                    if algorithm.is_public() { ", or say where to fetch it: jwks, certificate or fetch" } else { "" };
                self.wrong(at, format!("missing field `{key}`"), format!("add {key} = …{others}"));
                None
            }
        }
    }

    pub(super) fn keys(&mut self, at: &str, names: shape::Names, form: Form) -> Keys {
        let names = names.indexed();
        let at = format!("{at}.secret");
        self.are_named(&at, &names);
        if names.iter().any(|(_, name)| name.contains(['{', '}'])) {
            return Keys::OfTenant(self.tenant_secrets(&at, &names, form));
        }
        let named = names.into_iter().filter_map(|(suffix, name)| {
            let at = format!("{at}{suffix}");
            let value = if self.learning.is_on { self.learned(at, &name, form) } else { self.secret(at, &name, form) }?;
            Some(NamedSecret { name, value })
        });
        Keys::Secrets(named.collect())
    }

    /// Names that end in a value of the webhook.
    fn tenant_secrets(&mut self, at: &str, names: &[(String, String)], form: Form) -> Vec<TenantSecret> {
        let mut found: Vec<TenantSecret> = Vec::new();
        for (suffix, name) in names {
            let at = format!("{at}{suffix}");
            let Some(template) = self.template(&at, name, &[]) else { continue };
            match TenantSecret::new(&template, form, self.secrets) {
                Ok(secret) => {
                    let (one, overlaps) = (secret.prefix(), |other: &TenantSecret| {
                        let (one, other) = (secret.prefix(), other.prefix());
                        one.starts_with(other) || other.starts_with(one)
                    });
                    if found.iter().any(overlaps) {
                        let hint = "[\"crm-new-{path:tenant}\", \"crm-old-{path:tenant}\"], for example";
                        let problem =
                            format!("{one:?} and another prefix are not distinct: two tenants could have one secret");
                        self.wrong(at, problem, hint);
                    }
                    found.push(secret);
                }
                Err(problem) => {
                    let hint = "secret = \"crm-{path:tenant}\", with a prefix that only these secrets have";
                    self.wrong(at, format!("{name:?} {problem}"), hint);
                }
            }
        }
        found
    }

    /// The secrets of these names, each with its index in the list; at least one is required.
    pub(super) fn secrets(&mut self, at: &str, names: &[(String, String)], form: Form) -> Vec<Secret> {
        self.are_named(at, names);
        names.iter().filter_map(|(index, name)| self.secret(format!("{at}{index}"), name, form)).collect()
    }

    /// The user of `basic`. RFC 7617, section 2.
    pub(super) fn user(&mut self, at: &str, user: &str) {
        if user.contains(':') || user.contains(char::is_control) {
            let hint = "a name without colons and control characters: a colon separates it from the password";
            self.wrong(format!("{at}.user"), format!("{user:?} is not a valid user name"), hint);
        }
    }

    /// A header's name in lower case.
    pub(super) fn header_name(&mut self, at: &str, name: &str) -> Option<String> {
        match http::HeaderName::try_from(name) {
            Ok(name) => Some(name.as_str().to_owned()),
            Err(_) => {
                self.wrong(at, format!("{name:?} is not a header name"), "");
                None
            }
        }
    }

    pub(super) fn are_named(&mut self, at: &str, names: &[(String, String)]) {
        if names.is_empty() {
            self.wrong(at, "an empty list", "name at least one secret; during rotation, the new one first");
        }
        for (position, (index, name)) in names.iter().enumerate() {
            if names.iter().take(position).any(|(_, before)| before == name) {
                self.wrong(format!("{at}{index}"), format!("{name:?} is listed twice"), "name each secret once");
            }
        }
    }
}
