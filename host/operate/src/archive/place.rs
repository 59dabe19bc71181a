//! Finds the archive of a command: a folder on this machine, or files on S3.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use towpath_archive::Folder;
use towpath_config::{Config, S3Folder, Secrets};
use towpath_types::archive::Archived;
use towpath_types::message::is_item;

use super::reader::Archive;
use crate::secret_headers::SecretHeaders;
use crate::{aws, config};

/// An archive that an operator names instead of the config's. The default is none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Named {
    /// A folder on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// A folder on S3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<S3Folder>,
}

impl Named {
    /// The archive; `None` if none is named. `config` says in which region a bucket is.
    pub(crate) async fn open(&self, config: Option<&Config>) -> anyhow::Result<Option<Archive>> {
        if let Some(folder) = &self.folder {
            if !folder.is_dir() {
                bail!("there is no folder {}", folder.display());
            }
            return Ok(Some(Archive::Folder(Folder::new(folder))));
        }
        match &self.bucket {
            Some(bucket) => open_bucket(bucket.clone(), config).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Where an operator says the archive is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchivePlace {
    /// The config.
    pub config: PathBuf,
    /// Whether the operator named that config: then it must be readable.
    pub config_was_named: bool,
    /// The archive, instead of the config's.
    pub named: Named,
}

/// Neither the config nor the operator names an archive that can be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoArchive {
    /// No config can be read.
    #[error("finding the archive")]
    NoConfig,
    /// The config switches it off, or uses SQS and names neither a folder nor a stream.
    #[error("{} has no archive: archive.keep is 0s, or its queues are on SQS and it names neither archive.folder nor archive.stream and archive.bucket", .0.display())]
    NotConfigured(PathBuf),
    /// The config says which stream keeps events, and not where that writes.
    #[error("{} names archive.stream but not archive.bucket, the folder into which that stream writes", .0.display())]
    NoBucket(PathBuf),
}

/// The archive of a config.
pub(crate) async fn of_config(config: &Config) -> anyhow::Result<Archive> {
    let archive = &config.archive;
    match (&archive.folder, &archive.bucket, &archive.stream) {
        (Some(folder), ..) => Ok(Archive::Folder(Folder::new(folder))),
        (None, Some(bucket), _) => open_bucket(bucket.clone(), Some(config)).await,
        (None, None, Some(_)) => Err(NoArchive::NoBucket(config.file.clone()).into()),
        (None, None, None) => Err(NoArchive::NotConfigured(config.file.clone()).into()),
    }
}

async fn open_bucket(bucket: S3Folder, config: Option<&Config>) -> anyhow::Result<Archive> {
    let queue_url = config.and_then(|config| config.queue.url.as_deref());
    Ok(Archive::Bucket(aws::Bucket::of(bucket, queue_url).await?))
}

/// An archive, and the config if one was read.
pub struct FoundArchive {
    /// The archive.
    pub archive: Archive,
    /// The config.
    pub config: Option<Config>,
}

impl FoundArchive {
    /// Finds the archive of a place. Changes nothing.
    pub async fn find(place: &ArchivePlace) -> anyhow::Result<FoundArchive> {
        let config = load(&place.config).await;
        if place.named == Named::default() {
            let config = config.context(NoArchive::NoConfig)?;
            return Ok(FoundArchive { archive: of_config(&config).await?, config: Some(config) });
        }
        let config = match config {
            Err(error) if place.config_was_named => return Err(error),
            read => read.ok(),
        };
        let archive = place.named.open(config.as_ref()).await?.context(NoArchive::NoConfig)?;
        Ok(FoundArchive { archive, config })
    }

    /// The headers and other places of an event that hold secrets.
    pub fn secrets(&self, event: &Archived) -> SecretHeaders {
        let route = self.config.as_ref().and_then(|config| config.routes.by_path(&event.route));
        // An element of a split webhook is stored without them.
        let places = route.filter(|_| !is_item(&event.attributes)).and_then(|route| route.tokens_text());
        SecretHeaders::of(self.config.as_ref()).and(places.as_deref())
    }
}

async fn load(file: &Path) -> anyhow::Result<Config> {
    config::load(file, &Secrets::placeholders()).await
}
