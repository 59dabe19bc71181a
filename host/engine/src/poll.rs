//! The poll driver: receives from a queue, runs the pipeline, settles. `serve` and `dev` run it over the local queue.

mod batch;
#[cfg(test)]
mod broken;
mod deleter;
mod keeper;
mod options;
#[cfg(feature = "faults")]
mod planted;
mod receiver;
#[cfg(test)]
mod scripted;
mod worker;

use std::convert::Infallible;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use towpath_deliver::places::Places;
use towpath_runtime::health::Health;
use towpath_runtime::tasks::{Failure, Tasks};
use towpath_types::queue::Queue;
use tracing::info;

pub use batch::by_group;
pub use options::Options;

use crate::pipeline::Line;
use deleter::Deleter;
use worker::Worker;

/// One receive and one delete request are in flight per this many groups. A single receive would bound the throughput
/// by its round trip; fewer delete requests are fuller ones.
const GROUPS_A_REQUEST: usize = 4;

/// Polls until `stop` is cancelled, then finishes the messages in progress and releases the rest, last to first. If a
/// receiver or the deleter fails, the driver stops in the same way and returns that failure: it never runs without one
/// of its tasks.
pub async fn run<L: Line>(
    queue: Arc<dyn Queue>,
    line: Arc<L>,
    options: Options,
    health: Arc<Health>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    // A failure stops only this driver. The caller decides about the process.
    let stop = stop.child_token();
    let all = options.concurrency.max(1);
    let requests = all.div_ceil(GROUPS_A_REQUEST);
    let places = Places::new(all, line.targets());
    let taken = places.clone();
    let at_work = Arc::new(move || taken.taken());
    let (deleter, deletes) = Deleter::new(Arc::clone(&queue), requests, at_work.clone());
    let mut tasks = Tasks::new(stop.clone());
    tasks.spawn("deleter", deletes.run());
    info!(queue = queue.name(), groups = all, receives = requests, "polling");
    let worker = Arc::new(Worker { queue, line, deleter, places, options, stop: stop.clone() });
    for _ in 0..requests {
        tasks.spawn("receiver", receiver::run(Arc::clone(&worker), Arc::clone(&health)));
    }
    let places = worker.places.clone();
    // The deleter ends with the last receiver.
    drop(worker);
    let closing = async {
        stop.cancelled().await;
        // Waiting groups are released; those in progress finish their current message.
        places.close();
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        ended = tasks.join() => ended,
        never = closing => match never {},
    }
}
