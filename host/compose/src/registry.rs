//! The registry that a config names.

use std::sync::Arc;

#[cfg(feature = "process")]
use towpath_config::Config;
use towpath_config::{RegistryConfig, RegistryUrl};
#[cfg(feature = "process")]
use towpath_operate::releases::{Releases, floors};
use towpath_registry::{Folder, Registry};
use towpath_types::artifacts::Artifacts;

use crate::aws;
#[cfg(feature = "process")]
use crate::pointers;

/// The registry of a config: a folder, or a bucket if this build has AWS.
pub async fn registry(at: &RegistryConfig) -> anyhow::Result<Registry> {
    let artifacts: Arc<dyn Artifacts> = match &at.url {
        RegistryUrl::Folder(folder) => Arc::new(Folder::new(folder)),
        RegistryUrl::S3(url) => aws::artifacts(url.clone()).await?,
    };
    Ok(Registry::new(artifacts, at.public_key.clone()))
}

/// The registry of a config, for operators. It accepts no pointer that is older than the last one which this user saw.
#[cfg(feature = "process")]
pub async fn releases(config: Option<&Config>) -> Releases {
    let Some((config, at)) = config.and_then(|config| Some((config, config.registry.as_ref()?))) else {
        return Releases::None;
    };
    let open = async {
        let registry = registry(at).await?;
        anyhow::Ok(registry.remembering(pointers::of_user()?).with_floors(floors(config)))
    };
    match open.await {
        Ok(registry) => Releases::In(registry),
        Err(error) => Releases::Unavailable(format!("{error:#}")),
    }
}
