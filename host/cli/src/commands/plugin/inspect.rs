//! `plugin inspect`: a plugin's contents, imports and targets, on one screen.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use towpath_compose::engine;
use towpath_files::regular;
use towpath_plugin::{Description, Plugin, digest};
use towpath_types::artifacts::MAX_COMPONENT;
use wasmparser::{KnownCustom, Parser, Payload};

use super::{component, load};
use crate::output::{Exit, Output};

/// The whole review.
#[derive(Serialize)]
struct Review {
    file: String,
    bytes: usize,
    sha256: String,
    contract: String,
    description: Description,
    exports: Vec<String>,
    imports: Vec<Import>,
    /// Languages and tools that made it, as the component claims.
    producers: Vec<String>,
}

#[derive(Serialize)]
struct Import {
    name: String,
    given: &'static str,
}

pub(super) fn run(path: &Path, output: &Output) -> anyhow::Result<Exit> {
    let plugin = load(&engine(1)?, path)?;
    let file = component(path)?;
    let bytes = regular::read(&file, MAX_COMPONENT).with_context(|| format!("reading {}", file.display()))?;
    let review = review(&plugin, file.display().to_string(), &bytes);
    if output.is_json() {
        output.json(&review);
        return Ok(Exit::Done);
    }
    let Review { description, .. } = &review;
    output.line(format!("{} {}: {}", description.name, description.version, description.summary));
    output.line("");
    output.line(format!("file       {} ({} KiB)", review.file, review.bytes.div_ceil(1024)));
    output.line(format!("sha256     {}", review.sha256));
    output.line(format!("contract   {}", review.contract));
    output.line(format!("made with  {}", review.producers.join(", ")));
    output.line(format!("targets    {}", description.targets.join(", ")));
    output.line("");
    output.line("exports");
    review.exports.iter().for_each(|export| output.line(format!("  {export}")));
    output.line("");
    output.line("imports, and what the host provides for them");
    let rows: Vec<Vec<String>> =
        review.imports.iter().map(|import| vec![format!("  {}", import.name), import.given.to_owned()]).collect();
    output.table(&["  import", "provided"], &rows);
    output.line("");
    output.line(
        "The plugin reaches no network, file, environment, argument, secret or clock of the host. Its requests go only to",
    );
    output.line("the targets above, below their base URLs. The host inserts secrets where the config lists them.");
    Ok(Exit::Done)
}

fn review(plugin: &Plugin, file: String, bytes: &[u8]) -> Review {
    let exports = plugin.exports();
    let contract = exports.iter().find_map(|name| name.strip_prefix("towpath:plugin/transform@"));
    let contract = contract.map(|version| format!("towpath:plugin {version}")).unwrap_or_default();
    let import = |name: String| {
        let given = given(&name);
        Import { name, given }
    };
    Review {
        file,
        bytes: bytes.len(),
        sha256: digest(bytes),
        contract,
        description: plugin.description().clone(),
        imports: plugin.imports().into_iter().map(import).collect(),
        exports,
        producers: producers(bytes),
    }
}

/// What the host provides for an import.
fn given(import: &str) -> &'static str {
    let interface = import.split('@').next().unwrap_or_default();
    match interface {
        "towpath:plugin/types" => "the types of the contract",
        "towpath:plugin/config" => "its own table of the config",
        "towpath:plugin/log" => "64 lines of 4 KiB per call",
        "wasi:clocks/wall-clock" => "fixed at the message's sent-at",
        "wasi:clocks/monotonic-clock" => "fixed; a sleep ends at once",
        "wasi:cli/environment" => "empty: no variables, no arguments",
        "wasi:cli/stdin" => "empty",
        "wasi:cli/stdout" | "wasi:cli/stderr" => "the last 16 KiB are kept for dead letters",
        "wasi:filesystem/preopens" => "empty: no folder",
        _ if interface.starts_with("wasi:random/") => "pseudo-random, seeded from the message id",
        _ if interface.starts_with("wasi:filesystem/") => "nothing to open",
        _ if interface.starts_with("wasi:cli/") => "nothing",
        _ if interface.starts_with("wasi:io/") => "streams and errors of the other imports",
        _ => "",
    }
}

/// The producers sections of the component and of the modules in it, each entry once.
fn producers(bytes: &[u8]) -> Vec<String> {
    let mut found: Vec<String> = Parser::new(0).parse_all(bytes).filter_map(Result::ok).flat_map(named).collect();
    found.sort();
    found.dedup();
    found
}

/// What a producers section names; nothing for any other section.
fn named(payload: Payload<'_>) -> Vec<String> {
    let Payload::CustomSection(section) = payload else { return Vec::new() };
    let KnownCustom::Producers(fields) = section.as_known() else { return Vec::new() };
    let values = fields.into_iter().filter_map(Result::ok).flat_map(|field| field.values.into_iter());
    values
        .filter_map(Result::ok)
        .map(|value| format!("{} {}", value.name, value.version).trim_end().to_owned())
        .collect()
}
