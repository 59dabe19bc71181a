//! Where it is remembered which signed pointers of a registry were seen.

use anyhow::Context as _;
use towpath_config::{Config, env};
use towpath_registry::Sequences;
use tracing::warn;

/// The name of the file.
const FILE: &str = "pointers.json";

/// What this user's commands remember. Without a home, nothing.
pub fn of_user() -> anyhow::Result<Sequences> {
    let Some(state) = env::state_folder() else {
        warn!("this user has no home: pointers are remembered only as long as this runs");
        return Ok(Sequences::default());
    };
    Sequences::kept_in(state.join("towpath").join(FILE)).context("looking for the pointers that were seen")
}

/// What a host remembers, if its registry has signed pointers: in the folder of its store. A config in S3 has no folder here, and its
/// host remembers as its user does.
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
