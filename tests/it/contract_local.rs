//! The queue contract over the local queue, with paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use towpath_local::{DedupScope, QueueSettings, RedrivePolicy, Store};
use towpath_tests::contract::{self, Maker, VISIBILITY, Wanted};
use towpath_types::clock::Timestamp;
use towpath_types::queue::Queue;

struct Local {
    store: Store,
    _folder: TempDir,
    made: AtomicUsize,
}

#[async_trait]
impl Maker for Local {
    async fn make(&self, wanted: Wanted) -> (Arc<dyn Queue>, Arc<dyn Queue>) {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let dead_name = format!("dead-{number}.fifo");
        let mut settings = QueueSettings { visibility: VISIBILITY, ..QueueSettings::default() };
        settings.retention = wanted.retention.unwrap_or(settings.retention);
        if wanted.per_group {
            settings.dedup_scope = DedupScope::MessageGroup;
        }
        let dead = self.store.queue(&dead_name, settings.clone()).await.expect("dead-letter queue");
        settings.content_based_dedup = wanted.by_content;
        settings.redrive = wanted
            .max_receives
            .map(|max_receive_count| RedrivePolicy { dead_letter_queue: dead_name, max_receive_count });
        let queue = self.store.queue(&format!("queue-{number}.fifo"), settings).await.expect("queue");
        (Arc::new(queue), Arc::new(dead))
    }

    async fn pass(&self, time: Duration) {
        tokio::time::advance(time).await;
    }
}

fn local() -> Local {
    let folder = TempDir::new().expect("folder");
    let store =
        Store::open(folder.path(), towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000))).expect("store");
    Local { store, _folder: folder, made: AtomicUsize::new(0) }
}

macro_rules! contract_over_the_local_queue {
    ($($case:ident)*) => {
        $(#[tokio::test(start_paused = true)]
        async fn $case() {
            contract::$case(&local()).await;
        })*

        #[test]
        fn no_case_is_left_out() {
            assert_eq!(contract::CASES, [$(stringify!($case)),*]);
        }
    };
}

contract_over_the_local_queue! {
    a_group_is_locked_while_its_head_is_in_flight
    messages_of_one_group_come_together
    only_the_prefix_before_an_extended_message_is_received
    a_released_head_is_received_alone
    a_batch_in_flight_locks_its_group_until_it_is_all_deleted
    order_is_kept_after_expiry_with_new_handles
    a_waiting_receive_wakes_when_a_group_is_unlocked
    two_waiting_receives_never_share_a_group
    an_expired_handle_neither_deletes_nor_extends
    deleting_twice_is_no_error
    a_message_is_held_for_twelve_hours_at_most
    a_lost_receive_is_replayed_until_something_changed
    what_is_sent_is_received_as_it_was
    limits_are_checked
    a_duplicate_is_answered_and_swallowed_for_five_minutes
    dedup_scope_is_the_queue_or_the_group
    content_dedup_looks_at_the_body_only
    a_message_received_too_often_moves_and_its_group_goes_on
    retention_restarts_at_the_move_and_ends_in_flight
}
