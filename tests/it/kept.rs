//! Messages that are kept: a dead letter that cannot be stored, a host that panics, too little time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use towpath_config::Secret;
use towpath_engine::pipeline::Settlement;
use towpath_local::LocalQueue;
use towpath_metrics::STORY;
use towpath_runtime::lease::Lease;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, TOKEN, one_route, received};
use towpath_tests::target::{Answer, Target};
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::DeadLetter;
use towpath_types::envelope::Webhook;
use towpath_types::message::{Note, ORIGIN_ATTRIBUTE, Origin};
use towpath_types::queue::{
    Attribute, GroupId, Handle, MAX_VISIBILITY, NewMessage, Queue, QueueError, QueueLimits, Receive, Received, Sent,
};
use towpath_verify::note_keys::{NoteKeys, Sealed};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::test]
async fn a_dead_letter_that_cannot_be_sent_keeps_the_message_and_its_group() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let elsewhere = Rig::new().await;
    let pipeline = rig.pipeline_to(&one_route(&target.url), Arc::new(elsewhere.dead_letters.clone()));
    elsewhere.store.limit_pages(1).await.expect("a full disk");
    let large = "x".repeat(256 * 1024);
    rig.send("g/1", &large).await;
    rig.send("g/1", "second").await;
    let settlements = rig.run(&pipeline).await;
    assert!(settlements.iter().all(|settlement| matches!(settlement, Settlement::Retry(_))), "{settlements:?}");
    assert_eq!(target.bodies(), [large.as_str()], "nothing overtakes");
    elsewhere.store.limit_pages(10_000).await.expect("room again");
    let again = received("g/1", &large);
    let mut run = pipeline.group(Lease::of(MAX_VISIBILITY));
    assert_eq!(run.next(&again).await, Settlement::Buried);
    assert_eq!(elsewhere.letters().await.len(), 1);
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_stored_is_tried_again_within_a_minute_however_long_its_target_was_away() {
    let target = Target::answering(|_| Answer::Status(503, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let elsewhere = Rig::new().await;
    let config = one_route(&target.url) + "\nbreaker = { failures = 0 }";
    let pipeline = rig.pipeline_to(&config, Arc::new(elsewhere.dead_letters.clone()));
    let message = received("g/1", &"x".repeat(256 * 1024));
    let minute = Duration::from_secs(60);
    let mut waits = Vec::new();
    for _ in 0..12 {
        waits.push(pipeline.group(Lease::of(MAX_VISIBILITY)).next(&message).await);
    }
    assert!(waits.iter().any(|wait| matches!(wait, Settlement::Retry(after) if *after > minute)), "{waits:?}");
    target.answer(|_| Answer::Status(404, String::new()));
    elsewhere.store.limit_pages(1).await.expect("a full disk");
    let settled = pipeline.group(Lease::of(MAX_VISIBILITY)).next(&message).await;
    assert!(matches!(settled, Settlement::Retry(after) if after <= minute), "{settled:?}");
}

/// A dead-letter queue whose client panics: a bug in the host, wherever it may be.
struct Panicking;

#[async_trait]
impl Queue for Panicking {
    fn name(&self) -> &str {
        "panicking"
    }

    async fn send(&self, _: NewMessage) -> Result<Sent, QueueError> {
        panic!("on purpose")
    }

    async fn receive(&self, _: Receive) -> Result<Vec<Received>, QueueError> {
        Ok(Vec::new())
    }

    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        Ok(QueueLimits::LOCAL)
    }

    async fn has_group(&self, _: &GroupId) -> Result<Option<bool>, QueueError> {
        Ok(None)
    }

    async fn delete(&self, _: &[Handle]) -> Vec<Result<(), QueueError>> {
        Vec::new()
    }

    async fn change_visibility(&self, _: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        Vec::new()
    }
}

#[tokio::test]
async fn a_panic_of_the_host_keeps_the_message_and_what_is_behind_it() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline_to(&one_route(&target.url), Arc::new(Panicking));
    for (group, body) in [("g/1", "first"), ("g/1", "second"), ("g/2", "other")] {
        rig.send(group, body).await;
    }
    let settlements = rig.run(&pipeline).await;
    assert!(settlements.iter().all(|settlement| matches!(settlement, Settlement::Retry(_))), "{settlements:?}");
    assert_eq!(target.bodies(), ["first", "other"], "other groups go on");
}

/// A dead-letter queue that stores, and whose client panics when it is asked about a group.
struct PanicsWhenAsked(LocalQueue);

#[async_trait]
impl Queue for PanicsWhenAsked {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn send(&self, message: NewMessage) -> Result<Sent, QueueError> {
        self.0.send(message).await
    }

    async fn receive(&self, request: Receive) -> Result<Vec<Received>, QueueError> {
        self.0.receive(request).await
    }

    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        Ok(QueueLimits::LOCAL)
    }

    async fn has_group(&self, _: &GroupId) -> Result<Option<bool>, QueueError> {
        panic!("on purpose")
    }

    async fn delete(&self, handles: &[Handle]) -> Vec<Result<(), QueueError>> {
        self.0.delete(handles).await
    }

    async fn change_visibility(&self, changes: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        self.0.change_visibility(changes).await
    }
}

#[tokio::test]
async fn a_message_on_which_the_host_panics_every_time_is_buried_in_the_end_and_not_forgotten_by_the_queue() {
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let config = one_route("http://127.0.0.1:9").replace("[plugin.", "on_dead_letter = \"park\"\n[plugin.");
    let pipeline = rig.pipeline_to(&config, Arc::new(PanicsWhenAsked(rig.dead_letters.clone())));
    let young = received("g/1", "{}");
    let settled = pipeline.group(Lease::of(MAX_VISIBILITY)).next(&young).await;
    assert!(matches!(settled, Settlement::Retry(_)), "{settled:?}");
    let old = Received { sent_at: Timestamp(0), ..young };
    assert_eq!(pipeline.group(Lease::of(MAX_VISIBILITY)).next(&old).await, Settlement::Buried);
    let letters = rig.letters().await;
    assert_eq!(letters[0].reason, "expired");
    assert!(letters[0].detail.contains("the host panicked: on purpose"), "{}", letters[0].detail);
}

#[tokio::test]
async fn a_letter_that_dies_again_after_a_redrive_is_a_letter_again() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&target.url));
    rig.send("g/1", "first").await;
    rig.run(&pipeline).await;
    let letter = rig.dead_letters.receive(Default::default()).await.expect("receive").remove(0);
    rig.dead_letters.delete(std::slice::from_ref(&letter.handle)).await;
    let first = rig.letters().await;
    assert!(first.is_empty());
    // Sent back at once, with its origin, as a redrive does: well within five minutes of its death.
    let died = DeadLetter::read(&letter.attributes).expect("letter");
    let origin = Origin { id: died.message_id(), sent_at: died.sent_at, notes: Vec::new(), mac: None };
    let origin = Attribute::text(serde_json::to_string(&origin).expect("json"));
    let attributes = [(ORIGIN_ATTRIBUTE.to_owned(), origin)].into();
    let again = NewMessage { group: letter.group, dedup_id: Some("redrive-1".into()), body: letter.body, attributes };
    rig.events.send(again).await.expect("send");
    assert_eq!(rig.run(&pipeline).await, [Settlement::Buried]);
    let letters = rig.letters().await;
    assert_eq!(letters.len(), 1, "it must not vanish as a duplicate of its first death");
    assert_eq!(letters[0].id, died.id, "its id stays");
    let ids: Vec<_> = target.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, [died.id.clone(), died.id]);
}

#[tokio::test]
async fn only_a_message_that_an_operator_edited_goes_without_a_signature() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let verify = "verify = { scheme = \"hmac-sha256\", header = \"x-sig\", secret = \"key\" }\nplugin = \"guest\"";
    let config = one_route(&target.url).replace("plugin = \"guest\"", verify);
    let pipeline = rig.pipeline(&format!("{config}\n[dead_letters]\nnote_key = \"token\"\n"));
    let keys = NoteKeys::new(vec![Secret::new(TOKEN)]);
    let others = NoteKeys::new(vec![Secret::new("other")]);
    let note = || vec![Note { at: Timestamp(1), by: "ops".to_owned(), text: "ticket 1".to_owned(), unverified: false }];
    // What the MAC is for, and under which keys: on a queue everybody who may send can write a note.
    let cases = [
        ("redriven", Vec::new(), None, Settlement::Buried),
        ("noted", note(), None, Settlement::Buried),
        ("edited", note(), Some((&keys, "edited")), Settlement::Ack),
        ("changed", note(), Some((&keys, "edited")), Settlement::Buried),
        ("forged", note(), Some((&others, "forged")), Settlement::Buried),
        ("empty", Vec::new(), Some((&keys, "empty")), Settlement::Buried),
    ];
    for (body, notes, sealed, settled) in cases {
        let mut message = received(&format!("g/{body}"), body);
        let mut origin = Origin { id: "m-0".into(), sent_at: message.sent_at, notes, mac: None };
        origin.mac = sealed.and_then(|(keys, body)| {
            let webhook = Webhook { body: body.as_bytes().to_vec(), ..Webhook::default() };
            keys.seal(&origin, Sealed { group: &message.group, route: "g", webhook: &webhook, replay: None })
        });
        let origin = Attribute::text(serde_json::to_string(&origin).expect("json"));
        message.attributes.insert(ORIGIN_ATTRIBUTE.to_owned(), origin);
        assert_eq!(pipeline.group(Lease::of(MAX_VISIBILITY)).next(&message).await, settled, "{body}");
    }
    assert_eq!(target.bodies(), ["edited"]);
    let letters = rig.letters().await;
    assert!(letters.iter().all(|letter| letter.reason == "unverified" && !letter.is_verified()), "{letters:?}");
    assert!(letters[1].detail.contains("none of the note keys vouches for its note"), "{}", letters[1].detail);
}

#[tokio::test]
async fn what_would_not_finish_in_its_lease_is_given_back_untouched() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    // The plugin may take 2 s and the target 300 ms.
    let pipeline = rig.pipeline(&one_route(&target.url));
    let passes = Arc::<AtomicU32>::default();
    let _guard = tracing_subscriber::registry().with(Passes(Arc::clone(&passes))).set_default();
    let mut run = pipeline.group(Lease::of(Duration::from_millis(1500)));
    assert_eq!(run.next(&received("g/1", "first")).await, Settlement::Ack, "the first of a lease is tried");
    assert_eq!(run.next(&received("g/1", "second")).await, Settlement::Retry(Duration::ZERO));
    assert_eq!(target.bodies(), ["first"]);
    assert_eq!(passes.load(Ordering::Relaxed), 1, "what was not tried is no part of the story");
}

/// Counts what is told of passes.
struct Passes(Arc<AtomicU32>);

impl<S: tracing::Subscriber> Layer<S> for Passes {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let is_story = event.metadata().target() == STORY;
        self.0.fetch_add(u32::from(is_story), Ordering::Relaxed);
    }
}

#[tokio::test]
async fn what_was_given_back_untouched_has_not_failed() {
    let target = Target::answering(|_| Answer::Status(503, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&(one_route(&target.url) + "\nbreaker = { failures = 0 }"));
    let message = received("g/1", "{}");
    let fails = async || pipeline.group(Lease::of(MAX_VISIBILITY)).next(&message).await;
    let once = fails().await;
    assert_ne!(fails().await, once, "the second wait is a longer one");
    target.answer(|_| Answer::Status(200, String::new()));
    let mut run = pipeline.group(Lease::of(Duration::from_millis(1500)));
    assert_eq!(run.next(&message).await, Settlement::Ack);
    assert_eq!(run.next(&message).await, Settlement::Retry(Duration::ZERO), "its plugin may take 2 s");
    target.answer(|_| Answer::Status(503, String::new()));
    assert_eq!(fails().await, once);
}

#[tokio::test]
async fn a_delivery_that_would_not_finish_in_its_lease_is_not_begun() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    // There is time for the plugin's 2 s, not for the target's 10 s.
    let pipeline = rig.pipeline(&one_route(&target.url).replace("300ms", "10s"));
    let mut run = pipeline.group(Lease::of(Duration::from_secs(6)));
    assert_eq!(run.next(&received("g/1", "first")).await, Settlement::Ack);
    assert_eq!(run.next(&received("g/1", "second")).await, Settlement::Retry(Duration::ZERO));
    assert_eq!(target.bodies(), ["first"]);
}

#[tokio::test]
async fn a_lease_ends_an_exchange_that_hangs() {
    let target = Target::answering(|_| Answer::Hang).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&target.url).replace("300ms", "5m"));
    let mut run = pipeline.group(Lease::of(Duration::from_millis(200)));
    assert!(matches!(run.next(&received("g/1", "first")).await, Settlement::Retry(_)));
}

#[tokio::test]
async fn a_plugin_that_is_not_loaded_keeps_the_message() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let mut pipeline = rig.pipeline(&one_route(&target.url));
    Arc::get_mut(&mut pipeline).expect("alone").plugins = Default::default();
    rig.send("g/1", "first").await;
    assert!(matches!(rig.run(&pipeline).await.as_slice(), [Settlement::Retry(_)]));
    assert!(rig.letters().await.is_empty());
}
