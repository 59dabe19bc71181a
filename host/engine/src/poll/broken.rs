//! Drivers in which a part panics.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::scripted::{Notes, message};
use super::{Options, run};
use towpath_runtime::health::Health;
use towpath_runtime::tasks::Failure;
use towpath_types::queue::{GroupId, Handle, NewMessage, Queue, QueueError, QueueLimits, Receive, Received, Sent};

/// Delivers these messages, one per receive, and panics where configured.
#[derive(Default)]
struct Clumsy {
    messages: Mutex<VecDeque<Received>>,
    panics_at_receive: bool,
    panics_at_delete: bool,
    /// The number of empty receives.
    idle: watch::Sender<usize>,
}

impl Clumsy {
    fn next(&self) -> Option<Received> {
        self.messages.lock().pop_front()
    }
}

#[async_trait::async_trait]
impl Queue for Clumsy {
    fn name(&self) -> &str {
        "clumsy"
    }

    async fn send(&self, _: NewMessage) -> Result<Sent, QueueError> {
        unreachable!("nobody sends")
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        match self.next() {
            Some(_) if self.panics_at_receive => panic!("at receive"),
            Some(message) => Ok(vec![message]),
            None => {
                tokio::time::sleep(request.wait).await;
                self.idle.send_modify(|count| *count += 1);
                Ok(Vec::new())
            }
        }
    }

    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        Ok(QueueLimits::LOCAL)
    }

    async fn has_group(&self, _: &GroupId) -> Result<Option<bool>, QueueError> {
        Ok(None)
    }

    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        assert!(!self.panics_at_delete, "at delete");
        handles.iter().map(|_| Ok(())).collect()
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        changes.iter().map(|_| Ok(())).collect()
    }
}

/// Messages, each in its own group.
fn messages(handles: &[&str]) -> Mutex<VecDeque<Received>> {
    let own = |handle: &&str| Received { group: (*handle).into(), ..message(handle) };
    Mutex::new(handles.iter().map(own).collect())
}

/// Runs a driver until the queue has been empty for a while, or until it fails. Returns the handles of the processed
/// messages.
async fn driven(queue: Clumsy, concurrency: usize) -> (Result<(), Failure>, Vec<String>) {
    let queue = Arc::new(queue);
    let notes = Arc::new(Notes::default());
    let stop = CancellationToken::new();
    let options = Options { concurrency, ..Options::default() };
    let health = Arc::new(Health::default());
    let driver = run(Arc::clone(&queue) as Arc<dyn Queue>, Arc::clone(&notes), options, health, stop.clone());
    let stopped = async {
        queue.idle.subscribe().wait_for(|idle| *idle >= 8).await.expect("the queue is there");
        stop.cancel();
    };
    let (result, ()) = tokio::join!(driver, async {
        tokio::select! {
            () = stopped => {}
            () = tokio::time::sleep(Duration::from_secs(3600)) => {}
        }
    });
    let noted = notes.0.lock().clone();
    (result, noted)
}

#[tokio::test(start_paused = true)]
async fn a_driver_whose_receiver_panics_stops_and_returns_the_panic() {
    let queue = Clumsy { messages: messages(&["a"]), panics_at_receive: true, ..Clumsy::default() };
    let (result, _) = driven(queue, 16).await;
    assert_eq!(result.expect_err("it broke").to_string(), "the task \"receiver\" panicked: at receive");
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_one_group_frees_its_place_for_the_others() {
    let queue = Clumsy { messages: messages(&["panics", "a", "b"]), ..Clumsy::default() };
    let (result, noted) = driven(queue, 1).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(noted, ["a", "b"], "there is only one place");
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_panics_fails_only_itself() {
    let queue = Clumsy { messages: messages(&["a", "b"]), panics_at_delete: true, ..Clumsy::default() };
    let (result, noted) = driven(queue, 1).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(noted, ["a", "b"]);
}
