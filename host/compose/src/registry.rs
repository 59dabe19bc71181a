//! The registry that a config names.

use std::sync::Arc;

use towpath_config::{RegistryConfig, RegistryUrl, S3Url};
use towpath_registry::{Folder, Registry};
use towpath_types::artifacts::Artifacts;

/// The registry of a config: a folder, or a bucket where this build has AWS.
pub async fn registry(at: &RegistryConfig) -> anyhow::Result<Registry> {
    let artifacts: Arc<dyn Artifacts> = match &at.url {
        RegistryUrl::Folder(folder) => Arc::new(Folder::new(folder)),
        RegistryUrl::S3(url) => s3(url.clone()).await?,
    };
    Ok(Registry::new(artifacts, at.public_key.clone()))
}

#[cfg(feature = "aws")]
async fn s3(url: S3Url) -> anyhow::Result<Arc<dyn Artifacts>> {
    Ok(Arc::new(towpath_aws::S3Artifacts::new(towpath_aws::client::s3().await, url)))
}

#[cfg(not(feature = "aws"))]
async fn s3(_: S3Url) -> anyhow::Result<Arc<dyn Artifacts>> {
    anyhow::bail!("this towpath was built without AWS: build it with `cargo install --path host/cli`")
}
