//! Finds the queues and holds of a command: in a local store, or in SQS and S3.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use towpath_config::target::Target;
use towpath_config::{Config, Secrets, env};
use towpath_files::regular::is_writable;
use towpath_types::holds::Holds;
use towpath_types::queue::{Queue as _, QueueLimits};

use crate::queues::Queues;
use crate::waiting::Waiting;
use crate::{aws, config};

/// The default config cannot be read, and neither a store, nor a queue, nor another config was named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("finding the queue")]
pub struct NoPlace;

/// Where an operator says the queues are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueuePlace {
    /// The config.
    pub config: PathBuf,
    /// Whether the operator named that config: then it must be readable.
    pub config_was_named: bool,
    /// The folder of a local store, instead of the config's queue.
    pub store: Option<PathBuf>,
    /// The URL of a dead-letter queue of SQS, instead of the config's.
    pub queue_url: Option<String>,
}

impl QueuePlace {
    /// The config, where the place itself was named without it. A config that was not asked for may be missing or broken: letters are
    /// often inspected just then.
    pub async fn config(&self) -> anyhow::Result<Option<Config>> {
        match self.load().await {
            Err(error) if self.config_was_named => Err(error),
            read => Ok(read.ok()),
        }
    }

    async fn load(&self) -> anyhow::Result<Config> {
        config::load(&self.config, &Secrets::placeholders()).await
    }
}

/// The user that runs this process.
pub fn user() -> String {
    env::user().unwrap_or_else(|| "unknown".to_owned())
}

/// The queues of a place.
#[derive(Clone)]
pub enum Backend {
    /// In a store on this machine.
    Local(Box<Queues>),
    /// Queues of SQS, by their URLs.
    Sqs {
        /// The queue of events; `None` if no config names it.
        events: Option<String>,
        /// The dead-letter queue.
        dead_letters: String,
        /// The queue of webhooks that ingest turned away; `None` if no config names it.
        refused: Option<String>,
    },
}

impl Backend {
    /// The limits of the queue of events. Fails if no config names that queue.
    pub async fn limits(&self) -> anyhow::Result<QueueLimits> {
        match self {
            Backend::Local(queues) => Ok(queues.events.limits().await?),
            Backend::Sqs { events: Some(url), .. } => Ok(aws::queue(url).await?.limits().await?),
            Backend::Sqs { events: None, .. } => bail!("no config names queue.url"),
        }
    }

    /// What waits to be delivered; `None` if that queue is not known.
    pub async fn events(&self) -> anyhow::Result<Option<Waiting>> {
        match self {
            Backend::Local(queues) => Waiting::of(&queues.events).await.map(Some),
            Backend::Sqs { events: Some(url), .. } => aws::waiting(url).await.map(Some),
            Backend::Sqs { events: None, .. } => Ok(None),
        }
    }

    /// What is kept of the webhooks that ingest turned away; `None` if that queue is not known.
    pub async fn refused(&self) -> anyhow::Result<Option<Waiting>> {
        match self {
            Backend::Local(queues) => Waiting::of(&queues.refused).await.map(Some),
            Backend::Sqs { refused: Some(url), .. } => aws::waiting(url).await.map(Some),
            Backend::Sqs { refused: None, .. } => Ok(None),
        }
    }

    /// What waits in the dead-letter queue.
    pub async fn dead_letters(&self) -> anyhow::Result<Waiting> {
        match self {
            Backend::Local(queues) => Waiting::of(&queues.dead_letters).await,
            Backend::Sqs { dead_letters, .. } => aws::waiting(dead_letters).await,
        }
    }
}

/// The queues of a place, its config if one was read, and who acts on them.
#[derive(Clone)]
pub struct Found {
    /// The queues.
    pub backend: Backend,
    /// The config.
    pub config: Option<Arc<Config>>,
    /// Who acts, as the audit, holds and notes name them.
    pub by: String,
}

impl Found {
    /// These queues, and the user of this process, who acts on them.
    pub fn new(backend: Backend, config: Option<Config>) -> Found {
        Found { backend, config: config.map(Arc::new), by: user() }
    }

    /// Finds the queues of a place. Changes nothing and creates no store.
    pub async fn find(place: &QueuePlace) -> anyhow::Result<Found> {
        if let Some(url) = &place.queue_url {
            let config = place.config().await?;
            let queue = config.as_ref().map(|config| &config.queue);
            let events = queue.and_then(|queue| queue.url.clone());
            let refused = queue.and_then(|queue| queue.refused_url.clone());
            return Ok(Found::new(Backend::Sqs { events, dead_letters: url.clone(), refused }, config));
        }
        if let Some(folder) = &place.store {
            let config = place.config().await?;
            return Ok(Found::new(Backend::Local(Box::new(Queues::look(folder).await?)), config));
        }
        let config = place.load().await.context(NoPlace)?;
        let queue = &config.queue;
        let backend = match (&queue.url, &queue.dead_letter_url) {
            (events @ Some(_), Some(dead)) => {
                Backend::Sqs { events: events.clone(), dead_letters: dead.clone(), refused: queue.refused_url.clone() }
            }
            _ => Backend::Local(Box::new(Queues::look(&queue.store).await?)),
        };
        Ok(Found::new(backend, Some(config)))
    }

    /// The folder of what an operator's commands keep: that of the store, or for SQS `.towpath` of the working directory.
    pub fn folder(&self) -> PathBuf {
        match &self.backend {
            Backend::Local(queues) => queues.events.store().file().parent().map(PathBuf::from).unwrap_or_default(),
            Backend::Sqs { .. } => PathBuf::from(".towpath"),
        }
    }

    /// Whether this process may write to the store. What AWS allows shows only when something is done.
    pub fn is_writable(&self) -> bool {
        match &self.backend {
            Backend::Local(queues) => is_writable(queues.events.store().file()) && is_writable(&self.folder()),
            Backend::Sqs { .. } => true,
        }
    }

    /// A target of the config.
    pub fn target(&self, name: &str) -> Option<&Target> {
        self.config.as_ref().and_then(|config| config.targets.get(name))
    }

    /// Where this place keeps its holds.
    pub async fn holds(&self) -> anyhow::Result<Arc<dyn Holds>> {
        let url = self.config.as_ref().and_then(|config| config.holds.clone());
        match (&self.backend, url) {
            (Backend::Local(queues), None) => Ok(Arc::new(queues.events.store().clone())),
            (_, Some(url)) => aws::holds(url).await,
            (Backend::Sqs { .. }, None) => {
                bail!(
                    "with SQS, holds are kept in S3: add [holds] with url = \"s3://bucket/towpath/holds.json\" to the config"
                )
            }
        }
    }
}
