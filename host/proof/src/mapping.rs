//! The plugins of a run, made by `tests/src/guest.rs`. The good one decides by a letter in the body; the broken one traps.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::process::{Recipe, text, write};

const MAPPING: &[u8] = include_bytes!("../guests/mapping.wasm");
const BROKEN: &[u8] = include_bytes!("../guests/broken.wasm");

/// A recorded event, which a publish requires. Both plugins skip it.
const CASE: &str = r#"{ "id": "skipped", "path": "events", "body": {"k":"s","id":"0-0","g":0,"n":0,"p":""} }"#;

/// The part that every config of a run has: the route, and the mapping from the registry.
pub(crate) const CONFIG: &str = r#"
[registry]
url = "registry"
[[route]]
path = "events"
group = "events/{json:/g}"
dedup = "json:/id"
plugin = "mapping"
[plugin.mapping]
version = "current"
"#;

/// The target of [`to_another_target`].
pub(crate) const ANOTHER_TARGET: &str = "slo";

/// The mapping for another target. The target's name is data of the component, and `sss` occurs nowhere else in it.
pub(crate) fn to_another_target() -> Vec<u8> {
    let mut wasm = MAPPING.to_vec();
    let places = MAPPING.windows(3).enumerate().filter(|(_, bytes)| *bytes == b"sss").map(|(at, _)| at);
    for at in places {
        wasm.splice(at..at + 3, ANOTHER_TARGET.bytes());
    }
    wasm
}

/// Writes both mappings with their case to `good/mapping` and `broken/mapping`, and publishes the good one with this config.
pub(crate) async fn publish(folder: &Path, command: &Recipe, config: &str) -> anyhow::Result<()> {
    for (name, wasm) in [("broken", BROKEN), ("good", MAPPING)] {
        let folder = folder.join(name).join("mapping");
        write(&folder, "cases/skipped/message.json", CASE)?;
        fs::write(folder.join("plugin.wasm"), wasm).with_context(|| format!("writing to {}", folder.display()))?;
        command.with("commands", &["plugin", "test", &text(&folder), "--update"]).once().await?;
    }
    let publish = ["plugin", "publish", "good/mapping", "-c", config];
    let published = command.with("commands", &publish).once().await?;
    ensure!(published == Some(0), "publishing the mapping failed: see commands.log in {}", folder.display());
    Ok(())
}
