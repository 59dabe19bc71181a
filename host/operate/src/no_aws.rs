//! A build without AWS: it is smaller and sooner done. What needs AWS says so.

#![allow(missing_docs, reason = "aws.rs says what each of them is")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use towpath_config::{Config, S3Url, Secrets};
use towpath_files::regular::{self, MAX_CONFIG};
use towpath_types::holds::Holds;
use towpath_types::queue::Queue;
use towpath_verify::note_keys::NoteKeys;

use crate::story::Entry;
use crate::waiting::Waiting;

pub const CURE: &str = "this towpath was built without AWS: build it with `cargo install --path host/cli`";

pub async fn queue(_: &str) -> anyhow::Result<Arc<dyn Queue>> {
    bail!(CURE)
}

pub async fn waiting(_: &str) -> anyhow::Result<Waiting> {
    bail!(CURE)
}

pub async fn holds(_: S3Url) -> anyhow::Result<Arc<dyn Holds>> {
    bail!(CURE)
}

pub async fn read_config(place: &Path) -> anyhow::Result<String> {
    if place.starts_with("s3:") {
        bail!(CURE);
    }
    regular::read_text(place, MAX_CONFIG).with_context(|| format!("cannot read {}", place.display()))
}

pub async fn note_keys(config: &Config) -> anyhow::Result<NoteKeys> {
    let keys = NoteKeys::of(&config.note_key_names, &Secrets::from_env());
    keys.map_err(anyhow::Error::msg).context("reading dead_letters.note_key")
}

pub struct Logs;

impl Logs {
    pub async fn of(_: Vec<String>, _: Duration) -> anyhow::Result<Logs> {
        bail!(CURE)
    }

    pub async fn of_hosts(&mut self) -> anyhow::Result<Vec<Entry>> {
        bail!(CURE)
    }

    pub async fn about(&mut self, _: &str) -> anyhow::Result<Vec<Entry>> {
        bail!(CURE)
    }
}
