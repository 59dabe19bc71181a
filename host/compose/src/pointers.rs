//! Where the signed pointers of a registry that were seen are remembered.

use anyhow::Context as _;
use towpath_config::{Config, env};
use towpath_registry::Sequences;
use tracing::warn;

/// The name of the file.
const FILE: &str = "pointers.json";

/// The memory of this user's commands. Without a home it lasts as long as the process.
pub fn of_user() -> anyhow::Result<Sequences> {
    let Some(state) = env::state_folder() else {
        warn!("this user has no home directory, pointers are remembered only until this process ends");
        return Ok(Sequences::default());
    };
    Sequences::kept_in(state.join("towpath").join(FILE)).context("looking for the pointers that were seen")
}

/// The memory of a host whose registry has signed pointers, in the folder of its store. A host whose config is in S3 has no such folder and
/// uses its user's memory.
pub fn of_host(config: &Config) -> anyhow::Result<Option<Sequences>> {
    let is_signed = config.registry.as_ref().is_some_and(|registry| registry.public_key.is_some());
    if !is_signed {
        return Ok(None);
    }
    if config.queue.store.starts_with("s3:") {
        return of_user().map(Some);
    }
    Ok(Some(Sequences::kept_in(config.queue.store.join(FILE)).context("loading the plugins")?))
}
