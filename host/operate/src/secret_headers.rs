//! Finds the values that are neither shown nor written into cases: of headers by their names, by the config's routes and targets, and by what
//! a dead letter names; of query, path and body by what a dead letter names.

use std::collections::BTreeSet;

use serde_json::Value;
use towpath_config::Config;
use towpath_config::headers::{grants_access, proves};
use towpath_config::route::tokens_of;
use towpath_config::target::{Auth, Target};
use towpath_config::value::{Source, Value as Place};
use towpath_select::hide;
use towpath_types::envelope::{self, Webhook};
use towpath_types::message::Message;
use towpath_types::queue::{Attribute, AttributeValue, Attributes};

/// A shorter value may occur in any other by chance.
const MIN_COPIED: usize = 6;

/// The headers that hold secrets. Without a config only their names tell.
#[derive(Clone, Debug, Default)]
pub struct SecretHeaders {
    secrets: BTreeSet<String>,
    proofs: BTreeSet<String>,
    /// Values of query, path and body that are secrets.
    elsewhere: Vec<Place>,
}

impl SecretHeaders {
    /// The built-in list, and the headers that a config names: tokens of its routes and authentication of its targets.
    pub fn of(config: Option<&Config>) -> SecretHeaders {
        let mut headers = SecretHeaders::default();
        let Some(config) = config else { return headers };
        for route in config.routes.iter() {
            headers.secrets.extend(route.verify.iter().flat_map(|verify| verify.secret_headers()).map(as_read));
            headers.proofs.extend(route.verify.iter().flat_map(|verify| verify.proof_headers()).map(as_read));
        }
        let auth = config.targets.values().filter_map(Target::http).flat_map(|http| &http.auth).flat_map(Auth::headers);
        headers.secrets.extend(auth.map(|name| as_read(name.as_str())));
        headers
    }

    /// Adds the places that a dead letter names, if it does.
    #[must_use]
    pub fn and(mut self, places: Option<&str>) -> SecretHeaders {
        for place in places.into_iter().flat_map(tokens_of) {
            match &place.source {
                Source::Header(name) => drop(self.secrets.insert(as_read(name))),
                _ => self.elsewhere.push(place),
            }
        }
        self
    }

    /// Whether a header's value may grant access.
    pub fn has(&self, name: &str) -> bool {
        let name = as_read(name);
        grants_access(&name) || self.secrets.contains(&name)
    }

    /// Whether a header's value proves the sender.
    pub fn has_proof(&self, name: &str) -> bool {
        let name = as_read(name);
        proves(&name) || self.proofs.contains(&name)
    }

    /// A webhook without its secret values.
    pub fn hidden(&self, mut webhook: Webhook) -> Webhook {
        for (_, value) in webhook.headers.iter_mut().filter(|(name, _)| self.has(name)) {
            *value = hidden(value).into_bytes();
        }
        for place in &self.elsewhere {
            hide(&mut webhook, place);
        }
        webhook
    }

    /// A stored body without its secret values.
    pub fn hidden_in_body(&self, body: String) -> String {
        if !envelope::is_envelope(&body) {
            let direct = self.hidden(Webhook { body: body.into_bytes(), ..Webhook::default() });
            return String::from_utf8_lossy(&direct.body).into_owned();
        }
        match envelope::decode(&body) {
            Ok(webhook) => envelope::encode(&self.hidden(webhook)),
            // A broken envelope may hold any header.
            Err(_) => hidden(body.as_bytes()),
        }
    }

    /// The attributes of a message, with the same done to them: without an envelope they are its headers.
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

    /// Hides secrets in the headers of a verdict's requests: by name, and where a plugin copied a secret of the message.
    pub fn hide_in_verdict(&self, verdict: &mut Value, message: &Message) {
        let secrets: Vec<&[u8]> =
            message.webhook.headers.iter().filter(|(name, _)| self.has(name)).map(|(_, value)| &value[..]).collect();
        let holds = |text: &str, secret: &[u8]| {
            secret.len() >= MIN_COPIED && text.as_bytes().windows(secret.len()).any(|window| window == secret)
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

/// What is shown in place of a value.
fn hidden(value: &[u8]) -> String {
    format!("(hidden, {} bytes)", value.len())
}

/// A name as servers that pass headers on as variables read it.
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
    fn secrets_are_found_by_name_by_config_and_by_letter() {
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
    fn an_envelope_loses_only_the_values_of_secrets() {
        let webhook = Webhook {
            headers: vec![("x-visitor".to_owned(), b"s3cret".to_vec()), ("x".to_owned(), b"\xff".to_vec())],
            body: b"{}".to_vec(),
            ..Webhook::default()
        };
        let shown = headers().hidden_in_body(envelope::encode(&webhook));
        let shown = envelope::decode(&shown).expect("an envelope");
        assert_eq!(shown.headers[0].1, b"(hidden, 6 bytes)");
        assert_eq!((&shown.headers[1], &shown.body), (&webhook.headers[1], &webhook.body));
        assert_eq!(headers().hidden_in_body("plain".to_owned()), "plain");
    }

    #[test]
    fn a_secret_in_query_path_or_body_is_not_shown() {
        let headers = SecretHeaders::default().and(Some("x-key,query:token,json:/auth,path:key"));
        let webhook = Webhook {
            query: "a=1&token=s3cret".to_owned(),
            path: vec![("key".to_owned(), "s3cret".to_owned()), ("tenant".to_owned(), "t".to_owned())],
            headers: vec![("x-key".to_owned(), b"s3cret".to_vec())],
            body: br#"{"auth":"s3cret","n":1}"#.to_vec(),
            ..Webhook::default()
        };
        let shown = headers.hidden_in_body(envelope::encode(&webhook));
        let shown = envelope::decode(&shown).expect("an envelope");
        assert_eq!((shown.query.as_str(), shown.body.as_slice()), ("a=1", br#"{"auth":"***","n":1}"#.as_slice()));
        assert_eq!((shown.path_segment("key"), shown.path_segment("tenant")), (Some("***"), Some("t")));
        assert_eq!(shown.headers[0].1, b"(hidden, 6 bytes)");
        assert_eq!(headers.hidden_in_body(r#"{"auth":"s3cret"}"#.to_owned()), r#"{"auth":"***"}"#);
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
            replayed_at: None,
            webhook: Webhook { headers: vec![("x-visitor".to_owned(), b"s3cret".to_vec())], ..Webhook::default() }
                .into(),
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
