//! The queue contract over SQS as the host speaks it: `SqsQueue`, the AWS SDK, HTTP, the endpoint, the local
//! queue beneath it, whose clock the tests put forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use towpath_aws::{SqsQueue, client};
use towpath_tests::contract::{self, Maker, VISIBILITY, Wanted};
use towpath_tests::endpoint::SqsServer;
use towpath_types::queue::Queue;

struct Sqs {
    server: SqsServer,
    client: aws_sdk_sqs::Client,
    made: AtomicUsize,
}

impl Sqs {
    async fn start() -> Sqs {
        let server = SqsServer::start().await;
        let client = client::sqs(&server.url).await;
        Sqs { server, client, made: AtomicUsize::new(0) }
    }

    async fn create(&self, name: &str, attributes: &[(&str, String)]) -> Arc<dyn Queue> {
        let mut create = self.client.create_queue().queue_name(name);
        for (name, value) in attributes {
            create = create.attributes((*name).into(), value);
        }
        let url = create.send().await.unwrap().queue_url.unwrap();
        assert!(url.starts_with(&self.server.url), "{url}");
        Arc::new(SqsQueue::new(self.client.clone(), url))
    }
}

#[async_trait]
impl Maker for Sqs {
    async fn make(&self, wanted: Wanted) -> (Arc<dyn Queue>, Arc<dyn Queue>) {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = format!("queue-{number}.fifo");
        let dead_name = format!("dead-{number}.fifo");
        let mut attributes = vec![
            ("FifoQueue", "true".to_owned()),
            ("VisibilityTimeout", VISIBILITY.as_secs().to_string()),
            (
                "MessageRetentionPeriod",
                wanted.retention.unwrap_or(Duration::from_secs(1_209_600)).as_secs().to_string(),
            ),
        ];
        if wanted.per_group {
            attributes.push(("DeduplicationScope", "messageGroup".to_owned()));
        }
        let dead = self.create(&dead_name, &attributes).await;
        if wanted.by_content {
            attributes.push(("ContentBasedDeduplication", "true".to_owned()));
        }
        if let Some(count) = wanted.max_receives {
            let target = format!("arn:aws:sqs:us-east-1:000000000000:{dead_name}");
            let policy = json!({ "deadLetterTargetArn": target, "maxReceiveCount": count });
            attributes.push(("RedrivePolicy", policy.to_string()));
        }
        (self.create(&name, &attributes).await, dead)
    }

    async fn pass(&self, time: Duration) {
        self.server.pass(time);
    }
}

macro_rules! contract_over_sqs {
    ($($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            contract::$case(&Sqs::start().await).await;
        })*

        #[test]
        fn no_case_is_left_out() {
            assert_eq!(contract::CASES, [$(stringify!($case)),*]);
        }
    };
}

contract_over_sqs! {
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
