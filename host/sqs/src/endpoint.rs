//! What the endpoint holds: the store, the queues that clients may not change, the token, and its background tasks.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use towpath_config::Secret;
use towpath_local::{LocalQueue, Store, StoreError};
use towpath_types::queue::Queue as _;

use crate::error::ApiError;
use crate::names;

/// The endpoint. It runs the move tasks that it starts and empties the queues that it deletes, until it is dropped.
pub struct Endpoint {
    pub(crate) store: Store,
    /// Queues that a running host works with. Clients send to them and receive from them as from any other; they do not set,
    /// purge, move or delete them, which could take accepted events away unseen.
    in_use: Vec<String>,
    pub(crate) token: Option<Secret>,
    tasks: Mutex<JoinSet<()>>,
}

impl Endpoint {
    /// An endpoint over this store. Move tasks that were cut off by the end of another process go on.
    /// With a token it lets in those alone whose access key id, or bearer token, it is.
    pub async fn new(store: Store, in_use: Vec<String>, token: Option<Secret>) -> Result<Arc<Endpoint>, StoreError> {
        let unfinished = store.unfinished_moves().await?;
        let endpoint = Endpoint { store, in_use, token, tasks: Mutex::default() };
        unfinished.into_iter().for_each(|task| endpoint.go_on(task));
        Ok(Arc::new(endpoint))
    }

    /// Moves in the background. What stops it is in the task's own row.
    pub(crate) fn go_on(&self, task: i64) {
        let store = self.store.clone();
        self.spawn(async move {
            // It can be asked for with ListMessageMoveTasks.
            let _ = store.run_move(task).await;
        });
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Refuses what would take messages of a queue that a running host works with.
    pub(crate) fn not_in_use(&self, queue: &LocalQueue, instead: &str) -> Result<(), ApiError> {
        if self.in_use.iter().any(|name| name == queue.name()) {
            let message = format!("A running host works with the queue {}: {instead}.", queue.name());
            return Err(ApiError::unsupported(message));
        }
        Ok(())
    }

    pub(crate) async fn queue(&self, url: Option<&str>) -> Result<LocalQueue, ApiError> {
        let url = url.ok_or_else(|| ApiError::missing("QueueUrl"))?;
        let name = names::of_url(url).ok_or_else(ApiError::no_queue)?;
        self.store.find(name).await?.ok_or_else(ApiError::no_queue)
    }
}
