//! The endpoint's state: the store, the queues that clients may not change, the token, and the background tasks.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use towpath_config::Secret;
use towpath_local::{LocalQueue, Store, StoreError};
use towpath_types::queue::Queue as _;

use crate::error::ApiError;
use crate::names;

/// The endpoint. Until it is dropped, it runs the move tasks that it starts and empties the queues that it deletes.
pub struct Endpoint {
    pub(crate) store: Store,
    /// Queues that a running host uses. Clients may send to them and receive from them, but not configure, purge, move or
    /// delete them: that could remove accepted events without an audit.
    in_use: Vec<String>,
    pub(crate) token: Option<Secret>,
    tasks: Mutex<JoinSet<()>>,
}

impl Endpoint {
    /// Creates an endpoint over this store, and continues the move tasks that the end of an earlier process interrupted.
    /// If there is a token, clients must present it as access key id or bearer token.
    pub async fn new(store: Store, in_use: Vec<String>, token: Option<Secret>) -> Result<Arc<Endpoint>, StoreError> {
        let unfinished = store.unfinished_moves().await?;
        let endpoint = Endpoint { store, in_use, token, tasks: Mutex::default() };
        unfinished.into_iter().for_each(|task| endpoint.go_on(task));
        Ok(Arc::new(endpoint))
    }

    /// Runs a move task in the background.
    pub(crate) fn go_on(&self, task: i64) {
        let store = self.store.clone();
        self.spawn(async move {
            // The store logs an error and keeps it in the task's row, where ListMessageMoveTasks finds it.
            let _ = store.run_move(task).await;
        });
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Fails if a running host uses the queue; `instead` says what to do.
    pub(crate) fn not_in_use(&self, queue: &LocalQueue, instead: &str) -> Result<(), ApiError> {
        if self.in_use.iter().any(|name| name == queue.name()) {
            let message = format!("A running host uses the queue {}: {instead}.", queue.name());
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
