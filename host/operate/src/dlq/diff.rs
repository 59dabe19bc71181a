//! Runs dead letters through another build of their plugin. Sends nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use towpath_config::plugin::{Code, Settings};
use towpath_plugin::{Engine, Plugin};
use towpath_types::queue::MessageId;

use super::filter::{Filter, without_config};
use crate::known::Known;
use crate::letters::Letters;
use crate::place::Found;
use crate::secret_headers::SecretHeaders;
use crate::verdict::describe;

/// Another build of a plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewBuild {
    /// A component, or a folder with one.
    pub at: PathBuf,
    /// The plugin whose letters are compared; by default the one with the build's own name.
    pub name: Option<String>,
}

/// One letter through both builds.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = WhatIfRow))]
pub struct Row {
    /// The id under which its message was first stored.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub message_id: MessageId,
    /// Its group.
    pub group: String,
    /// Why it was dead-lettered.
    pub reason: String,
    /// Whether the verdicts differ.
    pub changed: bool,
    /// The verdict of the config's plugin; absent without a config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Value>,
    /// The verdict of the new build.
    pub new: Value,
}

/// Runs up to `most` letters that match through both builds. Sends nothing. Blocks while a plugin runs.
pub async fn compare(
    found: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    engine: Engine,
    new: NewBuild,
    most: usize,
) -> anyhow::Result<Vec<Row>> {
    let configured = found.config.as_deref().map(|config| &config.plugins);
    let mut olds = BTreeMap::new();
    for (name, settings) in configured.into_iter().flatten() {
        // Skip a configured build that does not load: it may be why the operator tries another one.
        if let Ok(plugin) = Plugin::load(&engine, settings.clone()) {
            olds.insert(name.clone(), plugin);
        }
    }
    let (name, new) = load_new(&engine, found, &new)?;
    let mut known: BTreeSet<String> = configured.into_iter().flat_map(|plugins| plugins.keys().cloned()).collect();
    let mut rows = Vec::new();
    loop {
        let page = letters.next().await?;
        if page.is_empty() {
            filter.check(found)?;
            Known::new("plugin", known).check(&name).map_err(|error| without_config(error, found))?;
            return Ok(rows);
        }
        for letter in page {
            let wanted = filter.wants(&letter);
            known.extend(letter.death.plugin.clone());
            if !wanted || letter.death.plugin.as_ref() != Some(&name) {
                continue;
            }
            let config = found.config.as_deref();
            let Some(message) = letter.seen(config) else { continue };
            let verdict = |plugin: &Plugin| {
                let described = describe(&plugin.transform(&message, plugin.limits()));
                described.get("verdict").cloned().unwrap_or_default()
            };
            let mut now = olds.get(&name).map(&verdict);
            let mut new = verdict(&new);
            let changed = now.as_ref() != Some(&new);
            // Secrets are compared, and hidden only in what is shown.
            let secrets = SecretHeaders::of(config).and(letter.death.secret_header.as_deref());
            now.iter_mut().chain([&mut new]).for_each(|verdict| secrets.hide_in_verdict(verdict, &message));
            let group = letter.group.to_string();
            let reason = letter.death.reason.clone();
            rows.push(Row { message_id: letter.first_id(), group, reason, changed, now, new });
            if rows.len() >= most {
                // Letters that were not read may have what the operator named.
                return Ok(rows);
            }
        }
    }
}

/// Loads the new build, with the config's settings for the plugin of its name.
pub(crate) fn load_new(engine: &Engine, found: &Found, args: &NewBuild) -> anyhow::Result<(String, Plugin)> {
    if !args.at.exists() {
        bail!("there is no {}: give a folder with plugin.wasm, or a .wasm file", args.at.display());
    }
    let load =
        |settings: Settings| Plugin::load(engine, settings).with_context(|| format!("loading {}", args.at.display()));
    let plugin = load(Settings::at("new", &args.at))?;
    let name = args.name.clone().unwrap_or_else(|| plugin.description().name.clone());
    match found.config.as_deref().and_then(|config| config.plugins.get(&name)) {
        Some(configured) => {
            let settings = Settings { code: Code::Path(args.at.clone()), sha256: None, ..configured.clone() };
            Ok((name, load(settings)?))
        }
        None => Ok((name, plugin)),
    }
}
