//! Which queues and holds a command is about: a local store, or queues of SQS and an object in S3.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Serialize;
use towpath_config::target::Target;
use towpath_config::{Config, Secrets};
use towpath_types::clock::Timestamp;
use towpath_types::holds::Holds;
use towpath_types::queue::{Queue as _, QueueLimits};

use crate::args::Place as Args;
use crate::aws;
use crate::compose::{Queues, load_config};

/// How much waits in a queue, as far as the queue can tell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Waiting {
    pub(crate) messages: u64,
    /// Messages in flight, or given back until later.
    pub(crate) invisible: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) groups: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oldest: Option<Timestamp>,
}

/// Where the queues are.
pub(crate) enum Place {
    Local(Queues),
    Sqs { events: Option<String>, dead_letters: String },
}

/// A place, with the config that names it, if one does.
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) config: Option<Config>,
}

impl Found {
    /// Finds the place that the arguments mean. A command that looks changes nothing, and makes no store.
    pub(crate) async fn find(args: &Args) -> anyhow::Result<Found> {
        if let Some(url) = &args.queue_url {
            let config = Found::config_of(args).await?;
            let events = config.as_ref().and_then(|config| config.queue.url.clone());
            return Ok(Found { place: Place::Sqs { events, dead_letters: url.clone() }, config });
        }
        if let Some(folder) = &args.store {
            let config = Found::config_of(args).await?;
            return Ok(Found { place: Place::Local(Queues::look(folder).await?), config });
        }
        let config =
            config(args).await.context("finding the queue: give --store DIR, --queue-url URL or --config FILE")?;
        let place = match (&config.queue.url, &config.queue.dead_letter_url) {
            (events @ Some(_), Some(dead)) => Place::Sqs { events: events.clone(), dead_letters: dead.clone() },
            _ => Place::Local(Queues::look(&config.queue.store).await?),
        };
        Ok(Found { place, config: Some(config) })
    }

    /// The config of a place that was named without one. One that nobody asked for may be missing, or broken, which is when
    /// letters are looked at; one that was named must be there.
    pub(crate) async fn config_of(args: &Args) -> anyhow::Result<Option<Config>> {
        match config(args).await {
            Err(error) if args.config.config.is_some() => Err(error),
            read => Ok(read.ok()),
        }
    }

    /// A target of the config.
    pub(crate) fn target(&self, name: &str) -> Option<&Target> {
        self.config.as_ref().and_then(|config| config.targets.get(name))
    }

    /// What the queue of events allows a message that waits; nothing is known where no config names that queue.
    pub(crate) async fn limits(&self) -> anyhow::Result<QueueLimits> {
        match &self.place {
            Place::Local(queues) => Ok(queues.events.limits().await?),
            Place::Sqs { events: Some(url), .. } => Ok(aws::queue(url).await?.limits().await?),
            Place::Sqs { events: None, .. } => bail!("no config names queue.url"),
        }
    }

    /// Where holds are kept here.
    pub(crate) async fn holds(&self) -> anyhow::Result<Arc<dyn Holds>> {
        let url = self.config.as_ref().and_then(|config| config.holds.clone());
        match (&self.place, url) {
            (Place::Local(queues), None) => Ok(Arc::new(queues.events.store().clone())),
            (_, Some(url)) => aws::holds(url).await,
            (Place::Sqs { .. }, None) => {
                bail!(
                    "with SQS, holds are kept in S3: add [holds] with url = \"s3://bucket/towpath/holds.json\" to the config"
                )
            }
        }
    }
}

async fn config(args: &Args) -> anyhow::Result<Config> {
    load_config(&args.config, &Secrets::placeholders()).await
}
