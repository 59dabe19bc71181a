//! Reads an archive, wherever it is: by one filter, in one order.

use std::fmt;

use anyhow::Context as _;
use towpath_archive::{Events, Filter, Folder, Gathered, Stats};
use towpath_types::archive::Archived;
use towpath_types::body::Body;
use towpath_types::clock::Timestamp;

use super::files::Progress;
use crate::aws;

/// An archive that can be read.
pub enum Archive {
    /// Segments in a folder on this machine.
    Folder(Folder),
    /// Files on S3.
    Bucket(aws::Bucket),
}

/// What a reader wants.
pub(crate) struct Wanted<'a> {
    pub(crate) filter: &'a Filter,
    /// No such event was archived before this time.
    pub(crate) archived_since: Option<Timestamp>,
    /// What the reader needs of an event that matches; `None` if nothing. It saves space on the disk for what comes from S3.
    pub(crate) needed: &'a (dyn Fn(Archived) -> Option<Archived> + Send + Sync),
}

impl<'a> Wanted<'a> {
    /// All of these events.
    pub(crate) fn whole(filter: &'a Filter) -> Wanted<'a> {
        Wanted { filter, archived_since: None, needed: &Some }
    }
}

/// An event without its body: many of them may not fit into memory with theirs.
pub(crate) fn without_body(event: Archived) -> Archived {
    Archived { body: Body::from(""), ..event }
}

impl Archive {
    /// The events that match: those of a group in order, each once.
    pub(crate) async fn events(&self, wanted: Wanted<'_>, progress: Progress<'_>) -> anyhow::Result<Events> {
        let Wanted { filter, archived_since, needed } = wanted;
        match self {
            Archive::Folder(folder) => folder.events(filter).with_context(|| self.reading()),
            Archive::Bucket(bucket) => {
                let mut gathered = Gathered::new(filter).with_context(|| self.reading())?;
                let since = filter.since.or(archived_since);
                let add = |event| gathered.add(event, needed);
                let read = bucket.read(since, filter.until, add, progress).await.with_context(|| self.reading())?;
                gathered.events(read.damaged).with_context(|| self.reading())
            }
        }
    }

    /// What the archive holds. Reads every file of one on S3.
    pub async fn stats(&self, progress: Progress<'_>) -> anyhow::Result<Stats> {
        match self {
            Archive::Folder(folder) => folder.stats().with_context(|| self.reading()),
            Archive::Bucket(bucket) => {
                let mut stats = Stats::default();
                let count = |event: Archived| {
                    stats.events += 1;
                    stats.ended_at(event.ended_at);
                    Ok(())
                };
                let read = bucket.read(None, None, count, progress).await.with_context(|| self.reading())?;
                Ok(Stats { segments: read.files, bytes: read.bytes, damaged: read.damaged, ..stats })
            }
        }
    }

    pub(crate) fn reading(&self) -> String {
        format!("reading the archive {self}")
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Archive::Folder(folder) => folder.path().display().fmt(f),
            Archive::Bucket(bucket) => bucket.fmt(f),
        }
    }
}
