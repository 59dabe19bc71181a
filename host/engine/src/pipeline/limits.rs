//! The limits of the queue that messages come from, refreshed in the background.

use std::convert::Infallible;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use towpath_types::clock::{Clock, Moment};
use towpath_types::queue::{Queue, QueueLimits};

/// The refresh interval: an operator may have changed the redrive policy.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// The interval after a failed refresh.
const AGAIN: Duration = Duration::from_secs(60);

/// How long the queue may take to answer. Messages may wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The limits of a queue, as far as they are known.
#[derive(Debug)]
pub struct KnownLimits {
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    limits: Option<QueueLimits>,
    /// When the queue was last asked.
    asked: Option<Moment>,
    /// Whether it answered.
    answered: bool,
}

impl KnownLimits {
    /// Until something is known, the limits are those of the local queue.
    pub(super) fn new(clock: Clock) -> KnownLimits {
        KnownLimits { clock, known: Mutex::default() }
    }

    pub fn get(&self) -> QueueLimits {
        self.known.lock().limits.unwrap_or(QueueLimits::LOCAL)
    }

    pub fn set(&self, limits: QueueLimits) {
        let before = {
            let mut known = self.known.lock();
            let before = known.limits;
            *known = Known { limits: Some(limits), asked: Some(self.clock.moment()), answered: true };
            before
        };
        if before != Some(limits)
            && let Some(problem) = limits.problem()
        {
            error!(event = "receive-limit-too-low", problem, "the queue's maxReceiveCount is too low");
        }
    }

    /// Refreshes the limits if the last refresh is long enough ago.
    pub async fn ask_if_due(&self, queue: &dyn Queue) {
        {
            let mut known = self.known.lock();
            let every = if known.answered { EVERY } else { AGAIN };
            if known.asked.is_some_and(|asked| asked.elapsed() < every) {
                return;
            }
            known.asked = Some(self.clock.moment());
        }
        let problem = match timeout(PATIENCE, queue.limits()).await {
            Ok(Ok(limits)) => return self.set(limits),
            Ok(Err(problem)) => format!("{problem:?}"),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        let mut known = self.known.lock();
        known.answered = false;
        match known.limits {
            Some(_) => {
                warn!(
                    event = "queue-attributes-unreadable",
                    problem, "queue attributes unreadable, using the last known maxReceiveCount and retention"
                )
            }
            None => {
                known.limits = Some(QueueLimits::ASSUMED);
                error!(
                    event = "queue-attributes-unreadable",
                    problem,
                    "queue attributes unreadable, assuming maxReceiveCount 1000 and 14 days of retention: allow sqs:GetQueueAttributes"
                );
            }
        }
    }

    /// Keeps the limits fresh until it is dropped.
    pub async fn watch(&self, queue: &dyn Queue) -> Infallible {
        loop {
            self.ask_if_due(queue).await;
            sleep(AGAIN).await;
        }
    }
}
