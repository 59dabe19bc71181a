//! Supervised, named tasks: if one stops before shutdown was requested, all of them stop.

use std::any::Any;
use std::collections::HashMap;
use std::error::Error;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::error;

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The task returned before shutdown was requested.
    #[error("the task {0:?} ended early")]
    Ended(&'static str),
    #[error("the task {task:?} panicked: {panic}")]
    Panicked { task: &'static str, panic: String },
    #[error("the task {task:?} failed")]
    Failed { task: &'static str, source: BoxError },
}

/// Tasks that run until `stop` is cancelled. Dropping this aborts them.
pub struct Tasks {
    stop: CancellationToken,
    running: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, &'static str>,
}

impl Tasks {
    /// Each task that is added must return once `stop` is cancelled, and not before.
    pub fn new(stop: CancellationToken) -> Tasks {
        Tasks { stop, running: JoinSet::new(), names: HashMap::new() }
    }

    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_fallible(name, async {
            task.await;
            Ok::<(), BoxError>(())
        });
    }

    pub fn spawn_fallible<E: Into<BoxError>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = self.running.spawn(async { task.await.map_err(Into::into) });
        self.names.insert(task.id(), name);
    }

    /// Waits for the next task to end; `None` once there are none. A task that panicked, returned an error, or ended
    /// before `stop` was cancelled is a failure; the caller decides what to do with the others. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<(), Failure>> {
        let ended = self.running.join_next_with_id().await?;
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let task = self.names.remove(&id).unwrap_or_default();
        Some(match ended {
            Ok((_, Ok(()))) if self.stop.is_cancelled() => Ok(()),
            Ok((_, Ok(()))) => Err(Failure::Ended(task)),
            Ok((_, Err(source))) => Err(Failure::Failed { task, source }),
            Err(error) => Err(Failure::Panicked { task, panic: panic_of(error) }),
        })
    }

    /// Waits until all tasks have ended. A failure cancels `stop`, so the others finish their current work. Returns the
    /// first failure, but prefers the first panic.
    pub async fn join(mut self) -> Result<(), Failure> {
        let mut first = Ok(());
        while let Some(ended) = self.next().await {
            if let Err(failure) = ended {
                self.stop.cancel();
                // A task that waited for a panicked one may be seen to end before it.
                if !matches!((&first, &failure), (Err(Failure::Panicked { .. }), _) | (Err(_), Failure::Ended(_))) {
                    first = Err(failure);
                }
            }
        }
        first
    }
}

/// Logs a panic in a task that the others do not depend on, such as one connection or one group.
pub fn log_panic(task: &'static str, ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && !error.is_cancelled()
    {
        error!(event = "host-panicked", task, panic = panic_of(error), "a task panicked: this is a bug in towpath");
    }
}

fn panic_of(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic_text(&*panic).to_owned(),
        Err(error) => error.to_string(),
    }
}

pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no panic message")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tasks: one that ends as `how` says, and one that waits for `stop`.
    async fn joined(how: impl Future<Output = Result<(), BoxError>> + Send + 'static) -> Result<(), Failure> {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone());
        tasks.spawn("patient", async move { stop.cancelled().await });
        tasks.spawn_fallible("hasty", how);
        tasks.join().await
    }

    #[tokio::test]
    async fn a_task_that_ends_early_fails_or_panics_stops_the_others_and_is_named() {
        let ended = joined(async { Ok(()) }).await;
        assert_eq!(ended.unwrap_err().to_string(), "the task \"hasty\" ended early");
        let failed = joined(async { Err("no room".into()) }).await.unwrap_err();
        let source = failed.source().expect("a source").to_string();
        assert_eq!((failed.to_string().as_str(), source.as_str()), ("the task \"hasty\" failed", "no room"));
        let panicked = joined(async { panic!("of all {}", "things") }).await;
        assert_eq!(panicked.unwrap_err().to_string(), "the task \"hasty\" panicked: of all things");
    }

    #[tokio::test]
    async fn tasks_that_end_after_the_stop_fail_only_by_panicking() {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone());
        let stopped = stop.clone();
        tasks.spawn("patient", async move { stopped.cancelled().await });
        stop.cancel();
        assert!(tasks.join().await.is_ok());
        let mut tasks = Tasks::new(stop.clone());
        tasks.spawn("clumsy", async { panic!("while draining") });
        assert!(tasks.join().await.is_err(), "a panic while draining is reported");
    }
}
