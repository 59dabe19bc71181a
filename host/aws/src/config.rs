//! The config of a function: from its folder or from S3, with secrets from Secrets Manager.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use towpath_config::verify::Verification;
use towpath_config::{Config, ConfigError, LearnedStore, S3Url, Secrets};
use towpath_files::regular::{self, MAX_CONFIG};

use crate::{SecretsManager, client, object};

/// Why a config cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The object in S3 cannot be read.
    #[error("cannot read {url}: {problem}")]
    S3 { url: String, problem: String },
}

/// Reads the text of a config: a file, or an object such as `s3://bucket/towpath.json`.
pub async fn read(place: &Path) -> Result<String, LoadError> {
    let Some(url) = place.to_str().filter(|place| place.starts_with("s3://")) else {
        let failed = |source| ConfigError::Read { file: place.to_owned(), source };
        return Ok(regular::read_text(place, MAX_CONFIG).map_err(failed)?);
    };
    let failed = |problem| LoadError::S3 { url: url.to_owned(), problem };
    let S3Url { bucket, key } = url.parse().map_err(failed)?;
    let found = object::get(&client::s3().await, &bucket, key, object::SETTINGS).await.map_err(failed)?;
    let (bytes, _) = found.ok_or_else(|| failed("there is no such object".to_owned()))?;
    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}

/// Loads a config for the front door: fetches only the secrets that it verifies with, the keys that vouch for that, and the
/// secrets of handshakes. What needs one that is not available is not ready.
pub async fn load_front_door(place: &Path) -> Result<Config, LoadError> {
    let text = read(place).await?;
    let config = Config::parse(&text, place, &Secrets::placeholders())?;
    let verifies = config.routes.iter().any(|route| route.verify.as_ref().is_some_and(|verify| verify.at_ingest));
    let names = config.routes.iter().flat_map(|route| route.secret_names_at_ingest());
    let names = names.chain(config.note_key_names.iter().filter(|_| verifies).map(String::as_str));
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    if names.is_empty() && !looks_secrets_up(&config) {
        return Ok(config);
    }
    let store = secrets_manager(&config).await;
    let secrets = Secrets::from_store(store, names).await.and_placeholders().that_may_come();
    Ok(Config::parse(&text, place, &secrets)?)
}

/// Whether the host looks up secrets that only webhooks name.
fn looks_secrets_up(config: &Config) -> bool {
    config.routes.iter().filter_map(|route| route.verify.as_ref()).any(Verification::looks_secrets_up)
}

/// The secrets of these names, for a config whose other secrets are not read.
pub async fn secrets(config: &Config, names: &[String]) -> Secrets {
    match config.secrets_prefix {
        Some(_) => Secrets::from_store(secrets_manager(config).await, names.to_vec()).await,
        None => Secrets::from_env(),
    }
}

/// Where the ingest function stores the secrets that handshakes bring.
pub async fn learned_secrets(config: &Config) -> Arc<dyn LearnedStore> {
    secrets_manager(config).await
}

async fn secrets_manager(config: &Config) -> Arc<SecretsManager> {
    let prefix = config.secrets_prefix.clone().unwrap_or_default();
    Arc::new(SecretsManager::new(client::secrets_manager().await, prefix))
}

/// Loads and checks a config, fetches the secrets that it names from Secrets Manager concurrently, and checks it again
/// with them. A config without `[secrets]` uses those that `otherwise` returns, if any.
pub async fn load(place: &Path, otherwise: impl Fn(&Config) -> Option<Secrets>) -> Result<Config, LoadError> {
    load_with(place, otherwise, |secrets| secrets).await
}

/// The same for a function. What needs a secret that is not available is not ready.
pub async fn load_function(place: &Path, otherwise: impl Fn(&Config) -> Option<Secrets>) -> Result<Config, LoadError> {
    load_with(place, otherwise, Secrets::that_may_come).await
}

async fn load_with(
    place: &Path,
    otherwise: impl Fn(&Config) -> Option<Secrets>,
    treated: impl Fn(Secrets) -> Secrets,
) -> Result<Config, LoadError> {
    let text = read(place).await?;
    let placeholders = Secrets::placeholders();
    let config = Config::parse(&text, place, &placeholders)?;
    let given = if config.secrets_prefix.is_none() { otherwise(&config) } else { None };
    let secrets = match (given, placeholders.asked()) {
        (_, names) if names.is_empty() && !looks_secrets_up(&config) => return Ok(config),
        (Some(secrets), _) => secrets,
        (None, names) => treated(Secrets::from_store(secrets_manager(&config).await, names).await),
    };
    Ok(Config::parse(&text, place, &secrets)?)
}
