//! Supervises the tasks of a host until a signal, or until a task breaks.
//!
//! A host that continues with a part missing is worse than one that stops: it answers 202 and delivers nothing. So a task that panics, fails
//! or returns early stops the host with an error, and a service manager restarts it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use towpath_registry::Watch;
use towpath_runtime::health::Health;
use towpath_runtime::tasks::{Failure, Tasks};
use tracing::{error, warn};

use crate::signals;

/// How long the other tasks may take to drain after one broke.
const FINISH: Duration = Duration::from_secs(30);

/// The tasks of a host.
pub struct Supervisor {
    /// Cancelled when it is time to drain.
    pub stop: CancellationToken,
    /// The state that `/readyz` reports.
    pub health: Arc<Health>,
    /// Tasks that end once `stop` is cancelled, and never before.
    pub tasks: Tasks,
    /// Tasks that run through the drain, such as the server that reports it. They never end.
    pub lasting: Tasks,
}

impl Supervisor {
    /// A host without tasks.
    #[allow(clippy::new_without_default, reason = "it is created once, explicitly")]
    pub fn new() -> Supervisor {
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        Supervisor { stop, health: Arc::default(), tasks, lasting: Tasks::new(CancellationToken::new()) }
    }

    /// Watches the registry for new versions of plugins until the host stops.
    pub fn watch_registry(&mut self, watch: Arc<Watch>) {
        let stop = self.stop.clone();
        self.tasks.spawn("registry watch", async move {
            stop.run_until_cancelled(watch.run()).await;
        });
    }

    /// Runs until a signal, then until all tasks have drained. If a task breaks, drains the others and fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        tokio::select! {
            result = signals::watch(stop) => result.context("waiting for signals"),
            result = self.watch() => result,
        }
    }

    /// Waits until all tasks have ended.
    async fn watch(mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        let mut end = None;
        while let Some(ended) = self.next(end).await {
            let Err(failure) = ended.map_err(anyhow::Error::new) else { continue };
            error!(problem = format!("{failure:#}"), "a task of the host broke, stopping");
            self.stop.cancel();
            end.get_or_insert(Instant::now() + FINISH);
            first = first.and(Err(failure));
        }
        first
    }

    /// The next task that ended; `None` once all have, or at the deadline.
    async fn next(&mut self, end: Option<Instant>) -> Option<Result<(), Failure>> {
        let too_late = async {
            match end {
                Some(end) => sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let stopping = async {
            self.stop.cancelled().await;
            self.health.drain();
            std::future::pending().await
        };
        tokio::select! {
            ended = self.tasks.next() => ended,
            Some(ended) = self.lasting.next() => Some(ended),
            () = stopping => None,
            () = too_late => {
                warn!("some tasks did not drain in time, their messages will be delivered again");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host with a task that takes a second to drain.
    fn host() -> Supervisor {
        let mut host = Supervisor::new();
        let stop = host.stop.clone();
        host.tasks.spawn("patient", async move {
            stop.cancelled().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        host
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_or_returns_early_fails_the_host_once_the_others_have_drained() {
        type Break = fn(&mut Supervisor);
        let cases: [(&str, Break); 3] = [
            ("ended early", |host| host.tasks.spawn("pipeline", async {})),
            ("panicked: a bug", |host| host.tasks.spawn("pipeline", async { panic!("a bug") })),
            ("ended early", |host| host.lasting.spawn("pipeline", async {})),
        ];
        for (says, breaks) in cases {
            let mut host = host();
            let began = Instant::now();
            breaks(&mut host);
            let health = Arc::clone(&host.health);
            let error = host.run().await.expect_err(says);
            assert_eq!(format!("{error:#}"), format!("the task \"pipeline\" {says}"));
            assert_eq!(began.elapsed(), Duration::from_secs(1), "{says}: the other one drained");
            assert_eq!(health.ready(), Err("draining"), "{says}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_broke_first_is_what_the_host_fails_with() {
        let mut host = host();
        let stop = host.stop.clone();
        host.tasks.spawn("server", async move {
            stop.cancelled().await;
            panic!("it cannot go on without the pipeline");
        });
        host.tasks.spawn("pipeline", async {});
        let error = host.run().await.expect_err("it broke");
        assert_eq!(format!("{error:#}"), "the task \"pipeline\" ended early");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_with_a_broken_task_does_not_wait_for_ever_for_the_others() {
        let mut host = host();
        let began = Instant::now();
        host.tasks.spawn("stuck", std::future::pending());
        host.tasks.spawn("pipeline", async {});
        assert!(host.run().await.is_err());
        assert_eq!(began.elapsed(), FINISH);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_stopped_drains_and_is_not_ready_meanwhile() {
        let host = host();
        let stop = host.stop.clone();
        let health = Arc::clone(&host.health);
        assert!(health.ready().is_ok());
        stop.cancel();
        assert!(host.run().await.is_ok());
        assert_eq!(health.ready(), Err("draining"));
    }
}
