//! Secrets Manager.

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use serde_json::Value;
use towpath_config::{NotFetched, SecretStore};

use crate::error::in_words;

/// Secrets by prefix and name. The name `sss#token` is the key `token` of the JSON object in the secret `sss`.
pub struct SecretsManager {
    client: Client,
    prefix: String,
}

impl SecretsManager {
    /// The secrets whose names begin with this.
    pub fn new(client: Client, prefix: String) -> SecretsManager {
        SecretsManager { client, prefix }
    }
}

#[async_trait]
impl SecretStore for SecretsManager {
    async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
        let (id, key) = match name.split_once('#') {
            Some((id, key)) => (id, Some(key)),
            None => (name, None),
        };
        let asked = self.client.get_secret_value().secret_id(format!("{}{id}", self.prefix)).send().await;
        let secret = asked.map_err(|error| {
            // An invalid request: the secret is scheduled for deletion.
            let is_unknown = error
                .as_service_error()
                .is_some_and(|error| error.is_resource_not_found_exception() || error.is_invalid_request_exception());
            let problem = in_words(&error);
            if is_unknown { NotFetched::Unknown(problem) } else { NotFetched::Failed(problem) }
        })?;
        let text = secret.secret_string.ok_or_else(|| NotFetched::Unknown("it is binary, not text".to_owned()))?;
        let Some(key) = key else { return Ok(text) };
        let object: Value = serde_json::from_str(&text).map_err(|_| "it is not JSON")?;
        let value = object.get(key).and_then(Value::as_str);
        value.map(str::to_owned).ok_or_else(|| NotFetched::Unknown(format!("it has no string {key:?}")))
    }
}
