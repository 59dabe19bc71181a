//! Which archived events a replay takes, in a form that its file keeps, and where they are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use towpath_archive::{Filter, Folder};
use towpath_types::archive::Ending;
use towpath_types::clock::Timestamp;
use towpath_types::json::Pointer;

use crate::archive::{Archive, Named, NoArchive, of_config};
use crate::known::{Groups, Known};
use crate::place::{Backend, Found};

/// The folder of an archive beside its store.
const ARCHIVE: &str = "archive";

/// What an event must have. A condition that is absent or empty is always met.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// Its route is one of these, which may have left the config.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Its group is one of these; a star at the end matches anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// It was first stored at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// It was first stored before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Its id, or what its targets received as `webhook-id`, is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ending>,
    /// A text in its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Values in its JSON body, each with the pointer to it.
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, String)>,
}

impl Conditions {
    /// Whether every event meets them.
    pub fn is_everything(&self) -> bool {
        *self == Conditions::default()
    }

    /// What this filter asks for; its limit is none.
    pub fn of(filter: &Filter) -> Conditions {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        Conditions {
            routes: filter.routes.clone(),
            groups: filter.groups.clone(),
            since: filter.since,
            until: filter.until,
            ids: filter.ids.clone(),
            outcome: filter.ending,
            contains: filter.contains.as_ref().map(text),
            values: filter.values.iter().map(|(pointer, value)| (pointer.to_string(), text(value))).collect(),
        }
    }

    /// As the archive takes them.
    pub(super) fn filter(&self) -> anyhow::Result<Filter> {
        let value = |(pointer, value): &(String, String)| Ok((pointer.parse::<Pointer>()?, value.as_bytes().to_vec()));
        Ok(Filter {
            routes: self.routes.clone(),
            groups: self.groups.clone(),
            since: self.since,
            until: self.until,
            ids: self.ids.clone(),
            ending: self.outcome,
            contains: self.contains.as_ref().map(|text| text.as_bytes().to_vec()),
            values: self.values.iter().map(value).collect::<anyhow::Result<_>>()?,
            ..Filter::default()
        })
    }

    /// Fails if a route or group is neither in the config nor in these routes and groups, which were found: a typo must not read as
    /// "no events".
    pub(super) fn check(&self, found: &Found, has_some: bool) -> anyhow::Result<()> {
        let Some(config) = found.config.as_deref().filter(|_| !has_some) else { return Ok(()) };
        let known = Known::new("route", config.routes.iter().map(|route| route.path.clone()));
        self.routes.iter().try_for_each(|route| known.check(route))?;
        Ok(self.groups.iter().try_for_each(|group| Groups(group).check(config))?)
    }
}

/// The named archive, or that of the place.
pub(super) async fn archive(found: &Found, named: &Named) -> anyhow::Result<Archive> {
    let config = found.config.as_deref();
    if let Some(named) = named.open(config).await? {
        return Ok(named);
    }
    match (beside(found), config) {
        (Some(folder), _) => Ok(Archive::Folder(Folder::new(folder))),
        (None, Some(config)) => of_config(config).await,
        (None, None) => Err(NoArchive::NoConfig.into()),
    }
}

/// The folder of the archive of the place; `None` if it has none on this machine.
pub(crate) fn folder(found: &Found) -> Option<PathBuf> {
    beside(found).or_else(|| found.config.as_deref()?.archive.folder.clone())
}

/// The folder beside the store, unless the config names another one for the archive of this store.
fn beside(found: &Found) -> Option<PathBuf> {
    let Backend::Local(queues) = &found.backend else { return None };
    let config = found.config.as_deref();
    let configured = config.and_then(|config| config.archive.folder.clone());
    // The store may be another one than the config's, and a config for SQS has none: its archive has events of another queue.
    let is_beside =
        config.is_none_or(|config| config.queue.url.is_some() || configured == Some(config.queue.store.join(ARCHIVE)));
    let store = queues.events.store().file().parent().map(PathBuf::from).unwrap_or_default();
    is_beside.then(|| store.join(ARCHIVE))
}
