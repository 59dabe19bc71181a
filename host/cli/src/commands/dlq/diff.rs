//! `dlq diff`: each dead letter through another build of its plugin. Nothing is sent.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use towpath_compose::engine;
use towpath_config::plugin::{Code, Settings};
use towpath_operate::known::Known;
use towpath_operate::letters::Letters;
use towpath_operate::place::Found;
use towpath_operate::secret_headers::SecretHeaders;
use towpath_plugin::{Engine, Plugin};
use towpath_types::queue::MessageId;

use super::filter::{Filter, without_config};
use super::{interrupted, short, with_letters};
use crate::args::DlqDiff;
use crate::case;
use crate::output::{Exit, Output};

/// One letter through both builds.
#[derive(Debug, Serialize)]
struct Row {
    id: MessageId,
    group: String,
    /// What it died of.
    reason: String,
    changed: bool,
    /// What the plugin of the config says now; absent without a config.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Value>,
    new: Value,
}

pub(super) async fn run(args: DlqDiff, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter.clone(), args.ids.clone());
    let place = args.place.clone();
    let compared = with_letters(&place, None, |found, letters| Box::pin(compare(found, letters, filter, args)));
    let Some(rows) = compared.await? else { return Ok(interrupted(output)) };
    let changed = rows.iter().filter(|row| row.changed).count();
    if output.is_json() {
        output.json(&rows);
        return Ok(Exit::Done);
    }
    for row in &rows {
        let kind = |value: &Value| kind(value).to_owned();
        let now = row.now.as_ref().map_or_else(|| row.reason.clone(), kind);
        let sign = if row.changed { "→" } else { "=" };
        output.line(format!("{} {} {now} {sign} {}", short(row.id.as_str()), row.group, kind(&row.new)));
        if row.changed {
            output.diff(&row.now.as_ref().map(case::pretty).unwrap_or_default(), &case::pretty(&row.new));
        }
    }
    let delivered = rows.iter().filter(|row| kind(&row.new) == "deliver").count();
    output.line("");
    output.line(format!("letters {}, changed {changed}, would be delivered {delivered}", rows.len()));
    Ok(Exit::Done)
}

async fn compare(
    found: &Found,
    letters: &mut dyn Letters,
    mut filter: Filter,
    args: DlqDiff,
) -> anyhow::Result<Vec<Row>> {
    let engine = engine(1)?;
    let configured = found.config.as_ref().map(|config| &config.plugins);
    let mut olds = BTreeMap::new();
    for (name, settings) in configured.into_iter().flatten() {
        // A build that does not load any more is one of the reasons to come here.
        if let Ok(plugin) = Plugin::load(&engine, settings.clone()) {
            olds.insert(name.clone(), plugin);
        }
    }
    let (name, new) = load_new(&engine, found, &args)?;
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
            let config = found.config.as_ref();
            let Some(message) = letter.seen(config) else { continue };
            let verdict = |plugin: &Plugin| {
                let described = case::describe(&plugin.transform(&message, plugin.limits()));
                described.get("verdict").cloned().unwrap_or_default()
            };
            let (mut now, mut new) = (olds.get(&name).map(&verdict), verdict(&new));
            let changed = now.as_ref() != Some(&new);
            // Compared is all of it, shown is what may be.
            let secrets = SecretHeaders::of(config).and(letter.death.secret_header.as_deref());
            now.iter_mut().chain([&mut new]).for_each(|verdict| secrets.hide_in_verdict(verdict, &message));
            let (group, reason) = (letter.group.0.clone(), letter.death.reason.clone());
            rows.push(Row { id: letter.first_id(), group, reason, changed, now, new });
        }
    }
}

/// The new build, with the settings that the config has for the plugin of its name.
fn load_new(engine: &Engine, found: &Found, args: &DlqDiff) -> anyhow::Result<(String, Plugin)> {
    if !args.plugin.exists() {
        bail!("there is no {}: give a folder with plugin.wasm, or a .wasm file", args.plugin.display());
    }
    let load = |settings: Settings| {
        Plugin::load(engine, settings).with_context(|| format!("loading {}", args.plugin.display()))
    };
    let plugin = load(Settings::at("new", &args.plugin))?;
    let name = args.name.clone().unwrap_or_else(|| plugin.description().name.clone());
    match found.config.as_ref().and_then(|config| config.plugins.get(&name)) {
        Some(configured) => {
            let settings = Settings { code: Code::Path(args.plugin.clone()), sha256: None, ..configured.clone() };
            Ok((name, load(settings)?))
        }
        None => Ok((name, plugin)),
    }
}

fn kind(verdict: &Value) -> &str {
    verdict.as_object().and_then(|verdict| verdict.keys().next()).map_or("-", String::as_str)
}
