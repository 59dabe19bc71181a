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

/// Limits for one file. Firehose collects at most 128 MiB for one. A slow line may take its time, as long as something comes.
const FILE: Bound = Bound { bytes: 128 * 1024 * 1024, time: Duration::from_secs(30) };

/// Files that are fetched at once.
const MOST_AT_ONCE: usize = 16;

/// Their bytes, if there is more than one.
const MOST_BYTES_AT_ONCE: u64 = 64 * 1024 * 1024;

/// How often a file is fetched whose content breaks off: the SDK tries again only what comes before it.
const TRIES: usize = 3;

/// Why the archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A permission is missing, or the place is not the one that the permission names.
    #[error("{place}: {problem}; allow {actions}, as the policy archive_policy of the Terraform module does{or_else}")]
    Denied { place: String, problem: String, actions: &'static str, or_else: &'static str },
    #[error("{place}: {problem}{}", advice.map(|advice| format!("; {advice}")).unwrap_or_default())]
    Failed { place: String, problem: String, advice: Option<&'static str> },
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
        let mut are_dated = false;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed(self.folder.to_string(), &error, "s3:ListBucket"))?;
            for object in page.contents() {
                let Some(key) = object.key() else { continue };
                let Some(day) = key.strip_prefix(prefix.as_str()).and_then(window::day) else { continue };
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
        if !are_dated {
            self.check_names().await?;
        }
        Ok(files)
    }

    /// Fails if there are files, but no folders by date at all, also before the window. Warns if there is nothing: the name may be wrong.
    async fn check_names(&self) -> Result<(), ReadError> {
        let S3Folder { bucket, prefix } = &self.folder;
        // The first may be the folder itself, which the S3 console makes an object. Digits sort before letters.
        let first = self.client.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(2).send().await;
        let first = first.map_err(|error| self.failed(self.folder.to_string(), &error, "s3:ListBucket"))?;
        let names = first.contents().iter().filter_map(|object| object.key()?.strip_prefix(prefix.as_str()));
        let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            warn!(event = "archive-empty", folder = %self.folder, "archive on S3 has no files at all, check its name");
        } else if !names.iter().any(|name| window::day(name).is_some()) {
            return Err(ReadError::NotByDate(self.folder.to_string()));
        }
        Ok(())
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
        if file.bytes > FILE.bytes {
            let problem = format!("larger than {} bytes (the limit)", FILE.bytes);
            return Err(ReadError::Failed {
                place,
                problem,
                advice: Some("Firehose writes no such file: move it elsewhere"),
            });
        }
        let mut problem = String::new();
        for _ in 0..TRIES {
            let object = match self.client.get_object().bucket(&self.folder.bucket).key(&file.key).send().await {
                Ok(object) => object,
                Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
                Err(error) => return Err(self.failed(place, &error, "s3:GetObject")),
            };
            match object::read(object, FILE).await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) => problem = error,
            }
        }
        Err(ReadError::Failed { place, problem, advice: None })
    }

    fn failed<E>(&self, place: String, error: &SdkError<E>, action: &'static str) -> ReadError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let problem = in_words(error);
        if error.code() != Some("AccessDenied") {
            return ReadError::Failed { place, problem, advice: error.code().and_then(advice) };
        }
        // S3 decrypts with the rights of the caller, and names the right that is missing.
        let actions = if problem.contains("kms:") { "kms:Decrypt on the key of the files" } else { action };
        let is_list = action == "s3:ListBucket";
        let or_else = if is_list { "; or name the folder that it allows, the output archive_url" } else { "" };
        ReadError::Denied { place, problem, actions, or_else }
    }
}

/// What to do about an error of S3 with this code.
fn advice(code: &str) -> Option<&'static str> {
    match code {
        "InvalidObjectState" => Some("it is in S3 Glacier: restore it, or read a window without it"),
        "NoSuchBucket" => Some("name the bucket of the output archive_url"),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
            Some("the bucket is in another region than queue.url, or without a config than AWS_REGION")
        }
        _ => None,
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

    #[tokio::test]
    async fn a_file_that_is_too_large_is_refused_before_it_is_fetched() {
        let config =
            aws_sdk_s3::Config::builder().behavior_version(aws_sdk_s3::config::BehaviorVersion::latest()).build();
        let bucket = Bucket::new(Client::from_conf(config), "s3://b/events/".parse().expect("a folder"));
        let file = File { key: "events/x.gz".to_owned(), bytes: FILE.bytes + 1 };
        let error = bucket.read(&[file], |_| Ok(()), |_| {}).await.expect_err("too large");
        assert_eq!(
            error.to_string(),
            "s3://b/events/x.gz: larger than 134217728 bytes (the limit); Firehose writes no such file: move it elsewhere"
        );
    }

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
