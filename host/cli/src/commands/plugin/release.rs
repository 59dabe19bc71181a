//! What becomes of released versions: `plugin versions`, `rollback`, `promote` and `pin`.

use serde::Serialize;
use towpath_core::registry::{Pointer, Release};

use super::publish::{check_name, chosen, made, refused, registry_of};
use crate::args::{PluginPin, PluginRollback, RegistryPlace};
use crate::output::{Exit, Output};

/// One version.
#[derive(Serialize)]
struct Row {
    version: String,
    channels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<Release>,
    /// Why no host would load it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub(super) async fn versions(name: &str, place: &RegistryPlace, output: &Output) -> anyhow::Result<Exit> {
    let registry = registry_of(name, place).await?;
    let channels = registry.channels(name).await?;
    let at = |version: &str| {
        let here = channels.iter().filter(|(_, pointer)| pointer.current.version == version);
        here.map(|(channel, pointer)| channel.clone() + if pointer.pinned { " (pinned)" } else { "" }).collect()
    };
    let rows: Vec<Row> = registry
        .versions(name)
        .await?
        .into_iter()
        .map(|(version, release)| {
            let channels = at(&version);
            match release {
                Ok(release) => Row { version, channels, release: Some(release), problem: None },
                Err(error) => Row { version, channels, release: None, problem: Some(error.to_string()) },
            }
        })
        .collect();
    let broken = rows.iter().any(|row| row.problem.is_some() && !row.channels.is_empty());
    if output.is_json() {
        output.json(&rows);
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        output.table(&["VERSION", "CHANNELS", "PUBLISHED", "BY", "CASES", "COMMIT", "SHA256"], &cells);
    }
    Ok(if broken { Exit::Findings } else { Exit::Done })
}

fn cells(row: &Row) -> Vec<String> {
    let start = |text: &str| text.get(..12).unwrap_or(text).to_owned();
    let channels = row.channels.join(", ");
    match (&row.release, &row.problem) {
        (Some(release), _) => {
            let commit = release.commit.as_deref().unwrap_or("-");
            let dirty = if commit.ends_with("-dirty") { "-dirty" } else { "" };
            let by = if release.published_by.is_empty() { "-" } else { &release.published_by };
            vec![
                row.version.clone(),
                channels,
                release.published_at.to_string(),
                by.to_owned(),
                release.cases.to_string(),
                start(commit) + dirty,
                start(&release.wasm_sha256),
            ]
        }
        (None, problem) => vec![row.version.clone(), channels, problem.clone().unwrap_or_default()],
    }
}

pub(super) async fn rollback(args: PluginRollback, output: &Output) -> anyhow::Result<Exit> {
    check_name("channel", &args.channel)?;
    let registry = registry_of(&args.name, &args.registry).await?;
    let moved = registry.roll_back(&args.name, &args.channel, args.to.as_deref(), made("rollback")).await;
    match moved {
        Ok(pointer) => Ok(told(&args.name, &args.channel, &pointer, output)),
        Err(error) => refused(error, output),
    }
}

pub(super) async fn promote(
    name: &str,
    from: &str,
    to: &str,
    place: &RegistryPlace,
    output: &Output,
) -> anyhow::Result<Exit> {
    check_name("channel", to)?;
    let registry = registry_of(name, place).await?;
    let seen = registry.look(name, to).await?;
    let chosen = chosen(&registry, name, from).await?;
    // What no host would load is not promoted.
    registry.release(name, &chosen).await?;
    let made = made("promote")(&chosen.version);
    match registry.advance(name, to, seen, chosen, made).await {
        Ok(pointer) => Ok(told(name, to, &pointer, output)),
        Err(error) => refused(error, output),
    }
}

pub(super) async fn pin(args: PluginPin, output: &Output) -> anyhow::Result<Exit> {
    check_name("channel", &args.channel)?;
    let registry = registry_of(&args.name, &args.registry).await?;
    let to = match &args.to {
        Some(version) => Some(chosen(&registry, &args.name, version).await?),
        None => None,
    };
    if let Some(to) = &to {
        registry.release(&args.name, to).await?;
    }
    let how = if args.off { "unpin" } else { "pin" };
    match registry.pin(&args.name, &args.channel, to, !args.off, made(how)).await {
        Ok(pointer) => Ok(told(&args.name, &args.channel, &pointer, output)),
        Err(error) => refused(error, output),
    }
}

fn told(name: &str, channel: &str, pointer: &Pointer, output: &Output) -> Exit {
    if output.is_json() {
        output.json(pointer);
        return Exit::Done;
    }
    let pinned = if pointer.pinned { ", pinned" } else { "" };
    output.say(format!("{name}@{channel} is {}{pinned}", pointer.current.version));
    output.say("running hosts pick it up within 30 seconds");
    Exit::Done
}
