//! A host on Lambda, which the queue invokes with batches.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use towpath_aws::{S3Holds, SqsQueue, client};
use towpath_config::Config;
use towpath_deliver::holds::{MEMORY, Watched};
use towpath_engine::lambda::Host;
use towpath_plugin::Engine;
use towpath_runtime::time::wall_clock;
use towpath_types::queue::Queue;

use crate::aws;
use crate::parts::Parts;

/// The host of a config. Fails here, before the first message, if anything is wrong.
pub async fn function(config: Config) -> anyhow::Result<Host> {
    let (Some(url), Some(dead_letter_url)) = (config.queue.url.clone(), config.queue.dead_letter_url.clone()) else {
        bail!("on Lambda the config needs [queue] with url and dead_letter_url");
    };
    let clock = wall_clock();
    let extends_visibility = config.queue.extend_visibility;
    let engine = Engine::new().map_err(|error| anyhow::anyhow!("{error:#}")).context("starting the plugin engine")?;
    let queue: Arc<dyn Queue> = Arc::new(SqsQueue::new(client::sqs(&url).await, url.clone()));
    let dead_letters = Arc::new(SqsQueue::new(client::sqs(&dead_letter_url).await, dead_letter_url));
    let holds = match config.holds.clone() {
        Some(url) => Some(Watched::new(Arc::new(S3Holds::new(client::s3().await, url)), MEMORY, clock)),
        None => None,
    };
    let archive = match config.archive.stream.clone() {
        Some(stream) => Some(aws::archive(&url, stream).await?),
        None => None,
    };
    let parts = Parts::new(engine, config, None, holds, clock).await?;
    let (mut pipeline, watch) = parts.pipeline(dead_letters, queue.name().to_owned());
    pipeline.archive = archive;
    Ok(Host { pipeline, queue, watch, extends_visibility })
}
