//! What the host makes of a message that says it is a replay: whoever can send to the queue can write that.

use std::sync::Arc;

use towpath_config::Secret;
use towpath_config::value::Digest;
use towpath_engine::pipeline::{Pipeline, Settlement};
use towpath_tests::guest::Guest;
use towpath_tests::rig::{KEY, Rig, TOKEN, one_route};
use towpath_tests::target::Target;
use towpath_types::archive::{Archived, Ending};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::message::Note;
use towpath_types::queue::{Attribute, NewMessage, Queue as _};
use towpath_types::replay::{REPLAY_ATTRIBUTE, Replay};
use towpath_verify::note_keys::NoteKeys;

const REPLAYED_AT: &str = "towpath-replayed-at";

struct Host {
    rig: Rig,
    target: Target,
    other: Target,
    pipeline: Arc<Pipeline>,
}

impl Host {
    async fn of(route: &str, config: &str) -> Host {
        let rig = Rig::new().await;
        rig.write("guest", Guest::forward());
        let target = Target::fine().await;
        let other = Target::fine().await;
        let text = one_route(&target.url).replacen("plugin = \"guest\"", &format!("plugin = \"guest\"\n{route}"), 1)
            + &format!("[target.other]\nurl = \"{}\"\nallow_private = true\n{config}", other.url);
        let pipeline = rig.pipeline(&text);
        Host { rig, target, other, pipeline }
    }

    async fn take(&self, message: NewMessage) -> Settlement {
        self.rig.events.send(message).await.unwrap();
        let mut settled = self.rig.run(&self.pipeline).await;
        assert_eq!(settled.len(), 1);
        settled.remove(0)
    }

    fn calls(&self) -> [usize; 2] {
        [self.target.calls().len(), self.other.calls().len()]
    }
}

const NOTED: &str = "[dead_letters]\nnote_key = \"token\"\n";

fn operators() -> NoteKeys {
    NoteKeys::new(vec![Secret::new(TOKEN)])
}

fn event(headers: &[(&str, &str)], sent_at: u64) -> Archived {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    Archived {
        id: "m-0".into(),
        webhook_id: "m-0".into(),
        group: "g/1".into(),
        dedup_id: None,
        sequence: Some("1".to_owned()),
        route: "g".to_owned(),
        plugin: None,
        digest: None,
        sent_at: Timestamp(sent_at),
        ended_at: Timestamp(sent_at),
        receive_count: 1,
        ending: Ending::Delivered,
        reason: None,
        attempts: Vec::new(),
        attributes: Default::default(),
        redacted: false,
        body: Webhook { headers, body: b"{\"k\":1}".to_vec(), ..Webhook::default() }.into(),
    }
}

fn again(keys: &NoteKeys, event: &Archived, run: &str, to: Option<&str>) -> NewMessage {
    let replay = Replay { at: Timestamp(1_772_442_900_000), run: run.to_owned(), to: to.map(str::to_owned), id: None };
    let note = Note { at: replay.at, by: "ann".to_owned(), text: "replay".to_owned(), unverified: false };
    keys.send_again(event, "g", &replay, note)
}

#[tokio::test]
async fn only_a_note_key_redirects_an_event() {
    let host = Host::of("", NOTED).await;
    let event = event(&[], 5);
    assert_eq!(host.take(again(&operators(), &event, "r1", Some("other"))).await, Settlement::Ack);
    assert_eq!(host.calls(), [0, 1]);
    assert_eq!(host.other.calls()[0].header(REPLAYED_AT), "2026-03-02T09:15:00.000Z");
    let strangers = NoteKeys::new(vec![Secret::new("another")]);
    let mut forged = again(&operators(), &event, "r2", None);
    let text = "{\"at\":1,\"run\":\"r2\",\"to\":\"other\"}";
    forged.attributes.insert(REPLAY_ATTRIBUTE.to_owned(), Attribute::text(text));
    let bare = NewMessage {
        attributes: [(REPLAY_ATTRIBUTE.to_owned(), Attribute::text(text))].into(),
        dedup_id: Some("d-1".into()),
        ..forged.clone()
    };
    let others = again(&strangers, &event, "r3", Some("other"));
    let none = again(&NoteKeys::default(), &event, "r4", Some("other"));
    for (case, message) in [("changed", forged), ("bare", bare), ("stranger's", others), ("unsealed", none)] {
        assert_eq!(host.take(message).await, Settlement::Buried, "{case}");
    }
    assert_eq!(host.calls(), [0, 1], "a forged replay reaches no target");
    let letters = host.rig.letters().await;
    assert!(letters.iter().all(|letter| letter.reason == "unverified"), "{letters:?}");
    assert!(letters[0].detail.contains("replayed to the target \"other\""), "{}", letters[0].detail);
}

#[tokio::test]
async fn without_a_note_key_no_event_is_redirected_and_the_header_is_told() {
    let host = Host::of("", "").await;
    assert_eq!(host.take(again(&operators(), &event(&[], 5), "r1", Some("other"))).await, Settlement::Buried);
    assert_eq!(host.take(again(&NoteKeys::default(), &event(&[], 5), "r2", None)).await, Settlement::Ack);
    assert_eq!(host.calls(), [1, 0]);
    assert_eq!(host.target.calls()[0].header(REPLAYED_AT), "2026-03-02T09:15:00.000Z");
    assert_eq!(host.target.calls()[0].header("webhook-id"), "m-0");
}

#[tokio::test]
async fn with_a_note_key_nobody_else_sets_the_header() {
    let host = Host::of("", NOTED).await;
    assert_eq!(host.take(again(&NoteKeys::default(), &event(&[], 5), "r1", None)).await, Settlement::Ack);
    let sent = event(&[(REPLAYED_AT, "2020-01-01T00:00:00Z")], 5);
    let message = NewMessage { attributes: Default::default(), ..again(&operators(), &sent, "r2", None) };
    assert_eq!(host.take(message).await, Settlement::Ack);
    assert!(host.target.calls().iter().all(|call| call.header(REPLAYED_AT).is_empty()));
}

#[tokio::test]
async fn a_replay_without_a_note_key_is_verified_at_its_first_time() {
    let verify = "verify = { scheme = \"hmac\", header = \"x-seal\", timestamp = \"x-time\", secret = \"key\" }";
    let host = Host::of(verify, "").await;
    let mac = towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &[b"1700000000.{\"k\":1}"]);
    let seal: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [("x-time", "1700000000"), ("x-seal", &seal)];
    let right = event(&headers, 1_700_000_001_000);
    assert_eq!(host.take(again(&NoteKeys::default(), &right, "r1", None)).await, Settlement::Ack);
    let late = event(&headers, 1_700_001_000_000);
    assert_eq!(host.take(again(&NoteKeys::default(), &late, "r2", None)).await, Settlement::Buried);
    let unsigned = event(&[("x-time", "1700000000")], 1_700_000_001_000);
    assert_eq!(host.take(again(&NoteKeys::default(), &unsigned, "r3", None)).await, Settlement::Buried);
    assert_eq!(host.calls(), [1, 0]);
}
