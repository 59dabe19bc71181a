//! Finds the file of a story.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use towpath_config::{Config, Secrets};
use towpath_files::private;

use crate::config;
use crate::queues::STORY;

/// Why there is no story to read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoryError {
    /// The folder of the file does not exist.
    #[error("there is no {}", .0.display())]
    NoFolder(PathBuf),
    /// The default config cannot be read, and neither a store, nor a file, nor another config was named.
    #[error("finding the story")]
    NotNamed,
}

/// Where an operator says the story is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoryPlace {
    /// The config, whose local store keeps the story.
    pub config: PathBuf,
    /// Whether the operator named that config: then it must be readable.
    pub config_was_named: bool,
    /// The folder of a local store, instead of the config's.
    pub store: Option<PathBuf>,
    /// The file itself.
    pub file: Option<PathBuf>,
    /// Log groups of CloudWatch, instead of any file.
    pub logs: Option<LogGroups>,
}

/// Log groups of CloudWatch, to which functions write the story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogGroups {
    /// Their names.
    pub names: Vec<String>,
    /// How far back to search for one event. Each search reads all lines of this time, and CloudWatch is not quick.
    pub back: Duration,
}

/// A file with a story, and the config of the hosts that write it, if it is known.
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// The config.
    pub config: Option<Config>,
}

impl Source {
    /// Finds the file. A folder that was named must exist; the config's store may be created later.
    pub async fn of(place: &StoryPlace) -> anyhow::Result<Source> {
        let config = config::load(&place.config, &Secrets::placeholders()).await;
        let config_was_named = place.config_was_named;
        match (&place.file, &place.store) {
            (Some(file), _) => {
                let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
                if folder.is_some_and(|folder| !folder.is_dir()) {
                    return Err(StoryError::NoFolder(file.clone()).into());
                }
                // The default config need not be the one of the host that wrote the file.
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
                let config = config.context(StoryError::NotNamed)?;
                let file = config.queue.store.join(STORY);
                private::refuse_link(&file)?;
                Ok(Source { file, config: Some(config) })
            }
        }
    }
}
