//! Lists released versions and moves channels: `plugin versions`, `rollback`, `promote`, `pin` and `sign-pointer`.

use serde::Serialize;
use towpath_registry::{Channel, Pointer, RegistryError, Release};

use super::publish::{check_name, chosen, made, refused, registry_of, signing};
use super::shown::{PointerShown, ReleaseShown};
use crate::args::{PluginPin, PluginRollback, PluginSignPointer, RegistryPlace, Signing};
use crate::output::{Exit, Output};

/// One version.
struct Row {
    version: String,
    channels: Vec<String>,
    release: Option<Release>,
    /// Why hosts do not load it.
    problem: Option<String>,
}

/// A version as `--json` prints it.
#[derive(Serialize)]
struct Version<'a> {
    version: &'a str,
    channels: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<ReleaseShown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

impl Version<'_> {
    fn of(row: &Row) -> Version<'_> {
        Version {
            version: &row.version,
            channels: &row.channels,
            release: row.release.as_ref().map(ReleaseShown::of),
            problem: row.problem.as_deref(),
        }
    }
}

pub(super) async fn versions(name: &str, place: &RegistryPlace, output: &Output) -> anyhow::Result<Exit> {
    let registry = registry_of(name, place).await?;
    let channels = registry.channels(name).await?;
    let label = |channel: &Channel| {
        let pinned = if channel.pointer.as_ref().is_some_and(|pointer| pointer.pinned) { " (pinned)" } else { "" };
        let unfollowed = match &channel.problem {
            None => "",
            Some(RegistryError::Older { .. }) => " (older)",
            Some(_) => " (not signed)",
        };
        format!("{}{pinned}{unfollowed}", channel.name)
    };
    let is_at = |channel: &&Channel, version: &str| {
        channel.pointer.as_ref().is_some_and(|pointer| pointer.current.version == version)
    };
    let at = |version: &str| channels.iter().filter(|channel| is_at(channel, version)).map(label).collect();
    let unreadable = channels.iter().filter(|channel| channel.pointer.is_none()).map(|channel| Row {
        version: "-".to_owned(),
        channels: vec![channel.name.clone()],
        release: None,
        problem: channel.problem.as_ref().map(ToString::to_string),
    });
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
        .chain(unreadable)
        .collect();
    let unfollowed = channels.iter().filter_map(|channel| channel.problem.as_ref());
    let broken = rows.iter().any(|row| row.problem.is_some() && !row.channels.is_empty());
    let broken = broken || unfollowed.clone().next().is_some();
    if output.is_json() {
        output.json(&rows.iter().map(Version::of).collect::<Vec<_>>());
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        output.table(&["VERSION", "CHANNELS", "PUBLISHED", "BY", "CASES", "COMMIT", "SHA256"], &cells);
    }
    unfollowed.for_each(|problem| output.note(problem));
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
    check_name("channel", &args.at.channel)?;
    let (registry, _) = signing(registry_of(&args.name, &args.at.registry).await?, &args.at.signing)?;
    let moved = registry.roll_back(&args.name, &args.at.channel, args.to.as_deref(), made("rollback")).await;
    match moved {
        Ok(pointer) => Ok(told(&args.name, &args.at.channel, &pointer, output)),
        Err(error) => refused(error, output),
    }
}

pub(super) async fn promote(
    name: &str,
    from: &str,
    to: &str,
    (place, key): (&RegistryPlace, &Signing),
    output: &Output,
) -> anyhow::Result<Exit> {
    check_name("channel", to)?;
    let (registry, _) = signing(registry_of(name, place).await?, key)?;
    let seen = registry.look(name, to).await?;
    let chosen = chosen(&registry, name, from).await?;
    // A release that hosts would not load is not promoted.
    registry.release(name, &chosen).await?;
    let made = made("promote")(&chosen.version);
    match registry.advance(name, to, seen, chosen, made).await {
        Ok(pointer) => Ok(told(name, to, &pointer, output)),
        Err(error) => refused(error, output),
    }
}

pub(super) async fn pin(args: PluginPin, output: &Output) -> anyhow::Result<Exit> {
    check_name("channel", &args.at.channel)?;
    let (registry, _) = signing(registry_of(&args.name, &args.at.registry).await?, &args.at.signing)?;
    let to = match &args.to {
        Some(version) => Some(chosen(&registry, &args.name, version).await?),
        None => None,
    };
    if let Some(to) = &to {
        registry.release(&args.name, to).await?;
    }
    let how = if args.off { "unpin" } else { "pin" };
    match registry.pin(&args.name, &args.at.channel, to, !args.off, made(how)).await {
        Ok(pointer) => Ok(told(&args.name, &args.at.channel, &pointer, output)),
        Err(error) => refused(error, output),
    }
}

pub(super) async fn sign_pointer(args: PluginSignPointer, output: &Output) -> anyhow::Result<Exit> {
    check_name("channel", &args.at.channel)?;
    let (registry, _) = signing(registry_of(&args.name, &args.at.registry).await?, &args.at.signing)?;
    match registry.sign_pointer(&args.name, &args.at.channel, made("sign")).await {
        Ok(pointer) => {
            let previous: Vec<&str> = pointer.previous.iter().rev().map(|chosen| chosen.version.as_str()).collect();
            if !previous.is_empty() {
                output.note(format!("a rollback would go to {}", previous.join(", then ")));
            }
            Ok(told(&args.name, &args.at.channel, &pointer, output))
        }
        Err(error) => refused(error, output),
    }
}

fn told(name: &str, channel: &str, pointer: &Pointer, output: &Output) -> Exit {
    if output.is_json() {
        output.json(&PointerShown::of(pointer));
        return Exit::Done;
    }
    let pinned = if pointer.pinned { ", pinned" } else { "" };
    output.say(format!("{name}@{channel} is {}{pinned}", pointer.current.version));
    if pointer.signature.is_some() {
        output.say(format!("signed, sequence {}", pointer.sequence));
    }
    output.say("running hosts swap to it within 30 seconds");
    Exit::Done
}
