//! What every queue of the host must do. The cases are written against the trait, so that each of them
//! runs over each queue; the numbers are those of the scenarios that the design was made with.

mod dead_letters;
mod dedup;
mod groups;
mod handles;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use towpath_types::queue::{Attribute, Attributes, Handle, NewMessage, Queue, Receive, Received};

pub use dead_letters::{
    a_message_received_too_often_moves_and_its_group_goes_on, retention_restarts_at_the_move_and_ends_in_flight,
};
pub use dedup::{
    a_duplicate_is_answered_and_swallowed_for_five_minutes, content_dedup_looks_at_the_body_only,
    dedup_scope_is_the_queue_or_the_group,
};
pub use groups::{
    a_batch_in_flight_locks_its_group_until_it_is_all_deleted, a_group_is_locked_while_its_head_is_in_flight,
    a_released_head_is_received_alone, a_waiting_receive_wakes_when_a_group_is_unlocked,
    messages_of_one_group_come_together, only_the_prefix_before_an_extended_message_is_received,
    order_is_kept_after_expiry_with_new_handles, two_waiting_receives_never_share_a_group,
};
pub use handles::{
    a_lost_receive_is_replayed_until_something_changed, a_message_is_held_for_twelve_hours_at_most,
    an_expired_handle_neither_deletes_nor_extends, deleting_twice_is_no_error, limits_are_checked,
    what_is_sent_is_received_as_it_was,
};

/// Every case by its name: who runs the contract runs them all.
pub const CASES: [&str; 19] = [
    "a_group_is_locked_while_its_head_is_in_flight",
    "messages_of_one_group_come_together",
    "only_the_prefix_before_an_extended_message_is_received",
    "a_released_head_is_received_alone",
    "a_batch_in_flight_locks_its_group_until_it_is_all_deleted",
    "order_is_kept_after_expiry_with_new_handles",
    "a_waiting_receive_wakes_when_a_group_is_unlocked",
    "two_waiting_receives_never_share_a_group",
    "an_expired_handle_neither_deletes_nor_extends",
    "deleting_twice_is_no_error",
    "a_message_is_held_for_twelve_hours_at_most",
    "a_lost_receive_is_replayed_until_something_changed",
    "what_is_sent_is_received_as_it_was",
    "limits_are_checked",
    "a_duplicate_is_answered_and_swallowed_for_five_minutes",
    "dedup_scope_is_the_queue_or_the_group",
    "content_dedup_looks_at_the_body_only",
    "a_message_received_too_often_moves_and_its_group_goes_on",
    "retention_restarts_at_the_move_and_ends_in_flight",
];

/// The visibility timeout of the queues under test.
pub const VISIBILITY: Duration = Duration::from_secs(30);

/// How a queue under test is to be set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Whether deduplication ids are unique in a group only.
    pub per_group: bool,
    /// Whether a message without a deduplication id is known by its body.
    pub by_content: bool,
    /// After how many receives a message moves to the dead-letter queue.
    pub max_receives: Option<u32>,
    /// How long messages are kept.
    pub retention: Option<Duration>,
}

/// Makes queues of one kind and moves their time.
#[async_trait]
pub trait Maker: Send + Sync {
    /// A queue and its dead-letter queue, both fresh.
    async fn make(&self, wanted: Wanted) -> (Arc<dyn Queue>, Arc<dyn Queue>);

    /// Lets so much time go by.
    async fn pass(&self, time: Duration);
}

/// Sends `A1`, `B2` … : the letter is the group, the whole is body and deduplication id.
async fn send(queue: &dyn Queue, names: &[&str]) {
    for name in names {
        queue.send(message(name)).await.expect(name);
    }
}

fn message(name: &str) -> NewMessage {
    NewMessage {
        group: name[..1].into(),
        dedup_id: Some(name.into()),
        body: name.into(),
        attributes: Attributes::from([("name".to_owned(), Attribute::text(name))]),
    }
}

async fn receive(queue: &dyn Queue, max: usize) -> Vec<Received> {
    queue.receive(Receive { max, ..Receive::default() }).await.expect("receive")
}

fn names(received: &[Received]) -> Vec<&str> {
    received.iter().map(|message| message.body.as_text().expect("text")).collect()
}

async fn received(queue: &dyn Queue, max: usize, expected: &[&str]) -> Vec<Received> {
    let received = receive(queue, max).await;
    assert_eq!(names(&received), expected);
    received
}

async fn delete(queue: &dyn Queue, message: &Received) {
    let results = queue.delete(std::slice::from_ref(&message.handle)).await;
    assert!(matches!(results.as_slice(), [Ok(())]), "deleting {:?}: {results:?}", message.body);
}

async fn extend(queue: &dyn Queue, handle: &Handle, time: Duration) {
    let results = queue.change_visibility(&[(handle.clone(), time)]).await;
    assert!(matches!(results.as_slice(), [Ok(())]), "{results:?}");
}
