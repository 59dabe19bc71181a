//! Loads the config of a command.

use std::path::Path;

use towpath_config::{Config, Secrets};

use crate::aws;

/// Loads a config, which may be in S3.
pub async fn load(file: &Path, secrets: &Secrets) -> anyhow::Result<Config> {
    let text = aws::read_config(file).await?;
    Ok(Config::parse(&text, file, secrets)?)
}
