//! Events that were delivered or skipped, in the archive of a host: on this machine, or on S3.

pub(crate) mod files;
mod place;
mod reader;

use anyhow::{Context as _, bail};
use towpath_archive::{Filter, Stats};
use towpath_types::archive::Archived;
use towpath_types::clock::Timestamp;
use towpath_types::message::origin_of;

use crate::known::{Groups, Known};

pub use files::{FilesRead, Progress, Reading};
pub(crate) use place::of_config;
pub use place::{ArchivePlace, FoundArchive, Named, NoArchive};
pub use reader::Archive;
pub(crate) use reader::{Wanted, without_body};

/// What a search found.
pub struct Listed {
    /// Those of a group in order, without their bodies: a list of many would not fit into memory.
    pub events: Vec<Archived>,
    /// Damaged records, frames and lines that were skipped.
    pub damaged: u64,
}

/// The events that match. Fails if there are none, and the config has no such route or group: a typo must not read as "no events".
pub async fn list(found: &FoundArchive, filter: &Filter, progress: Progress<'_>) -> anyhow::Result<Listed> {
    let needed = |event| Some(without_body(event));
    let mut matching = found.archive.events(Wanted { needed: &needed, ..Wanted::whole(filter) }, progress).await?;
    let events = matching.by_ref().map(|event| event.map(without_body)).collect::<Result<Vec<_>, _>>();
    let events = events.with_context(|| found.archive.reading())?;
    if let (Some(config), true) = (&found.config, events.is_empty()) {
        let routes = Known::new("route", config.routes.iter().map(|route| route.path.as_str()));
        filter.routes.iter().try_for_each(|route| routes.check(route))?;
        filter.groups.iter().try_for_each(|group| Groups(group).check(config))?;
    }
    Ok(Listed { events, damaged: matching.damaged() })
}

/// The one event that has an id, or a `webhook-id`, with this prefix, among those that were first stored at this time or later. Fails if there
/// are several, or none.
pub async fn one(
    found: &FoundArchive,
    id: &str,
    since: Option<Timestamp>,
    progress: Progress<'_>,
) -> anyhow::Result<Archived> {
    let filter = Filter { id_begins: Some(id.to_owned()), since, ..Filter::default() };
    let (mut exact, mut beginning) = (Vec::new(), Vec::new());
    let mut matching = found.archive.events(Wanted::whole(&filter), progress).await?;
    for event in matching.by_ref() {
        let event = event.with_context(|| found.archive.reading())?;
        let named = if is_named(&event, id) { &mut exact } else { &mut beginning };
        if named.len() < MOST_NAMED {
            named.push(event);
        }
    }
    let mut events = if exact.is_empty() { beginning } else { exact };
    if events.len() > 1 {
        let mut ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        ids.dedup();
        bail!("{id} names several events: give one of these ids: {}", ids.join(", "));
    }
    let damaged = matching.damaged();
    events.pop().with_context(|| {
        let also = if damaged > 0 {
            format!(", and {damaged} damaged records, frames or lines were skipped")
        } else {
            String::new()
        };
        format!("there is no event {id} in the archive{also}: `towpath archive list` shows those that are there")
    })
}

/// How many events an error names.
const MOST_NAMED: usize = 10;

/// Whether this is one of its ids.
fn is_named(event: &Archived, id: &str) -> bool {
    let origin = || origin_of(&event.attributes).is_some_and(|origin| origin.id.as_str() == id);
    event.id.as_str() == id || event.webhook_id.as_str() == id || origin()
}

/// What the archive holds.
pub async fn stats(found: &FoundArchive, progress: Progress<'_>) -> anyhow::Result<Stats> {
    found.archive.stats(progress).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;
    use towpath_archive::{Folder, Segments, Settings};
    use towpath_types::archive::{Archive as _, Ending};
    use towpath_types::body::Body;
    use towpath_types::queue::Attributes;

    use super::*;

    #[tokio::test]
    async fn a_list_has_no_bodies_and_one_event_has_its_own() {
        let folder = TempDir::new().expect("folder");
        let keep = Duration::from_secs(3600);
        let settings = Settings { folder: folder.path().to_owned(), keep, max_size: 1 << 30 };
        let event = Archived {
            id: "m-1".into(),
            webhook_id: "w-1".into(),
            group: "g".into(),
            dedup_id: None,
            sequence: Some("1".to_owned()),
            route: "crm".to_owned(),
            plugin: None,
            digest: None,
            sent_at: Timestamp(1),
            ended_at: Timestamp(2),
            receive_count: 1,
            ending: Ending::Delivered,
            reason: None,
            attempts: Vec::new(),
            attributes: Attributes::new(),
            redacted: false,
            body: Body::from("{}"),
        };
        Segments::new(settings, |_| ()).keep(event.clone());
        let found = FoundArchive { archive: Archive::Folder(Folder::new(folder.path())), config: None };
        let listed = list(&found, &Filter::default(), &|_| {}).await.expect("read").events;
        assert_eq!(listed, [Archived { body: Body::from(""), ..event.clone() }]);
        for id in ["m-1", "w"] {
            assert_eq!(one(&found, id, None, &|_| {}).await.expect("found"), event, "{id}");
            let later = one(&found, id, Some(Timestamp(2)), &|_| {}).await;
            assert!(later.is_err(), "{id}");
        }
    }
}
