//! Python plugins: componentize-py, installed by pip into a virtual environment in the plugin's folder. Imports of
//! CPython beyond the contract are stubbed: a stub traps when it is called.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{TOOLS, WORLD, run, write_wit};

/// The module that holds the classes `Transform` and `Metadata`.
pub(super) const SOURCE: &str = "plugin.py";

/// What pip installs: componentize-py and the plugin's dependencies.
pub(super) const REQUIREMENTS: &str = "requirements.txt";

/// For a folder without requirements: componentize-py, by version and digest.
const LOCKED: &str = include_str!("../../../../plugins/python-shopify/requirements.txt");

const MISSING: &str = "install Python 3.10 or later with venv (Debian: `apt install python3-venv`)";

pub(super) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let tool = format!("{TOOLS}/venv/bin/componentize-py");
    if !folder.join(&tool).is_file() {
        let venv = format!("{TOOLS}/venv");
        run(folder, "python3", &["-m", "venv", &venv], MISSING)?;
        let locked = format!("{TOOLS}/{REQUIREMENTS}");
        let requirements = if folder.join(REQUIREMENTS).is_file() {
            REQUIREMENTS
        } else {
            std::fs::write(folder.join(&locked), LOCKED).with_context(|| format!("writing {locked}"))?;
            &locked
        };
        let pip = folder.join(&venv).join("bin/pip").canonicalize()?.display().to_string();
        let args = ["install", "--quiet", "--disable-pip-version-check"];
        run(folder, &pip, &[&args[..], &["-r", requirements]].concat(), MISSING)?;
    }
    let wit = write_wit(folder)?;
    // Only the folder is made absolute: resolving the link to the interpreter would leave the virtual environment.
    let tool = folder.canonicalize()?.join(&tool).display().to_string();
    let world = ["-q", "-d", &wit, "-w", WORLD];
    let bindings = format!("{TOOLS}/bindings");
    // componentize-py does not overwrite bindings.
    if folder.join(&bindings).is_dir() {
        std::fs::remove_dir_all(folder.join(&bindings))?;
    }
    run(folder, &tool, &[&world[..], &["bindings", &bindings]].concat(), MISSING)?;
    let built = format!("{TOOLS}/plugin.wasm");
    let module = SOURCE.trim_end_matches(".py");
    let args = ["componentize", module, "-o", &built, "--stub-wasi"];
    run(folder, &tool, &[&world[..], &args[..]].concat(), MISSING)?;
    Ok(folder.join(built))
}
