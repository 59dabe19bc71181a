//! What hosts need of AWS. In a build without it, each of these fails.

use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "aws")]
use anyhow::Context as _;
#[cfg(feature = "aws")]
use towpath_aws::{Firehose, S3Artifacts, client, config};
#[cfg(feature = "aws")]
use towpath_config::Secrets;
use towpath_config::{Config, S3Url};
use towpath_deliver::AwsCredentials;
#[cfg(not(feature = "aws"))]
use towpath_runtime::without_aws::WithoutAws;
#[cfg(any(feature = "aws", feature = "process"))]
use towpath_types::archive::Archive;
use towpath_types::artifacts::Artifacts;

/// Credentials for requests that are signed with them.
#[cfg(feature = "aws")]
pub async fn credentials() -> anyhow::Result<AwsCredentials> {
    client::credentials().await.context("finding credentials for aws-sigv4: set AWS_PROFILE, for example")
}

/// Credentials for requests that are signed with them.
#[cfg(not(feature = "aws"))]
pub async fn credentials() -> anyhow::Result<AwsCredentials> {
    Err(WithoutAws.into())
}

/// A config with its secrets: from Secrets Manager if it has `[secrets]`, else from the environment.
#[cfg(feature = "aws")]
pub async fn config_with_secrets(place: &Path) -> anyhow::Result<Config> {
    Ok(config::load(place, |_| Some(Secrets::from_env())).await?)
}

/// A config with its secrets.
#[cfg(not(feature = "aws"))]
pub async fn config_with_secrets(_: &Path) -> anyhow::Result<Config> {
    Err(WithoutAws.into())
}

/// The objects below this prefix of a bucket.
#[cfg(feature = "aws")]
pub(crate) async fn artifacts(url: S3Url) -> anyhow::Result<Arc<dyn Artifacts>> {
    Ok(Arc::new(S3Artifacts::new(client::s3().await, url)))
}

/// The objects below this prefix of a bucket.
#[cfg(not(feature = "aws"))]
pub(crate) async fn artifacts(_: S3Url) -> anyhow::Result<Arc<dyn Artifacts>> {
    Err(WithoutAws.into())
}

/// The delivery stream for the events of the queue with this URL.
#[cfg(feature = "aws")]
pub(crate) async fn archive(queue_url: &str, stream: String) -> anyhow::Result<Arc<dyn Archive>> {
    Ok(Arc::new(Firehose::new(client::firehose(queue_url).await, stream)))
}

/// The delivery stream for the events of the queue with this URL.
#[cfg(all(feature = "process", not(feature = "aws")))]
pub(crate) async fn archive(_: &str, _: String) -> anyhow::Result<Arc<dyn Archive>> {
    Err(WithoutAws.into())
}
