//! The registry that a config names.

use std::sync::Arc;

use towpath_config::{RegistryConfig, RegistryUrl};
use towpath_registry::{Folder, Registry};
use towpath_types::artifacts::Artifacts;

use crate::aws;

/// The registry of a config: a folder, or a bucket if this build has AWS.
pub async fn registry(at: &RegistryConfig) -> anyhow::Result<Registry> {
    let artifacts: Arc<dyn Artifacts> = match &at.url {
        RegistryUrl::Folder(folder) => Arc::new(Folder::new(folder)),
        RegistryUrl::S3(url) => aws::artifacts(url.clone()).await?,
    };
    Ok(Registry::new(artifacts, at.public_key.clone()))
}
