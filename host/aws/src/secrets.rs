//! Secrets Manager.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use towpath_config::{LearnedStore, NotFetched, NotReplaced, SecretStore, Version};
use towpath_types::clock::Timestamp;

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

    fn learned(self: Arc<Self>) -> Option<Arc<dyn LearnedStore>> {
        Some(self)
    }
}

#[async_trait]
impl LearnedStore for SecretsManager {
    async fn read(&self, name: &str) -> Result<Option<Version>, String> {
        let id = format!("{}{name}", self.prefix);
        let secret = match self.client.get_secret_value().secret_id(id).send().await {
            Ok(secret) => secret,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
                return Ok(None);
            }
            Err(error) => return Err(in_words(&error)),
        };
        let at = secret.created_date.and_then(|at| u64::try_from(at.to_millis().ok()?).ok()).map(Timestamp);
        let text = secret.secret_string.ok_or("it is binary, not text")?;
        Ok(Some(Version { text, id: secret.version_id.unwrap_or_default(), at }))
    }

    async fn replace(&self, name: &str, seen: Option<&Version>, text: &str) -> Result<(), NotReplaced> {
        let id = format!("{}{name}", self.prefix);
        let token = token_after(seen);
        let put = self.client.put_secret_value().secret_id(&id).client_request_token(&token).secret_string(text);
        let Err(error) = put.send().await else { return Ok(()) };
        match error.as_service_error() {
            Some(known) if known.is_resource_exists_exception() => return Err(NotReplaced::Changed),
            Some(known) if known.is_resource_not_found_exception() && seen.is_none() => {}
            Some(known) if known.is_resource_not_found_exception() => return Err(NotReplaced::Changed),
            _ => return Err(NotReplaced::Failed(in_words(&error))),
        }
        let create = self.client.create_secret().name(&id).client_request_token(&token).secret_string(text);
        match create.send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_exists_exception()) => {
                Err(NotReplaced::Changed)
            }
            Err(error) => Err(NotReplaced::Failed(in_words(&error))),
        }
    }

    /// What Secrets Manager returns is durable.
    async fn settle(&self) -> Result<(), String> {
        Ok(())
    }

    /// A call costs money, and the service limits them.
    fn read_every(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// The id of the version that follows this one. The service keeps the first text of an id and refuses any other, so of two
/// writers that saw the same version one fails.
/// Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>, `ClientRequestToken`.
fn token_after(seen: Option<&Version>) -> String {
    let seen = seen.map_or("", |seen| seen.id.as_str());
    hex::encode(Sha256::new().chain_update("towpath, the version after ").chain_update(seen).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_version_depends_on_the_one_before_and_fits_the_service() {
        let after = |id: &str| token_after(Some(&Version { text: "any".to_owned(), id: id.to_owned(), at: None }));
        assert_eq!(after("a"), after("a"));
        assert_ne!(after("a"), after("b"));
        // 32 to 64 characters.
        assert_eq!([after(""), token_after(None), after(&after("a"))].map(|token| token.len()), [64; 3]);
    }
}
