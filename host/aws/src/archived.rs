//! Reads the archive that Firehose wrote to S3: files with a line of JSON per event, in folders by date.
//!
//! Lines come in any order, and some repeat: who reads them sorts, and drops repeats.

mod lines;
mod window;

use std::io;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use futures_util::future::try_join_all;
use towpath_config::S3Folder;
use towpath_types::archive::Archived;
use towpath_types::artifacts::Bound;
use towpath_types::clock::Timestamp;
use tracing::warn;

use crate::error::in_words;
use crate::object;
use lines::lines;

pub use window::Window;

/// Limits for one file. Firehose collects at most 128 MiB for one.
const FILE: Bound = Bound { bytes: 128 * 1024 * 1024, time: Duration::from_secs(120) };

/// Files that are fetched at once.
const MOST_AT_ONCE: usize = 16;

/// Their bytes, if there is more than one.
const MOST_BYTES_AT_ONCE: u64 = 64 * 1024 * 1024;

/// How often a file is fetched whose content breaks off: the SDK tries again only what comes before it.
const TRIES: usize = 3;

/// Why the archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A permission is missing.
    #[error("{place}: {problem}; allow {actions}, as the policy archive_policy of the Terraform module does")]
    Denied { place: String, problem: String, actions: &'static str },
    #[error("{place}: {problem}")]
    Failed { place: String, problem: String },
    /// The files are not where they were looked for.
    #[error("{0} has files, but no folders by date: name the folder that has them, such as s3://BUCKET/events/")]
    NotByDate(String),
    /// What was read could not be kept.
    #[error(transparent)]
    Keep(#[from] io::Error),
}

/// A folder of S3 into which Firehose writes.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    folder: S3Folder,
}

/// A file of the archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    key: String,
    /// As it is stored.
    pub bytes: u64,
}

impl Bucket {
    pub fn new(client: Client, folder: S3Folder) -> Bucket {
        Bucket { client, folder }
    }

    pub fn folder(&self) -> &S3Folder {
        &self.folder
    }

    /// The files that may have events of a window, the oldest first.
    pub async fn files(&self, window: Window) -> Result<Vec<File>, ReadError> {
        let S3Folder { bucket, prefix } = &self.folder;
        let list = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        // Names sort by date.
        let list = list.set_start_after(window.first_day().map(|day| format!("{prefix}{day}/")));
        let last_day = window.last_day();
        let mut pages = list.into_paginator().send();
        let mut files = Vec::new();
        let (mut are_dated, mut are_others) = (false, false);
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed(self.folder.to_string(), &error, "s3:ListBucket"))?;
            for object in page.contents() {
                let Some(key) = object.key() else { continue };
                let Some(day) = key.strip_prefix(prefix.as_str()).and_then(window::day) else {
                    are_others = true;
                    continue;
                };
                are_dated = true;
                let written = object.last_modified().and_then(|time| u64::try_from(time.to_millis().ok()?).ok());
                let is_before_end = last_day.as_deref().is_none_or(|last| day <= last);
                if is_before_end && written.is_none_or(|time| window.may_have_written(Timestamp(time))) {
                    let bytes = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                    files.push(File { key: key.to_owned(), bytes });
                }
            }
            let is_behind_end = |key: &str| {
                let day = key.strip_prefix(prefix.as_str()).and_then(window::day);
                day.zip(last_day.as_deref()).is_some_and(|(day, last)| day > last)
            };
            if page.contents().last().and_then(|object| object.key()).is_some_and(is_behind_end) {
                break;
            }
        }
        if are_others && !are_dated && !self.begins_with_date().await? {
            return Err(ReadError::NotByDate(self.folder.to_string()));
        }
        Ok(files)
    }

    /// Whether there are folders by date at all, perhaps before the window. Digits sort before letters.
    async fn begins_with_date(&self) -> Result<bool, ReadError> {
        let S3Folder { bucket, prefix } = &self.folder;
        let first = self.client.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(1).send().await;
        let first = first.map_err(|error| self.failed(self.folder.to_string(), &error, "s3:ListBucket"))?;
        let name = first.contents().first().and_then(|object| object.key()?.strip_prefix(prefix.as_str()));
        Ok(name.and_then(window::day).is_some())
    }

    /// Calls `each` for every event of these files, and `progress` with the number of files that were read. Returns how many lines are
    /// damaged. A file that expired meanwhile is skipped.
    pub async fn read(
        &self,
        files: &[File],
        mut each: impl FnMut(Archived) -> io::Result<()> + Send,
        progress: impl Fn(u64) + Send,
    ) -> Result<u64, ReadError> {
        let mut damaged = 0;
        let mut read = 0;
        let mut rest = files;
        while !rest.is_empty() {
            let (now, later) = rest.split_at_checked(at_once(rest)).unwrap_or((rest, &[]));
            rest = later;
            let contents = try_join_all(now.iter().map(|file| self.fetch(file))).await?;
            for (file, content) in now.iter().zip(contents) {
                let in_file = lines(&content.unwrap_or_default(), &mut each)?;
                if in_file > 0 {
                    warn!(
                        event = "archive-damaged",
                        file = file.key,
                        lines = in_file,
                        "archive file has damaged lines, skipping them"
                    );
                }
                damaged += in_file;
                read += 1;
                progress(read);
            }
        }
        Ok(damaged)
    }

    /// A file as it is stored; `None` if there is none.
    async fn fetch(&self, file: &File) -> Result<Option<Vec<u8>>, ReadError> {
        let place = format!("s3://{}/{}", self.folder.bucket, file.key);
        let mut problem = String::new();
        for _ in 0..TRIES {
            let object = match self.client.get_object().bucket(&self.folder.bucket).key(&file.key).send().await {
                Ok(object) => object,
                Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
                Err(error) => return Err(self.failed(place, &error, "s3:GetObject")),
            };
            match tokio::time::timeout(FILE.time, object::read(object, FILE)).await {
                Ok(Ok(bytes)) => return Ok(Some(bytes)),
                Ok(Err(error)) => problem = error,
                Err(_) => problem = format!("it took longer than {:?}", FILE.time),
            }
        }
        Err(ReadError::Failed { place, problem })
    }

    fn failed<E>(&self, place: String, error: &SdkError<E>, action: &'static str) -> ReadError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let problem = in_words(error);
        if error.code() != Some("AccessDenied") {
            return ReadError::Failed { place, problem };
        }
        // S3 decrypts with the rights of the caller, and names the right that is missing.
        let actions = if problem.contains("kms:") { "kms:Decrypt on the key of the files" } else { action };
        ReadError::Denied { place, problem, actions }
    }
}

/// How many of these files are fetched at once.
fn at_once(files: &[File]) -> usize {
    let mut bytes = 0;
    let fits = |file: &&File| {
        bytes += file.bytes;
        bytes <= MOST_BYTES_AT_ONCE
    };
    files.iter().take(MOST_AT_ONCE).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_fetched_together_within_bounds_and_a_large_one_alone() {
        let files = |sizes: &[u64]| -> Vec<File> {
            sizes.iter().map(|mib| File { key: String::new(), bytes: mib << 20 }).collect()
        };
        for (sizes, expected) in [(&[1; 40][..], 16), (&[128, 1], 1), (&[60, 4, 1], 2), (&[60, 5], 1), (&[1], 1)] {
            assert_eq!(at_once(&files(sizes)), expected, "{sizes:?}");
        }
    }
}
