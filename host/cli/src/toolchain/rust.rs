//! Rust plugins: `cargo build --target wasm32-wasip2`, or `cargo component build` if the crate asks for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The target that plugins are built for.
const TARGET: &str = "wasm32-wasip2";

pub(super) fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).context("reading Cargo.toml")?;
    let manifest: toml::Table = manifest.parse().context("Cargo.toml is not TOML")?;
    let metadata = manifest.get("package").and_then(|package| package.get("metadata"));
    let by_component = metadata.is_some_and(|metadata| metadata.get("component").is_some());
    let args: &[&str] = match by_component {
        true => &["component", "build", "--release"],
        false => &["build", "--release", "--target", TARGET],
    };
    check_tools(folder, by_component)?;
    let cargo = Command::new("cargo")
        .args(args)
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo")?;
    if !cargo.status.success() {
        bail!("cargo could not build it: see above");
    }
    let artifact = cargo.stdout.split(|byte| *byte == b'\n').filter_map(component_of).next_back();
    artifact.context("the crate builds no component: its Cargo.toml needs [lib] crate-type = [\"cdylib\"]")
}

/// The `.wasm` of a cdylib, if this line of cargo's messages tells of one.
fn component_of(line: &[u8]) -> Option<PathBuf> {
    let message: Value = serde_json::from_slice(line).ok()?;
    let kinds = message.pointer("/target/kind")?.as_array()?;
    if !kinds.iter().any(|kind| kind == "cdylib") {
        return None;
    }
    let files = message.get("filenames")?.as_array()?;
    files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".wasm")).map(PathBuf::from)
}

/// Without a tool cargo's own message is long; these say what to do.
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
