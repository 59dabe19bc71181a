//! One line of `requests.jsonl`, and the config of a route for it.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use towpath_config::provider::Provider;
use towpath_config::route::Route;
use towpath_config::{Config, Mistake, Secrets};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;

/// A document that the sender publishes.
pub(super) struct Published {
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) body: String,
}

pub(super) struct Case {
    pub(super) provider: String,
    pub(super) case: String,
    pub(super) arrives_at: Timestamp,
    params: Map<String, Value>,
    /// The table `verify` of a construction that no provider uses.
    config: Option<String>,
    pub(super) webhook: Webhook,
    /// Where its keys are.
    pub(super) published: Vec<Published>,
    pub(super) expect: Map<String, Value>,
}

impl Case {
    pub(super) fn read(line: &str) -> Result<Case, serde_json::Error> {
        let line: Value = serde_json::from_str(line)?;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let table = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let request = &line["request"];
        let header = |pair: &Value| (text(&pair[0]), text(&pair[1]).into_bytes());
        let webhook = Webhook {
            method: request["method"].as_str().unwrap().parse().unwrap(),
            path: Vec::new(),
            query: text(&request["query"]),
            headers: request["headers"].as_array().unwrap().iter().map(header).collect(),
            body: STANDARD.decode(text(&request["body_base64"])).unwrap(),
        };
        Ok(Case {
            provider: text(&line["provider"]),
            case: text(&line["case"]),
            arrives_at: Timestamp(line["arrives_at"].as_u64().unwrap() * 1000),
            params: table(&line["params"]),
            config: line["config"].as_str().map(str::to_owned),
            webhook,
            published: line["keys"].as_array().into_iter().flatten().map(published).collect(),
            expect: table(&line["expect"]),
        })
    }

    pub(super) fn outcome(&self) -> &str {
        self.expect["outcome"].as_str().unwrap()
    }

    /// The part of the name that says what was done to the webhook: `event`, `refused`, `handshake`.
    pub(super) fn kind(&self) -> &str {
        self.case.split('.').next().unwrap()
    }

    /// What the operator enters.
    fn param(&self, name: &str) -> Option<&str> {
        // The script calls some things as the provider does.
        let name = match (self.provider.as_str(), name) {
            ("google-pubsub-push", "service_account") => "email",
            ("websub", "topic") => return Some("https://blog.example.com/feed"),
            ("aws-sns", "topic_arn") => return Some("arn:aws:sns:us-east-1:123456789012:orders"),
            (_, "jwks_url") => return self.published.first().map(|document| document.url.as_str()),
            (_, name) => name,
        };
        self.params.get(name).and_then(Value::as_str)
    }

    pub(super) fn provider(&self) -> Option<Provider> {
        Provider::find(&self.provider)
    }

    /// The config as TOML, and the values of its secrets.
    fn config(&self) -> (String, Vec<(String, String)>) {
        let (route, secrets) = match &self.config {
            Some(verify) => {
                let value = |value: &Value| value.as_str().unwrap().to_owned();
                let secrets = self.params.iter().map(|(name, own)| (name.clone(), value(own))).collect();
                (format!("group = \"a\"\n[route.verify]\n{verify}"), secrets)
            }
            None => self.provider_table(),
        };
        let path = &self.provider;
        (format!("[[route]]\npath = {path:?}\nplugin = \"a\"\n{route}\n[plugin.a]\npath = \"a\"\n"), secrets)
    }

    /// `provider = { … }`, and the values of its secrets.
    fn provider_table(&self) -> (String, Vec<(String, String)>) {
        let mut table = format!("name = {:?}", self.provider);
        let mut secrets = Vec::new();
        // The script leaves out what a case does not depend on.
        for parameter in self.provider().unwrap().parameters() {
            let value = self.param(&parameter.name);
            match parameter.secret {
                // The handshake brings it.
                Some(_) if self.learned().is_some() => {}
                Some(name) => secrets.push((name, value.unwrap_or("not-known-to-this-case").to_owned())),
                None => {
                    let stand_in = if parameter.name == "user" { "somebody" } else { "https://hooks.example.com/a" };
                    table.push_str(&format!(", {} = {}", parameter.name, Value::from(value.unwrap_or(stand_in))));
                }
            }
        }
        (format!("provider = {{ {table} }}"), secrets)
    }

    /// The secret that the handshake brings.
    pub(super) fn learned(&self) -> Option<&str> {
        self.expect.get("keep").and_then(Value::as_str)
    }

    /// A config with the route alone.
    pub(super) fn read_config(&self) -> Result<Config, Vec<Mistake>> {
        self.read_config_in(Path::new(""))
    }

    /// The same in this folder, where its store is too.
    pub(super) fn read_config_in(&self, folder: &Path) -> Result<Config, Vec<Mistake>> {
        let (text, secrets) = self.config();
        let draft = Config::draft(&text, &folder.join("towpath.toml"), &Secrets::of(secrets)).expect(&text);
        if draft.mistakes.is_empty() { Ok(draft.config) } else { Err(draft.mistakes) }
    }

    /// The route.
    pub(super) fn route(&self) -> Result<Arc<Route>, Vec<Mistake>> {
        Ok(self.read_config()?.routes.iter().next().cloned().unwrap())
    }
}

fn published(document: &Value) -> Published {
    let text = |key: &str| document[key].as_str().unwrap().to_owned();
    let status = document["status"].as_u64().unwrap().try_into().unwrap();
    Published { url: text("url"), status, body: text("body") }
}
