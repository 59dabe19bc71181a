//! Events that were delivered or skipped, in the archive of a host on this machine.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use towpath_archive::{Events, Filter, Folder, Limit, Stats};
use towpath_config::{Config, Secrets};
use towpath_types::archive::Archived;
use towpath_types::body::Body;
use towpath_types::message::is_item;

use crate::config;
use crate::known::{Groups, Known};
use crate::secret_headers::SecretHeaders;

/// Where an operator says the archive is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchivePlace {
    /// The config.
    pub config: PathBuf,
    /// Whether the operator named that config: then it must be readable.
    pub config_was_named: bool,
    /// The folder of the archive, instead of the config's.
    pub folder: Option<PathBuf>,
}

/// Neither the config nor the operator names a folder with an archive.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoArchive {
    /// No config can be read.
    #[error("finding the archive")]
    NoConfig,
    /// The config switches it off, or uses SQS and names no folder.
    #[error("{} has no archive: archive.keep is 0s, or its queues are on SQS and it names no archive.folder", .0.display())]
    NotConfigured(PathBuf),
}

/// An archive, and the config if one was read.
pub struct FoundArchive {
    pub folder: Folder,
    pub config: Option<Config>,
}

impl FoundArchive {
    /// Finds the archive of a place. Changes nothing.
    pub async fn find(place: &ArchivePlace) -> anyhow::Result<FoundArchive> {
        let config = config::load(&place.config, &Secrets::placeholders()).await;
        let Some(folder) = &place.folder else {
            let config = config.context(NoArchive::NoConfig)?;
            let folder = config.archive.folder.clone().ok_or_else(|| NoArchive::NotConfigured(config.file.clone()))?;
            return Ok(FoundArchive { folder: Folder::new(folder), config: Some(config) });
        };
        let config = match config {
            Err(error) if place.config_was_named => return Err(error),
            read => read.ok(),
        };
        if !folder.is_dir() {
            bail!("there is no folder {}", folder.display());
        }
        Ok(FoundArchive { folder: Folder::new(folder), config })
    }

    /// The headers and other places of an event that hold secrets.
    pub fn secrets(&self, event: &Archived) -> SecretHeaders {
        let route = self.config.as_ref().and_then(|config| config.routes.by_path(&event.route));
        // An element of a split webhook is stored without them.
        let places = route.filter(|_| !is_item(&event.attributes)).and_then(|route| route.tokens_text());
        SecretHeaders::of(self.config.as_ref()).and(places.as_deref())
    }
}

/// What a search found.
pub struct Listed {
    /// Those of a group in order, without their bodies: a list of many would not fit into memory.
    pub events: Vec<Archived>,
    /// Damaged records and frames that were skipped.
    pub damaged: u64,
}

/// The events that match. Fails if there are none, and the config has no such route or group: a typo must not read as "no events".
pub fn list(found: &FoundArchive, filter: &Filter) -> anyhow::Result<Listed> {
    let mut matching = events(found, filter)?;
    let without_body = |event: Archived| Archived { body: Body::from(""), ..event };
    let events = matching.by_ref().map(|event| event.map(without_body)).collect::<Result<Vec<_>, _>>();
    let events = events.with_context(|| reading(found))?;
    if let (Some(config), true) = (&found.config, events.is_empty()) {
        let routes = Known::new("route", config.routes.iter().map(|route| route.path.as_str()));
        filter.routes.iter().try_for_each(|route| routes.check(route))?;
        filter.groups.iter().try_for_each(|group| Groups(group).check(config))?;
    }
    Ok(Listed { events, damaged: matching.damaged() })
}

fn events(found: &FoundArchive, filter: &Filter) -> anyhow::Result<Events> {
    found.folder.events(filter).with_context(|| reading(found))
}

fn all(found: &FoundArchive, filter: &Filter) -> anyhow::Result<Vec<Archived>> {
    events(found, filter)?.collect::<Result<_, _>>().with_context(|| reading(found))
}

fn reading(found: &FoundArchive) -> String {
    format!("reading the archive {}", found.folder.path().display())
}

/// The one event that has an id, or a `webhook-id`, with this prefix. Fails if there are several, or none.
pub fn one(found: &FoundArchive, id: &str) -> anyhow::Result<Archived> {
    let exact = Filter { ids: vec![id.to_owned()], limit: Limit::First(MOST_NAMED), ..Filter::default() };
    let beginning = Filter { ids: Vec::new(), id_begins: Some(id.to_owned()), ..exact.clone() };
    let mut events = all(found, &exact)?;
    if events.is_empty() {
        events = all(found, &beginning)?;
    }
    if events.len() > 1 {
        let mut ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        ids.dedup();
        bail!("{id} names several events: give one of these ids: {}", ids.join(", "));
    }
    events.pop().with_context(|| {
        format!("there is no event {id} in the archive: `towpath archive list` shows those that are there")
    })
}

/// How many events an error names.
const MOST_NAMED: usize = 10;

/// What the archive holds.
pub fn stats(found: &FoundArchive) -> anyhow::Result<Stats> {
    found.folder.stats().with_context(|| reading(found))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;
    use towpath_archive::{Segments, Settings};
    use towpath_types::archive::{Archive as _, Ending};
    use towpath_types::clock::Timestamp;
    use towpath_types::queue::Attributes;

    use super::*;

    #[test]
    fn a_list_has_no_bodies_and_one_event_has_its_own() {
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
        let found = FoundArchive { folder: Folder::new(folder.path()), config: None };
        let listed = list(&found, &Filter::default()).expect("read").events;
        assert_eq!(listed, [Archived { body: Body::from(""), ..event.clone() }]);
        for id in ["m-1", "w"] {
            assert_eq!(one(&found, id).expect("found"), event, "{id}");
        }
    }
}
