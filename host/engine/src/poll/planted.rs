//! Deliberate bugs, only in builds with the feature `faults`. `towpath chaos` must find them.

use std::time::Duration;

use super::worker::Worker;
use crate::pipeline::{GroupRun, Line, Settlement};
use towpath_deliver::places::Place;
use towpath_runtime::lease::Lease;
use towpath_types::clock::{Clock, Moment};
use towpath_types::faults::{self, Bug};
use towpath_types::queue::{Handle, MAX_VISIBILITY, Received};

/// The start of a lease, with or without the planted bug.
pub(super) fn asked(asked: Moment, clock: Clock) -> Moment {
    if faults::planted() == Some(Bug::LeaseFromAnswer) { clock.moment() } else { asked }
}

/// Processes the messages of a group with the planted bug.
pub(super) async fn messages<L: Line>(worker: &Worker<L>, messages: &[Received], bug: Bug) -> Vec<(Handle, Duration)> {
    for message in messages {
        if bug == Bug::AckBeforeDelivery {
            worker.deleter.delete(message).answer().await;
        }
        let settled = GroupRun::new(&*worker.line, Lease::of(MAX_VISIBILITY), Place::alone()).next(message).await;
        match (bug, settled) {
            // Already deleted, or planted elsewhere.
            (Bug::AckBeforeDelivery | Bug::LeaseFromAnswer, _) => {}
            (Bug::ReleaseHeadFirst, Settlement::Ack | Settlement::Buried) => {
                worker.deleter.delete(message).answer().await;
            }
            // The messages behind it are still processed.
            (Bug::ReleaseHeadFirst, Settlement::Retry(after)) => {
                worker.queue.change_visibility(&[(message.handle.clone(), after)]).await;
            }
        }
    }
    Vec::new()
}
