//! Rust plugins: `cargo build --target wasm32-wasip2`, or `cargo component build` if the crate asks for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;
use towpath_files::regular::{self, MAX_CONFIG};

use crate::output::Output;

/// The target that plugins are built for.
const TARGET: &str = "wasm32-wasip2";

/// The target that cargo component builds for; it adapts the result.
const COMPONENT_TARGET: &str = "wasm32-wasip1";

pub(super) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let manifest = regular::read_text(&folder.join("Cargo.toml"), MAX_CONFIG).context("reading Cargo.toml")?;
    let manifest: toml::Table = manifest.parse().context("Cargo.toml is not TOML")?;
    let metadata = manifest.get("package").and_then(|package| package.get("metadata"));
    let by_component = metadata.is_some_and(|metadata| metadata.get("component").is_some());
    let args: &[&str] =
        if by_component { &["component", "build", "--release"] } else { &["build", "--release", "--target", TARGET] };
    check_tools(folder, by_component)?;
    let target = if by_component { COMPONENT_TARGET } else { TARGET };
    let mut cargo = Command::new("cargo")
        .args(args)
        .args(["--message-format", "json-render-diagnostics", "--config", &without_paths(folder, target)?])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("running cargo")?;
    // The output of crates and their build scripts is untrusted; it is relayed as it comes.
    let stderr = cargo.stderr.take();
    let cargo = std::thread::scope(|scope| {
        scope.spawn(|| stderr.map(|stderr| Output::new(false).relay(stderr)));
        cargo.wait_with_output()
    });
    let cargo = cargo.context("running cargo")?;
    if !cargo.status.success() {
        bail!("cargo build failed: see its output above");
    }
    let artifact = cargo.stdout.split(|byte| *byte == b'\n').filter_map(component_of).next_back();
    artifact.context("the crate builds no component: its Cargo.toml needs [lib] crate-type = [\"cdylib\"]")
}

/// Keeps this machine's paths out of the component, where panic messages contain them. A shipped component then reveals nothing
/// about its builder, and is the same wherever it is built.
fn without_paths(folder: &Path, target: &str) -> anyhow::Result<String> {
    let args = ["metadata", "--format-version", "1", "--quiet"];
    let output = Command::new("cargo").args(args).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.context("running cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", super::said(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("reading the output of cargo metadata")?;
    let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    let sources = packages.filter_map(|package| Path::new(package.get("manifest_path")?.as_str()?).parent());
    // A registry's crates are in one folder; `NAME-VERSION` remains of their paths.
    let mut prefixes: Vec<(&Path, &str)> =
        sources.filter_map(|source| source.parent()).map(|folder| (folder, "crates")).collect();
    prefixes.extend(metadata.get("workspace_root").and_then(Value::as_str).map(|root| (Path::new(root), ".")));
    prefixes.sort();
    prefixes.dedup();
    let flags = prefixes.iter().map(|(prefix, name)| format!("--remap-path-prefix={}={name}", prefix.display()));
    let flags: Vec<String> = flags.collect();
    Ok(format!("target.{target}.rustflags={}", serde_json::to_string(&flags).context("writing rustflags")?))
}

/// The `.wasm` of a cdylib, if this line of cargo's messages reports one.
fn component_of(line: &[u8]) -> Option<PathBuf> {
    let message: Value = serde_json::from_slice(line).ok()?;
    let kinds = message.pointer("/target/kind")?.as_array()?;
    if !kinds.iter().any(|kind| kind == "cdylib") {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// If a tool is missing, cargo's own message is long; these errors say what to do.
fn check_tools(folder: &Path, by_component: bool) -> anyhow::Result<()> {
    super::run(folder, "cargo", &["--version"], "install Rust: https://rustup.rs")?;
    if by_component {
        return super::run(folder, "cargo", &["component", "--version"], "").context(
            "the crate has [package.metadata.component], so cargo component builds it: \
             run `cargo install --locked cargo-component`",
        );
    }
    let args = ["--print", "target-libdir", "--target", TARGET];
    let printed = Command::new("rustc").args(args).current_dir(folder).output().context("running rustc")?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    if !libraries.is_dir() {
        bail!("Rust cannot build for {TARGET} here: run `rustup target add {TARGET}`");
    }
    Ok(())
}
