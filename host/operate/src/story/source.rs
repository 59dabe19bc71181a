//! Where a story is read.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use towpath_config::{Config, Secrets};
use towpath_files::private;

use crate::config;
use crate::queues::STORY;

/// What somebody said of where the story is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoryPlace {
    /// The config, whose local store has the story.
    pub config: PathBuf,
    /// Whether somebody named that config: then it must be there.
    pub config_was_named: bool,
    /// The folder of a local store, instead of the config's.
    pub store: Option<PathBuf>,
    /// A file.
    pub file: Option<PathBuf>,
}

/// A file with a story, and the config of the hosts that write it, if it is known.
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// The config.
    pub config: Option<Config>,
}

impl Source {
    /// The one that is meant. A place that was named must be there; the config's store may come later.
    pub async fn of(place: &StoryPlace) -> anyhow::Result<Source> {
        let config = config::load(&place.config, &Secrets::placeholders()).await;
        let config_was_named = place.config_was_named;
        match (&place.file, &place.store) {
            (Some(file), _) => {
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
                if folder.is_some_and(|folder| !folder.is_dir()) {
                    bail!("there is no {}: --file is what `towpath poll --story` keeps", file.display());
                }
                // The config of this folder need not be that of the host that wrote it.
                let config = if config_was_named { Some(config?) } else { None };
                Ok(Source { file: file.clone(), config })
            }
            (None, Some(store)) => {
                let file = store.join(STORY);
                private::refuse_link(&file)?;
                if !file.exists() && !store.join("towpath.db").is_file() {
                    bail!("there is no store in {}: has `towpath serve` run there?", store.display());
                }
                let config = if config_was_named { Some(config?) } else { config.ok() };
                Ok(Source { file, config })
            }
            (None, None) => {
                let config = config.context("finding the story: give --store DIR, --file FILE or --config FILE")?;
                let file = config.queue.store.join(STORY);
                private::refuse_link(&file)?;
                Ok(Source { file, config: Some(config) })
            }
        }
    }
}
