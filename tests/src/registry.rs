//! Guests in a registry: published as `towpath plugin publish` does it, without the command line.

use towpath_config::plugin::Settings;
use towpath_plugin::{Engine, Plugin, precompile};
use towpath_registry::{Built, Chosen, Move, PublishError, Registry, SigningKey, TARGETS};
use towpath_types::clock::Timestamp;

use crate::guest::Guest;

/// A guest, compiled and described, as the plugin of this name.
pub fn built(name: &str, guest: Guest) -> Built {
    let wasm = guest.build();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("guest.wasm");
    std::fs::write(&file, &wasm).unwrap();
    let plugin = Plugin::load(&Engine::new().unwrap(), Settings::at(name, file)).unwrap();
    let native = TARGETS.iter().map(|target| precompile(&wasm, Some(target)).unwrap()).collect();
    Built {
        name: name.to_owned(),
        description: plugin.description().clone(),
        contract: "towpath:plugin@1.0.0".to_owned(),
        wasm,
        native,
        cases: 1,
        commit: None,
    }
}

/// A move of a pointer.
pub fn made(version: &str) -> Move {
    Move { version: version.to_owned(), how: "publish".to_owned(), at: Timestamp(1), by: "test".to_owned() }
}

/// Publishes a guest to a channel, signed if there is a key.
pub async fn publish(
    registry: &Registry,
    name: &str,
    channel: &str,
    guest: Guest,
    key: Option<&SigningKey>,
) -> Result<Chosen, PublishError> {
    let registry = match key {
        Some(key) => registry.clone().signing(key.clone()).unwrap(),
        None => registry.clone(),
    };
    let seen = registry.look(name, channel).await?;
    let (_, chosen) = registry.store(built(name, guest), "test", Timestamp(1)).await?;
    registry.advance(name, channel, seen, chosen.clone(), made(&chosen.version)).await?;
    Ok(chosen)
}
