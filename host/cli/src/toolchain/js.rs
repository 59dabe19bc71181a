//! JavaScript plugins: componentize-js (QuickJS), installed by npm into the plugin's folder. Imports of the engine beyond the
//! contract are stubbed: a stub traps when it is called.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{TOOLS, WORLD, run, write_wit};

/// The module that exports `transform` and `metadata`.
pub(super) const SOURCE: &str = "plugin.js";

/// The versions and digests that npm installed; commit it with the plugin.
const LOCK: &str = "package-lock.json";

/// Generates TypeScript's types of the contract, for editors.
const TYPES: &str = include_str!("types.mjs");

const MISSING: &str = "install Node.js 20 or later (it brings npm): https://nodejs.org";

pub(super) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let jco = folder.join("node_modules/@bytecodealliance/jco");
    if !jco.is_dir() {
        let quiet = ["--no-audit", "--no-fund", "--omit-lockfile-registry-resolved"];
        // `ci` installs exactly what the lock file names, by digest; `install` writes a lock file.
        let install = if folder.join(LOCK).is_file() { "ci" } else { "install" };
        run(folder, "npm", &[&[install], &quiet[..]].concat(), MISSING)?;
    }
    let wit = write_wit(folder)?;
    let types = folder.join(TOOLS).join("types.mjs");
    std::fs::write(&types, TYPES).with_context(|| format!("writing {}", types.display()))?;
    run(folder, "node", &[&format!("{TOOLS}/types.mjs")], MISSING)?;
    let built = format!("{TOOLS}/plugin.wasm");
    let args = [
        "jco",
        "componentize",
        SOURCE,
        "--wit",
        &wit,
        "--world-name",
        WORLD,
        "--backend",
        "quickjs",
        "--backend-qjs-stub-wasi",
        "--backend-qjs-disable-async",
        "-o",
        &built,
    ];
    run(folder, "npx", &[&["--no-install"], &args[..]].concat(), MISSING)?;
    Ok(folder.join(built))
}
