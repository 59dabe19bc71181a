//! Dead letters that are larger than their queue takes.

use std::sync::Arc;

use towpath_aws::{SqsQueue, client};
use towpath_engine::pipeline::Settlement;
use towpath_local::{LocalQueue, QueueSettings};
use towpath_tests::endpoint::SqsServer;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::target::{Answer, Target};
use towpath_types::dead_letter::DeadLetter;
use towpath_types::queue::Queue;

const LIMIT: usize = 4096;

/// A host whose target refuses everything at length.
async fn refusing() -> (Rig, Target, String) {
    let rig = Rig::new().await;
    let target = Target::answering(|_| Answer::Status(404, "no such ticket ".repeat(100))).await;
    rig.write("guest", Guest::forward());
    let config = one_route(&target.url).replace("{json:/k}", "{header:x-key}");
    (rig, target, config)
}

fn small() -> QueueSettings {
    QueueSettings { max_message_bytes: LIMIT, ..QueueSettings::default() }
}

/// The one letter in a queue, cut, with its body and its key, and without the header that is too long.
async fn is_cut(queue: &LocalQueue, body: &[u8]) {
    let letters = queue.browse(None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    let death = DeadLetter::read(&letters[0].attributes).unwrap();
    assert_eq!((death.reason.as_str(), death.status), ("refused", Some(404)));
    assert_eq!(death.cut, ["story", "excerpt", "detail", "1 headers"]);
    let webhook = letters[0].body.webhook().unwrap();
    assert_eq!(webhook.body, body);
    let names: Vec<&str> = webhook.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-key", "x-short"], "what its group is made of stays, and what there is room for");
}

const BODY: [u8; 1500] = [b'b'; 1500];

async fn send(rig: &Rig) {
    let long = "l".repeat(900);
    // The key is longer than the rest, and stays.
    let headers = [("x-key", "k".repeat(1000)), ("x-long", long), ("x-short", "s".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    rig.send_webhook("g/A", &headers, &BODY).await;
}

#[tokio::test]
async fn a_letter_is_cut_to_what_a_local_queue_takes() {
    let (rig, _target, config) = refusing().await;
    let dead = rig.store.queue("small.fifo", small()).await.unwrap();
    let pipeline = rig.pipeline_to(&config, Arc::new(dead.clone()));
    send(&rig).await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Buried]);
    is_cut(&dead, &BODY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_may_not_ask_learns_the_limit_of_sqs_from_its_refusal() {
    let (rig, _target, config) = refusing().await;
    let server = SqsServer::start().await;
    let dead = server.store.queue("small.fifo", small()).await.unwrap();
    let sqs = Arc::new(SqsQueue::new(client::sqs(&server.url).await, server.queue_url("small.fifo")));
    assert!(sqs.max_message_bytes() > LIMIT, "nothing is known yet");
    let pipeline = rig.pipeline_to(&config, sqs.clone());
    send(&rig).await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Buried]);
    is_cut(&dead, &BODY).await;
    assert_eq!(sqs.max_message_bytes(), LIMIT, "the next one is cut at once");
    let other = SqsQueue::new(client::sqs(&server.url).await, server.queue_url("small.fifo"));
    other.depth().await.unwrap();
    assert_eq!(other.max_message_bytes(), LIMIT, "whoever may ask knows it before");
}

#[tokio::test]
async fn a_message_whose_body_fits_in_no_letter_is_kept_and_the_body_is_not_cut() {
    let (rig, _target, config) = refusing().await;
    let tiny = QueueSettings { max_message_bytes: 1024, ..QueueSettings::default() };
    let dead = rig.store.queue("small.fifo", tiny).await.unwrap();
    let pipeline = rig.pipeline_to(&config, Arc::new(dead.clone()));
    send(&rig).await;
    let settled = rig.run(&pipeline).await;
    assert!(matches!(settled[..], [Settlement::Retry(_)]), "{settled:?}");
    assert_eq!(dead.depth().await.unwrap().messages, 0);
    let kept = rig.events.browse(None, 10).await.unwrap();
    assert_eq!(kept[0].body.webhook().unwrap().body, BODY);
}
