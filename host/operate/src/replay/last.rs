//! What another build of a plugin would say to the last archived events of a route: in the sandbox, a bounded number of them, and nothing is sent.

use std::io;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use tokio::runtime::Handle;
use towpath_archive::{Filter, Folder, Limit};
use towpath_plugin::Engine;

use super::Conditions;
use super::compare::{Compared, Row, compare};
use crate::archive::{Archive, FoundArchive, Named};
use crate::builds::Builds;
use crate::dlq::diff::NewBuild;
use crate::place::Found;

/// How many events are run at most.
pub const MOST: usize = 500;

/// How many of those that differ are kept with their verdicts, which may have a megabyte each.
const KEPT: usize = 50;

/// Which events, through which build.
#[derive(Clone, Debug)]
pub struct Question {
    /// The path of the route.
    pub route: String,
    /// How many of its last events.
    pub last: usize,
    /// The name of the build in its folder.
    pub build: String,
    /// The plugin whose events are run; by default the one with the build's own name.
    pub plugin: Option<String>,
}

/// What it said.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = WhatIfEvents))]
pub struct Said {
    /// How many events were compared.
    #[serde(flatten)]
    pub compared: Compared,
    /// The first 50 of those to which it says something else.
    pub rows: Vec<Row>,
}

/// Runs the events through the configured build and another one of this folder. It reads the archive, and calls plugins, on a thread of its own: they must
/// not hold up what else this process does. `held` is kept until the run has ended, also if nobody waits for it any more.
pub async fn ask(
    found: &Found,
    archive: &FoundArchive,
    builds: &Path,
    question: Question,
    held: impl Send + 'static,
) -> anyhow::Result<Said> {
    let Question { route, last, build, plugin } = question;
    ensure!((1..=MOST).contains(&last), "between 1 and {MOST} events can be run, not {last}");
    let new = NewBuild { at: Builds::of(builds).find(&build)?, name: plugin };
    let Archive::Folder(folder) = &archive.archive else {
        bail!("the archive is on S3, which is read for minutes: use `towpath replay --plugin BUILD --plan`");
    };
    let (found, folder, here) = (found.clone(), folder.clone(), Handle::current());
    let run = move || {
        let _held = held;
        let engine = Engine::with_slots(1).map_err(|error| anyhow::anyhow!("{error:#}"));
        let engine = engine.context("starting the plugin engine")?;
        here.block_on(of_last(&found, &folder, route, last, engine, &new))
    };
    tokio::task::spawn_blocking(run).await.context("running the build")?
}

async fn of_last(
    found: &Found,
    folder: &Folder,
    route: String,
    last: usize,
    engine: Engine,
    new: &NewBuild,
) -> anyhow::Result<Said> {
    let filter = Filter { routes: vec![route.clone()], limit: Limit::Last(last), ..Filter::default() };
    let reading = || format!("reading the archive {}", folder.path().display());
    let events = folder.events(&filter).with_context(reading)?;
    let ids: Vec<String> =
        events.map(|event| Ok(event?.id.to_string())).collect::<io::Result<_>>().with_context(reading)?;
    ensure!(!ids.is_empty(), "the archive has no events of the route {route}");
    let conditions = Conditions { routes: vec![route], ids, ..Conditions::default() };
    let mut rows = Vec::new();
    let named = Named { folder: Some(folder.path().to_owned()), bucket: None };
    let compared = compare(found, &named, &conditions, engine, new, &|_| {}, |row| {
        if rows.len() < KEPT {
            rows.push(row);
        }
    })
    .await?;
    Ok(Said { compared, rows })
}
