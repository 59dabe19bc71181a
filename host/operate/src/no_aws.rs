//! `aws.rs` for a build without AWS, where everything that needs it fails.

#![allow(missing_docs, reason = "aws.rs documents them")]

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use towpath_config::{Config, LearnedStore, S3Folder, S3Url, Secrets};
use towpath_files::regular::{self, MAX_CONFIG};
use towpath_runtime::without_aws::WithoutAws;
use towpath_types::archive::Archived;
use towpath_types::clock::Timestamp;
use towpath_types::holds::Holds;
use towpath_types::queue::Queue;
use towpath_verify::note_keys::NoteKeys;

use crate::archive::files::{FilesRead, Progress};
use crate::story::Entry;
use crate::waiting::Waiting;

pub async fn queue(_: &str) -> anyhow::Result<Arc<dyn Queue>> {
    bail!(WithoutAws)
}

pub async fn waiting(_: &str) -> anyhow::Result<Waiting> {
    bail!(WithoutAws)
}

pub async fn holds(_: S3Url) -> anyhow::Result<Arc<dyn Holds>> {
    bail!(WithoutAws)
}

pub async fn learned_secrets(_: &Config) -> anyhow::Result<Arc<dyn LearnedStore>> {
    bail!(WithoutAws)
}

pub async fn read_config(place: &Path) -> anyhow::Result<String> {
    if place.starts_with("s3:") {
        bail!(WithoutAws);
    }
    regular::read_text(place, MAX_CONFIG).with_context(|| format!("cannot read {}", place.display()))
}

pub async fn note_keys(config: &Config) -> anyhow::Result<NoteKeys> {
    let keys = NoteKeys::of(&config.note_key_names, &Secrets::from_env());
    keys.map_err(anyhow::Error::msg).context("reading dead_letters.note_key")
}

/// There is none.
pub enum Bucket {}

impl Bucket {
    pub async fn of(_: S3Folder, _: Option<&str>) -> anyhow::Result<Bucket> {
        bail!(WithoutAws)
    }

    pub async fn read(
        &self,
        _: Option<Timestamp>,
        _: Option<Timestamp>,
        _: impl FnMut(Archived) -> io::Result<()> + Send,
        _: Progress<'_>,
    ) -> anyhow::Result<FilesRead> {
        match *self {}
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

pub struct Logs;

impl Logs {
    pub async fn of(_: Vec<String>, _: Duration) -> anyhow::Result<Logs> {
        bail!(WithoutAws)
    }

    pub async fn of_hosts(&mut self) -> anyhow::Result<Vec<Entry>> {
        bail!(WithoutAws)
    }

    pub async fn about(&mut self, _: &str) -> anyhow::Result<Vec<Entry>> {
        bail!(WithoutAws)
    }
}
