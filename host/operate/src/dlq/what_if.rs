//! What another build of a plugin would say to letters: in the sandbox, a bounded number of them, and nothing is sent.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use tokio::runtime::Handle;
use towpath_plugin::Engine;

use super::diff::{NewBuild, Row, compare};
use super::filter::{Conditions, Filter};
use crate::builds::Builds;
use crate::letters::open;
use crate::place::Found;

/// How many letters are run at most.
pub const MOST: usize = 500;

/// Which letters, through which build.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name of the build in its folder.
    pub build: String,
    /// The plugin whose letters are run; by default the one with the build's own name.
    pub plugin: Option<String>,
    /// Which letters.
    pub conditions: Conditions,
    /// Only those with one of these ids, if there are any.
    pub ids: Vec<String>,
    /// What ingest turned away, instead of dead letters.
    pub refused: bool,
}

/// What it said.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = WhatIf))]
pub struct Said {
    /// How many letters were run.
    pub letters: usize,
    /// How many of them the new build would deliver.
    pub delivered: usize,
    /// Whether there may be more letters.
    pub more: bool,
    /// Those to which it says something else.
    pub rows: Vec<Row>,
}

/// Runs the letters through the configured build and another one of this folder. Calls run on a thread of their own: they must not hold up what
/// else this process does. `held` is kept until the run has ended, also if nobody waits for it any more.
pub async fn ask(found: &Found, builds: &Path, question: Question, held: impl Send + 'static) -> anyhow::Result<Said> {
    let Question { build, plugin, conditions, ids, refused } = question;
    let new = NewBuild { at: Builds::of(builds).find(&build)?, name: plugin };
    let found = found.clone();
    let here = Handle::current();
    let run = move || {
        let _held = held;
        let engine = Engine::with_slots(1).map_err(|error| anyhow::anyhow!("{error:#}"));
        let engine = engine.context("starting the plugin engine")?;
        here.block_on(async {
            let mut letters = open(&found.backend, None, refused).await?;
            let rows = compare(&found, &mut *letters, Filter::new(conditions, ids), engine, new, MOST).await;
            letters.release().await;
            rows
        })
    };
    let rows = tokio::task::spawn_blocking(run).await.context("running the build")??;
    let delivered = rows.iter().filter(|row| row.new.get("deliver").is_some()).count();
    let letters = rows.len();
    Ok(Said { letters, delivered, more: letters == MOST, rows: rows.into_iter().filter(|row| row.changed).collect() })
}
