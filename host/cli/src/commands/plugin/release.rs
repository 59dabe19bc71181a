//! Lists released versions and moves channels: `plugin versions`, `rollback`, `promote`, `pin` and `sign-pointer`.

use towpath_config::env;
use towpath_operate::json;
use towpath_operate::releases::{self, Order, Side, Version, Versions, check_name};
use towpath_registry::{Move, Pointer, PublishError};
use towpath_types::clock::Clock;

use super::publish::{refused, registry_of, signing};
use crate::args::{PluginPin, PluginRollback, PluginSignPointer, RegistryPlace, Signing};
use crate::output::{Exit, Output};

pub(super) async fn versions(name: &str, place: &RegistryPlace, output: &Output) -> anyhow::Result<Exit> {
    let registry = registry_of(name, place).await?;
    let Versions { rows, channels } = Versions::of(&registry, name).await?;
    let unfollowed = channels.iter().filter_map(|channel| channel.problem.as_ref());
    let broken = rows.iter().any(|row| row.problem.is_some() && !row.channels.is_empty());
    let broken = broken || unfollowed.clone().next().is_some();
    if output.is_json() {
        output.json(&rows.iter().map(json::Version::of).collect::<Vec<_>>());
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        output.table(&["VERSION", "CHANNELS", "PUBLISHED", "BY", "CASES", "COMMIT", "SHA256"], &cells);
    }
    unfollowed.for_each(|problem| output.note(problem));
    Ok(if broken { Exit::Findings } else { Exit::Done })
}

/// What differs between two releases.
pub(super) async fn compare(
    name: &str,
    (old, new): (&str, &str),
    place: &RegistryPlace,
    output: &Output,
) -> anyhow::Result<Exit> {
    let registry = registry_of(name, place).await?;
    let compared = releases::compare(&registry, name, old, new).await?;
    let facts = |side: &Side| {
        let Side { release, bytes, imports, exports } = side;
        let mut lines = vec![
            format!("version {}", release.version),
            format!("contract {}", release.contract),
            format!("cases {}", release.cases),
            format!("commit {}", release.commit.as_deref().unwrap_or("-")),
            format!("sha256 {}", release.wasm_sha256),
            format!("bytes {bytes}"),
        ];
        lines.extend(release.description.targets.iter().map(|target| format!("target {target}")));
        lines.extend(imports.iter().map(|import| format!("import {import}")));
        lines.extend(exports.iter().map(|export| format!("export {export}")));
        lines.join("\n") + "\n"
    };
    let is_same = compared.old.release.version == compared.new.release.version;
    if output.is_json() {
        output.json(&json::ReleaseDifference::of(&compared));
    } else if is_same {
        output.line(format!("both are {}", compared.old.release.version));
    } else {
        output.diff(&facts(&compared.old), &facts(&compared.new));
    }
    Ok(if is_same { Exit::Done } else { Exit::Findings })
}

fn cells(row: &Version) -> Vec<String> {
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
    let order = Order::RollBack { channel: args.at.channel, to: args.to };
    moved(&args.name, &order, (&args.at.registry, &args.at.signing), output).await
}

pub(super) async fn promote(
    name: &str,
    from: &str,
    to: &str,
    place: (&RegistryPlace, &Signing),
    output: &Output,
) -> anyhow::Result<Exit> {
    moved(name, &Order::Promote { from: from.to_owned(), to: to.to_owned() }, place, output).await
}

pub(super) async fn pin(args: PluginPin, output: &Output) -> anyhow::Result<Exit> {
    let PluginPin { name, to, off, at } = args;
    let channel = at.channel;
    let order = if off { Order::Unpin { channel } } else { Order::Pin { channel, to } };
    moved(&name, &order, (&at.registry, &at.signing), output).await
}

async fn moved(
    name: &str,
    order: &Order,
    (place, key): (&RegistryPlace, &Signing),
    output: &Output,
) -> anyhow::Result<Exit> {
    check_name("channel", order.channel())?;
    let (registry, _) = signing(registry_of(name, place).await?, key)?;
    match order.apply(&registry, name, &env::user().unwrap_or_default()).await {
        Ok(pointer) => Ok(told(name, order.channel(), &pointer, output)),
        Err(error) => match error.downcast::<PublishError>() {
            Ok(error) => refused(error, output),
            Err(error) => Err(error),
        },
    }
}

pub(super) async fn sign_pointer(args: PluginSignPointer, output: &Output) -> anyhow::Result<Exit> {
    check_name("channel", &args.at.channel)?;
    let (registry, _) = signing(registry_of(&args.name, &args.at.registry).await?, &args.at.signing)?;
    let by = env::user().unwrap_or_default();
    let at = Clock::wall().now();
    let made = |version: &str| Move { version: version.to_owned(), how: "sign".to_owned(), at, by: by.clone() };
    match registry.sign_pointer(&args.name, &args.at.channel, made).await {
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
        output.json(&json::Pointer::of(pointer));
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
