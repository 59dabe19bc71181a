//! What hosts need of AWS.

use std::path::Path;

use anyhow::Context as _;
use towpath_aws::{client, config};
use towpath_config::{Config, Secrets};
use towpath_deliver::AwsCredentials;

/// Credentials for requests that are signed with them.
pub async fn credentials() -> anyhow::Result<AwsCredentials> {
    client::credentials().await.context("finding credentials for aws-sigv4: set AWS_PROFILE, for example")
}

/// A config with its secrets: from Secrets Manager if it has `[secrets]`, else from the environment.
pub async fn config_with_secrets(place: &Path) -> anyhow::Result<Config> {
    Ok(config::load(place, |_| Some(Secrets::from_env())).await?)
}
