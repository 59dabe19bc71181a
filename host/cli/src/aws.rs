//! What the commands need of AWS.

use std::sync::Arc;

use anyhow::Context as _;
use towpath_aws::{S3Holds, SqsQueue, client};
use towpath_core::config::S3Url;
use towpath_core::holds::Holds;
use towpath_core::queue::Queue;

use crate::place::Waiting;

/// The queue with this URL; fails if it does not answer.
pub(crate) async fn queue(url: &str) -> anyhow::Result<Arc<dyn Queue>> {
    let queue = SqsQueue::new(client::sqs(url).await, url);
    queue.depth().await.with_context(|| format!("asking the queue {url}"))?;
    Ok(Arc::new(queue))
}

/// How much waits in a queue.
pub(crate) async fn waiting(url: &str) -> anyhow::Result<Waiting> {
    let queue = SqsQueue::new(client::sqs(url).await, url);
    let depth = queue.depth().await.with_context(|| format!("asking the queue {url}"))?;
    let messages = depth.visible + depth.invisible + depth.delayed;
    Ok(Waiting { messages, invisible: depth.invisible, groups: None, oldest: None })
}

/// The holds in this object.
pub(crate) async fn holds(url: S3Url) -> anyhow::Result<Arc<dyn Holds>> {
    Ok(Arc::new(S3Holds::new(client::s3().await, url)))
}
