//! The limits of the queue that messages come from, asked for beside the messages.

use std::convert::Infallible;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use towpath_types::clock::{Clock, Moment};
use towpath_types::queue::{Queue, QueueLimits};

/// How often a queue is asked: an operator may have changed its redrive policy.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// How often while it does not answer.
const AGAIN: Duration = Duration::from_secs(60);

/// How long an answer may take. Messages wait for it meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a queue allows a message that waits, as far as it is known.
#[derive(Debug)]
pub struct KnownLimits {
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    limits: Option<QueueLimits>,
    /// When the queue was asked the last time.
    asked: Option<Moment>,
    /// Whether it answered.
    answered: bool,
}

impl KnownLimits {
    /// Nothing is known yet: as if it were the local queue.
    pub(super) fn new(clock: Clock) -> KnownLimits {
        KnownLimits { clock, known: Mutex::default() }
    }

    /// The limits as far as they are known.
    pub fn get(&self) -> QueueLimits {
        self.known.lock().limits.unwrap_or(QueueLimits::LOCAL)
    }

    /// These are the limits.
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
            error!(problem, "the queue's redrive policy does not allow messages to wait");
        }
    }

    /// Asks the queue, unless that was done a short while ago.
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
            Err(_) => "no answer in time".to_owned(),
        };
        let mut known = self.known.lock();
        known.answered = false;
        match known.limits {
            Some(_) => {
                warn!(problem, "queue attributes unreadable, using the last known maxReceiveCount and retention")
            }
            None => {
                known.limits = Some(QueueLimits::ASSUMED);
                error!(
                    problem,
                    "queue attributes unreadable, assuming maxReceiveCount 1000 and 14 days of retention: allow sqs:GetQueueAttributes"
                );
            }
        }
    }

    /// Asks again and again, until it is dropped.
    pub async fn watch(&self, queue: &dyn Queue) -> Infallible {
        loop {
            self.ask_if_due(queue).await;
            sleep(AGAIN).await;
        }
    }
}
