//! Which headers hold secrets, and so are not shown, nor written into cases: by their names, by what the config says of its routes
//! and targets, and by what a dead letter says of its own route.

use std::collections::BTreeSet;

use serde_json::Value;
use towpath_config::Config;
use towpath_config::target::{Auth, Target};
use towpath_types::envelope::{self, Webhook};
use towpath_types::message::Message;
use towpath_types::queue::{Attribute, AttributeValue, Attributes};

/// Parts of names of headers that let others in.
const KEYS: [&str; 15] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "passwd",
    "credential",
    "api-key",
    "apikey",
    "access-key",
    "auth-key",
    "functions-key",
    "hook-key",
    "private-key",
    "subscription-key",
];

/// Words in such names; as parts of others they say nothing (`x-author`).
const WORDS: [&str; 4] = ["auth", "jwt", "pass", "session"];

/// Parts of names of headers that prove who sent a message. That lets nobody in, and is shown; in a case it is of no use.
const PROOFS: [&str; 2] = ["signature", "hmac"];

/// A shorter value may be in any other by chance.
const TELLING: usize = 6;

/// The headers that hold secrets. Without a config these are the ones that their names give away.
#[derive(Clone, Debug, Default)]
pub struct SecretHeaders {
    secrets: BTreeSet<String>,
    proofs: BTreeSet<String>,
}

impl SecretHeaders {
    /// Those of the built-in list, and those that a config names: the tokens of its routes and the auth of its targets.
    pub fn of(config: Option<&Config>) -> SecretHeaders {
        let mut headers = SecretHeaders::default();
        let Some(config) = config else { return headers };
        for route in config.routes.iter() {
            headers.secrets.extend(route.secret_header().map(as_read));
            headers.proofs.extend(route.verify.as_ref().and_then(|verify| verify.proof_header()).map(as_read));
        }
        let auth = config.targets.values().filter_map(Target::http).flat_map(|http| &http.auth).flat_map(Auth::headers);
        headers.secrets.extend(auth.map(|name| as_read(name.as_str())));
        headers
    }

    /// And this one, if there is one.
    #[must_use]
    pub fn and(mut self, name: Option<&str>) -> SecretHeaders {
        self.secrets.extend(name.map(as_read));
        self
    }

    /// Whether a header's value may let others in.
    pub fn has(&self, name: &str) -> bool {
        let name = as_read(name);
        KEYS.iter().any(|part| name.contains(part))
            || name.split('-').any(|word| WORDS.contains(&word))
            || self.secrets.contains(&name)
    }

    /// Whether a header's value proves who sent a message.
    pub fn has_proof(&self, name: &str) -> bool {
        let name = as_read(name);
        PROOFS.iter().any(|part| name.contains(part)) || self.proofs.contains(&name)
    }

    /// A webhook whose secret values say how long they were, and nothing else.
    pub fn hidden(&self, mut webhook: Webhook) -> Webhook {
        for (_, value) in webhook.headers.iter_mut().filter(|(name, _)| self.has(name)) {
            *value = hidden(value).into_bytes();
        }
        webhook
    }

    /// A queue's body with that done to its headers, if it is an envelope; another has none.
    pub fn hidden_in_body(&self, body: String) -> String {
        if !envelope::is_envelope(&body) {
            return body;
        }
        match envelope::decode(&body) {
            Ok(webhook) => envelope::encode(&self.hidden(webhook)),
            // It may hold any header.
            Err(_) => hidden(body.as_bytes()),
        }
    }

    /// The attributes of a message, which are its headers where it has no envelope, with that done to them.
    pub fn hidden_in_attributes(&self, mut attributes: Attributes) -> Attributes {
        for (_, attribute) in attributes.iter_mut().filter(|(name, _)| self.has(name)) {
            let value = match &attribute.value {
                AttributeValue::Text(text) => hidden(text.as_bytes()),
                AttributeValue::Binary(bytes) => hidden(bytes),
            };
            *attribute = Attribute::text(value);
        }
        attributes
    }

    /// Hides the secrets in the headers of a verdict's requests: by their names, and where a plugin copied one of this message's.
    pub fn hide_in_verdict(&self, verdict: &mut Value, message: &Message) {
        let secrets: Vec<&[u8]> =
            message.headers.iter().filter(|(name, _)| self.has(name)).map(|(_, value)| &value[..]).collect();
        let holds = |text: &str, secret: &[u8]| {
            secret.len() >= TELLING && text.as_bytes().windows(secret.len()).any(|window| window == secret)
        };
        let requests = verdict.get_mut("deliver").and_then(Value::as_array_mut);
        let headers = requests.into_iter().flatten().filter_map(|request| request.get_mut("headers")?.as_array_mut());
        for header in headers.flatten() {
            let name = header.get(0).and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(value) = header.get_mut(1)
                && let Some(text) = value.as_str()
                && (self.has(&name) || secrets.iter().any(|secret| holds(text, secret)))
            {
                *value = hidden(text.as_bytes()).into();
            }
        }
    }
}

/// What stands in the place of a value.
fn hidden(value: &[u8]) -> String {
    format!("(hidden, {} bytes)", value.len())
}

/// A name as servers read it that hand headers on as variables.
fn as_read(name: impl AsRef<str>) -> String {
    name.as_ref().to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use towpath_config::Secrets;

    use super::*;

    fn headers() -> SecretHeaders {
        let text = "[[route]]\npath = 'a'\ngroup = 'a/x'\nplugin = 'p'\nverify = { scheme = 'header', name = 'X-Visitor', secret = 's' }\n\
            [[route]]\npath = 'b'\ngroup = 'b/x'\nplugin = 'p'\nverify = { scheme = 'hmac', header = 'x-seal', secret = 's' }\n\
            [plugin.p]\npath = 'p'\n\
            [target.t]\nurl = 'https://a.example'\nauth = { scheme = 'header', name = 'x_door', secret = 's' }\n";
        let config = Config::parse(text, Path::new("towpath.toml"), &Secrets::placeholders()).expect("a config");
        SecretHeaders::of(Some(&config)).and(Some("x-of-letter"))
    }

    #[test]
    fn secrets_are_known_by_their_names_by_the_config_and_by_the_letter() {
        for name in [
            "authorization",
            "Proxy-Authorization",
            "set-cookie",
            "x-gitlab-token",
            "X-Hook-Key",
            "x_auth",
            "x-auth-user",
        ] {
            assert!(SecretHeaders::default().has(name), "{name}");
        }
        for name in ["x-author", "x-event-key", "idempotency-key", "content-type", "x-passenger", "stripe-signature"] {
            assert!(!headers().has(name), "{name}");
        }
        for name in ["x-visitor", "X-VISITOR", "x_visitor", "x-door", "x-of-letter"] {
            assert!(headers().has(name), "{name}");
            assert!(!SecretHeaders::of(None).has(name), "{name}");
        }
        assert!(headers().has_proof("x-seal") && headers().has_proof("stripe-signature") && !headers().has("x-seal"));
    }

    #[test]
    fn a_body_in_its_envelope_keeps_all_but_the_values_of_secrets() {
        let webhook = Webhook {
            headers: vec![("x-visitor".to_owned(), b"s3cret".to_vec()), ("x".to_owned(), b"\xff".to_vec())],
            body: b"{}".to_vec(),
        };
        let shown = headers().hidden_in_body(envelope::encode(&webhook));
        let shown = envelope::decode(&shown).expect("an envelope");
        assert_eq!(shown.headers[0].1, b"(hidden, 6 bytes)");
        assert_eq!((&shown.headers[1], &shown.body), (&webhook.headers[1], &webhook.body));
        assert_eq!(headers().hidden_in_body("plain".to_owned()), "plain");
    }

    #[test]
    fn a_verdict_shows_no_secret_that_a_plugin_copied() {
        let message = Message {
            id: "m".into(),
            group: "g".into(),
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: towpath_types::clock::Timestamp(0),
            source: String::new(),
            aws_trace: None,
            headers: vec![("x-visitor".to_owned(), b"s3cret".to_vec())],
            body: Vec::new(),
        };
        let mut verdict = json!({ "deliver": [{ "headers": [["x-copy", "is s3cret."], ["x-door", "a"], ["x", "b"], ["y", { "secret": "k" }]] }] });
        headers().hide_in_verdict(&mut verdict, &message);
        let expected = json!([["x-copy", "(hidden, 10 bytes)"], ["x-door", "(hidden, 1 bytes)"], ["x", "b"], ["y", { "secret": "k" }]]);
        assert_eq!(verdict["deliver"][0]["headers"], expected);
        let mut other = json!({ "skip": { "code": "x" } });
        headers().hide_in_verdict(&mut other, &message);
        assert_eq!(other["skip"]["code"], "x");
    }
}
