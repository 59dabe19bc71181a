//! What the commands use of AWS.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use towpath_aws::archived::{self, Window};
use towpath_aws::{S3Holds, SqsQueue, client, config, logs};
use towpath_config::{Config, LearnedStore, S3Folder, S3Url};
use towpath_types::archive::Archived;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::holds::Holds;
use towpath_types::queue::Queue;
use towpath_verify::note_keys::NoteKeys;

use crate::archive::files::{FilesRead, Progress, Reading};
use crate::story::Entry;
use crate::waiting::Waiting;

/// The queue with this URL. Fails if it does not answer.
pub async fn queue(url: &str) -> anyhow::Result<Arc<dyn Queue>> {
    let queue = SqsQueue::new(client::sqs(url).await, url);
    queue.depth().await.with_context(|| format!("asking the queue {url}"))?;
    Ok(Arc::new(queue))
}

/// How much waits in the queue with this URL.
pub async fn waiting(url: &str) -> anyhow::Result<Waiting> {
    let queue = SqsQueue::new(client::sqs(url).await, url);
    let depth = queue.depth().await.with_context(|| format!("asking the queue {url}"))?;
    let messages = depth.visible + depth.invisible + depth.delayed;
    Ok(Waiting { messages, invisible: depth.invisible, groups: None, oldest: None })
}

/// The holds in this object of S3.
pub async fn holds(url: S3Url) -> anyhow::Result<Arc<dyn Holds>> {
    Ok(Arc::new(S3Holds::new(client::s3().await, url)))
}

/// Where the ingest function stores the secrets that handshakes bring.
pub async fn learned_secrets(config: &Config) -> anyhow::Result<Arc<dyn LearnedStore>> {
    Ok(config::learned_secrets(config).await)
}

/// The text of a config, from a file or from S3.
pub async fn read_config(place: &Path) -> anyhow::Result<String> {
    Ok(config::read(place).await?)
}

/// The keys that prove operators' notes. Reads no secret but those of `dead_letters.note_key`.
pub async fn note_keys(config: &Config) -> anyhow::Result<NoteKeys> {
    let names = &config.note_key_names;
    if names.is_empty() {
        return Ok(NoteKeys::default());
    }
    let secrets = config::secrets(config, names).await;
    NoteKeys::of(names, &secrets).map_err(anyhow::Error::msg).context("reading dead_letters.note_key")
}

/// An archive that Firehose writes to S3.
pub struct Bucket(archived::Bucket);

impl Bucket {
    /// The archive in this folder, in the region of the queue with this URL.
    pub async fn of(folder: S3Folder, queue_url: Option<&str>) -> anyhow::Result<Bucket> {
        Ok(Bucket(archived::Bucket::new(client::s3_of(queue_url).await, folder)))
    }

    /// Calls `each` for the events in all files that may have some that were first stored in this time.
    pub async fn read(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        each: impl FnMut(Archived) -> io::Result<()> + Send,
        progress: Progress<'_>,
    ) -> anyhow::Result<FilesRead> {
        let files = self.0.files(Window { since, until }).await?;
        let bytes = files.iter().map(|file| file.bytes).sum();
        let reading = Reading { read: 0, files: files.len() as u64, bytes };
        progress(reading);
        let damaged = self.0.read(&files, each, |read| progress(Reading { read, ..reading })).await?;
        Ok(FilesRead { files: reading.files, bytes, damaged })
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.folder().fmt(f)
    }
}

/// Log groups of CloudWatch.
pub struct Logs(logs::Logs);

impl Logs {
    /// These groups, from this long ago.
    pub async fn of(groups: Vec<String>, back: Duration) -> anyhow::Result<Logs> {
        Ok(Logs(logs::Logs::of(groups, Clock::wall().now() - back).await))
    }

    /// What hosts logged since the last call.
    pub async fn of_hosts(&mut self) -> anyhow::Result<Vec<Entry>> {
        self.entries(logs::OF_HOSTS).await
    }

    /// What hosts logged about one message.
    pub async fn about(&mut self, id: &str) -> anyhow::Result<Vec<Entry>> {
        self.entries(&logs::about(id)).await
    }

    async fn entries(&mut self, pattern: &str) -> anyhow::Result<Vec<Entry>> {
        let lines = self.0.next(pattern).await?;
        Ok(lines.into_iter().filter_map(|line| Some(Entry::read(&line.text)?.at(|| line.at.to_string()))).collect())
    }
}
