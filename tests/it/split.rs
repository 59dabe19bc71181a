//! Webhooks that become several messages, and the front door's verdict on what it verified.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use towpath_aws::{SqsQueue, client};
use towpath_config::value::Digest;
use towpath_config::{Config, Secret};
use towpath_engine::pipeline::Settlement;
use towpath_intake::{Ingest, router};
use towpath_local::{Browsed, DedupScope, QueueSettings};
use towpath_tests::endpoint::{FailingEntry, SqsServer};
use towpath_tests::guest::Guest;
use towpath_tests::rig::{KEY, Rig, TOKEN};
use towpath_tests::target::Target;
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::{DeadLetter, Stored};
use towpath_types::message::{Note, VERDICT_ATTRIBUTE};
use towpath_types::queue::{GroupId, Handle, NewMessage, Queue, QueueError, QueueLimits, Receive, Received, Sent};
use towpath_verify::note_keys::{NoteKeys, Seal};

/// A config with this route, whose elements are vouched for by the secret `token`.
fn with(url: &str, route: &str) -> String {
    format!(
        "[dead_letters]\nnote_key = \"token\"\n[[route]]\npath = \"x\"\nplugin = \"guest\"\n{route}\n\
         [plugin.guest]\npath = \"guest.wasm\"\n[target.sss]\nurl = \"{url}\"\nallow_private = true\n"
    )
}

const SIGNED: &str = "verify = { scheme = \"github\", secret = \"key\" }\n";
const ITEMS: &str = "group = \"x/{item:/k}\"\ndedup = \"item:/id\"\nsplit = \"/events\"\n";
const UNKEYED: &str = "group = \"x/{item:/k}\"\nsplit = \"/events\"\n";

fn door(config: Config, queue: Arc<dyn Queue>, refused: Option<Arc<dyn Queue>>) -> axum::Router {
    let ingest = Ingest::new(config.routes, queue, 1024 * 1024).vouching_by(NoteKeys::new(config.note_keys));
    let ingest = match refused {
        Some(refused) => ingest.keeping_refused(refused),
        None => ingest,
    };
    router(Arc::new(ingest), "/hooks")
}

fn local(rig: &Rig, route: &str) -> axum::Router {
    let config = rig.config(&with("http://127.0.0.1:9", route));
    door(config, Arc::new(rig.events.clone()), Some(Arc::new(rig.refused.clone())))
}

/// Posts a body with its signature.
async fn post(door: &axum::Router, body: &str) -> (u16, Value) {
    let mac = towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &[body.as_bytes()]);
    let request = Request::post("/hooks/x").header("x-hub-signature-256", format!("sha256={}", hex::encode(mac)));
    let answer = door.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn stored(rig: &Rig) -> Vec<Browsed> {
    rig.events.browse(None, 20_000).await.unwrap()
}

fn bodies(stored: &[Browsed]) -> Vec<String> {
    let body = |message: &Browsed| String::from_utf8(message.body.webhook().unwrap().body.clone()).unwrap();
    stored.iter().map(body).collect()
}

fn events(items: &[(&str, &str)]) -> String {
    let items: Vec<String> = items.iter().map(|(id, k)| format!("{{\"id\":\"{id}\",\"k\":\"{k}\"}}")).collect();
    format!("{{\"events\":[{}]}}", items.join(", "))
}

#[tokio::test]
async fn each_event_is_delivered_alone_and_in_order_even_if_the_secret_is_rotated_meanwhile() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let route = format!("{ITEMS}{SIGNED}");
    let door = local(&rig, &route);
    let (status, answer) =
        post(&door, r#"{"events":[ {"id":"1", "k":1.0}, {"id":"2","k":"b"},{"id":"3","k":1.0}]}"#).await;
    assert_eq!((status, &answer["items"], answer["ids"].as_array().unwrap().len()), (202, &json!(3), 3), "{answer}");
    let groups: Vec<String> = stored(&rig).await.into_iter().map(|message| message.group.into()).collect();
    assert_eq!(groups, ["x/1.0", "x/b", "x/1.0"]);
    let rotated = with(&target.url, &route).replace("secret = \"key\"", "secret = \"new\"");
    let rotated = rig.pipeline_knowing(&rotated, &[("new", "another secret")]);
    assert_eq!(rig.run(&rotated).await, [Settlement::Ack; 3]);
    let mut delivered = target.bodies();
    delivered.retain(|body| body.contains("1.0") || body.contains("\"b\""));
    let of_group: Vec<&String> = delivered.iter().filter(|body| body.contains("1.0")).collect();
    assert_eq!(of_group, [r#"{"id":"1", "k":1.0}"#, r#"{"id":"3","k":1.0}"#]);
    assert_eq!(delivered.len(), 3);
}

#[tokio::test]
async fn a_repeat_adds_nothing_and_an_event_in_another_batch_is_the_same_event() {
    let rig = Rig::new().await;
    let door = local(&rig, &format!("{ITEMS}{SIGNED}"));
    let first = events(&[("1", "a"), ("2", "b")]);
    let (_, once) = post(&door, &first).await;
    let (status, again) = post(&door, &first).await;
    assert_eq!((status, &once["ids"]), (202, &again["ids"]));
    post(&door, &events(&[("2", "b"), ("3", "a")])).await;
    assert_eq!(bodies(&stored(&rig).await).len(), 3);
    // Without a key of its own an event has the key of its webhook, and its position.
    let door = local(&rig, &format!("{UNKEYED}dedup = \"json:/batch\"\n"));
    for _ in 0..2 {
        post(&door, r#"{"batch":"b1","events":[{"k":"c"},{"k":"c"}]}"#).await;
    }
    assert_eq!(bodies(&stored(&rig).await).len(), 5);
}

#[tokio::test]
async fn identical_webhooks_without_a_key_are_different_events() {
    let rig = Rig::new().await;
    let door = local(&rig, UNKEYED);
    for _ in 0..2 {
        assert_eq!(post(&door, &events(&[("1", "a"), ("1", "a")])).await.0, 202);
    }
    assert_eq!(stored(&rig).await.len(), 4);
}

#[tokio::test]
async fn a_store_that_fails_keeps_all_events_or_none() {
    let rig = Rig::new().await;
    let door = local(&rig, UNKEYED);
    assert_eq!(post(&door, &events(&[("0", "a")])).await.0, 202);
    let page = 4096;
    let size = std::fs::metadata(rig.store.file()).unwrap().len() + 40 * page;
    rig.store.limit_pages(u32::try_from(size / page).unwrap()).await.unwrap();
    let pad = "x".repeat(2000);
    let many: Vec<String> = (0..300).map(|n| format!("{{\"k\":\"{}\",\"n\":{n},\"pad\":\"{pad}\"}}", n % 3)).collect();
    let many = format!("{{\"events\":[{}]}}", many.join(","));
    assert_eq!(post(&door, &many).await.0, 503);
    assert_eq!(stored(&rig).await.len(), 1);
    rig.store.limit_pages(100_000).await.unwrap();
    assert_eq!(post(&door, &many).await.0, 202);
    assert_eq!(stored(&rig).await.len(), 301);
    // One event that no queue takes: the others are not stored either.
    let settings = QueueSettings { max_message_bytes: 4096, ..QueueSettings::default() };
    let small = rig.store.queue("small.fifo", settings).await.unwrap();
    let door = self::door(rig.config(&with("http://127.0.0.1:9", UNKEYED)), Arc::new(small.clone()), None);
    assert_eq!(post(&door, &format!("{{\"events\":[{{\"k\":1}},{{\"k\":\"{pad}{pad}\"}}]}}")).await.0, 413);
    assert_eq!(small.browse(None, 10).await.unwrap().len(), 0);
}

/// A queue whose disk stalls: sends begin and never end.
struct Stalled {
    begun: watch::Sender<usize>,
}

#[async_trait]
impl Queue for Stalled {
    fn name(&self) -> &str {
        "stalled"
    }

    async fn send(&self, _: NewMessage) -> Result<Sent, QueueError> {
        self.begun.send_modify(|begun| *begun += 1);
        std::future::pending().await
    }

    async fn receive(&self, _: Receive) -> Result<Vec<Received>, QueueError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &[Handle]) -> Vec<Result<(), QueueError>> {
        Vec::new()
    }

    async fn change_visibility(&self, _: &[(Handle, Duration)]) -> Vec<Result<(), QueueError>> {
        Vec::new()
    }

    async fn limits(&self) -> Result<QueueLimits, QueueError> {
        Ok(QueueLimits::LOCAL)
    }

    async fn has_group(&self, _: &GroupId) -> Result<Option<bool>, QueueError> {
        Ok(None)
    }
}

#[tokio::test]
async fn what_becomes_of_webhooks_that_are_split_has_a_bound_in_memory() {
    let rig = Rig::new().await;
    let (begun, mut count) = watch::channel(0);
    let config = rig.config(&with("http://127.0.0.1:9", UNKEYED));
    let door = door(config, Arc::new(Stalled { begun }), None);
    // Each element repeats the header: more than 15 MiB.
    let ids: Vec<(String, &str)> = (0..400).map(|n| (n.to_string(), "a")).collect();
    let ids: Vec<(&str, &str)> = ids.iter().map(|(id, k)| (id.as_str(), *k)).collect();
    let (body, pad) = (events(&ids), "x".repeat(38 * 1024));
    let ask = |pad: &str, body: &str| {
        let request = Request::post("/hooks/x").header("x-pad", pad).body(Body::from(body.to_owned())).unwrap();
        door.clone().oneshot(request)
    };
    let mut stalled = JoinSet::new();
    for number in 1..=4 {
        stalled.spawn(ask(&pad, &body));
        count.wait_for(|begun| *begun == number).await.unwrap();
    }
    let refused = tokio::select! {
        answer = ask(&pad, &body) => answer.unwrap(),
        _ = count.wait_for(|begun| *begun == 5) => panic!("it is taken"),
    };
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    // Who hangs up gives the memory back.
    stalled.shutdown().await;
    stalled.spawn(ask(&pad, &body));
    count.wait_for(|begun| *begun == 5).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_split_is_one_event_or_refused_and_nothing_is_lost() {
    let rig = Rig::new().await;
    let door = local(&rig, ITEMS);
    assert_eq!(post(&door, r#"{"events":[]}"#).await, (202, json!({ "items": 0, "ids": [] })));
    assert_eq!(stored(&rig).await.len(), 0);
    for whole in [r#"{"events":{}}"#, r#"{"other":1}"#, r#"{"events":[{"id":1}"#] {
        assert_eq!(post(&door, whole).await.0, 202, "{whole}");
    }
    // An event without keys falls back, the others keep theirs.
    assert_eq!(post(&door, r#"{"events":[{"id":"1","k":"a"},7,{"id":"2","k":"b"}]}"#).await.0, 202);
    let all = stored(&rig).await;
    assert_eq!(bodies(&all)[..3], [r#"{"events":{}}"#, r#"{"other":1}"#, r#"{"events":[{"id":1}"#]);
    assert_eq!((all.len(), all[3].group.as_str(), all[5].group.as_str()), (6, "x/a", "x/b"));

    let refusing = local(&rig, &format!("{ITEMS}on_missing_key = \"refuse\"\n"));
    for lacking in [r#"{"other":1}"#, r#"{"events":[{"id":"8","k":"a"},{"id":"9"}]}"#] {
        assert_eq!(post(&refusing, lacking).await.0, 422, "{lacking}");
    }
    assert_eq!((stored(&rig).await.len(), rig.refused.browse(None, 10).await.unwrap().len()), (6, 2));

    let many = |items: usize| format!("{{\"events\":[{}]}}", vec!["{}"; items].join(","));
    assert_eq!(post(&door, &many(10_001)).await.0, 413);
    // 10,000 times this header are more than 16 MiB.
    let request = Request::post("/hooks/x").header("x-long", "h".repeat(2000)).body(Body::from(many(10_000))).unwrap();
    assert_eq!(door.clone().oneshot(request).await.unwrap().status().as_u16(), 413);
    assert_eq!(stored(&rig).await.len(), 6);
}

#[tokio::test]
async fn a_plugin_can_see_the_rest_of_the_webhook_without_its_secret() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let route = "group = \"x/{item:/k}\"\nsplit = { at = \"/events\", rest = true }\n\
        verify = { scheme = \"token\", token = \"json:/token\", secret = \"token\" }\n";
    let door = local(&rig, route);
    let body = format!(r#"{{"token":"{TOKEN}", "a":1.0,"events":[ {{"k":"a"}} , {{"k":"b"}} ]}}"#);
    assert_eq!(post(&door, &body).await.0, 202);
    assert!(stored(&rig).await.iter().all(|message| !bodies(std::slice::from_ref(message))[0].contains(TOKEN)));
    rig.run(&rig.pipeline(&with(&target.url, route))).await;
    let mut delivered = target.bodies();
    delivered.sort();
    let expected = ["a", "b"].map(|k| format!(r#"{{"token":"***", "a":1.0,"events":[ {{"k":"{k}"}} ]}}"#));
    assert_eq!(delivered, expected);
}

/// A front door over SQS in which an entry of a batch can fail.
struct Remote {
    server: SqsServer,
    failing: FailingEntry,
    door: axum::Router,
}

impl Remote {
    async fn of(rig: &Rig, route: &str) -> Remote {
        let failing = FailingEntry::default();
        let server = SqsServer::start_behind(|router| failing.guard(router)).await;
        let settings = QueueSettings { dedup_scope: DedupScope::MessageGroup, ..QueueSettings::default() };
        server.store.queue("events.fifo", settings).await.unwrap();
        let queue = SqsQueue::new(client::sqs(&server.url).await, server.queue_url("events.fifo"));
        let door = door(rig.config(&with("http://127.0.0.1:9", route)), Arc::new(queue), None);
        Remote { server, failing, door }
    }

    async fn stored(&self) -> Vec<Browsed> {
        let queue = self.server.store.find("events.fifo").await.unwrap().unwrap();
        queue.browse(None, 1000).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_partial_failure_on_sqs_the_repeat_stores_each_event_once_and_in_order() {
    let rig = Rig::new().await;
    let many: Vec<(String, String)> = (0..35).map(|n| (n.to_string(), ((n * 7 % 12).min(5)).to_string())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(id, k)| (id.as_str(), k.as_str())).collect();
    let body = events(&many);
    for route in [ITEMS, &format!("{UNKEYED}dedup = \"body|sha256|hex\"\n"), &format!("{ITEMS}{SIGNED}")] {
        let remote = Remote::of(&rig, route).await;
        let mut failures = 0;
        // One entry fails on each try, always a later one.
        for after in [0, 3, 9, 17, 34] {
            for is_silent in [false, true] {
                if is_silent {
                    remote.failing.silently_after(after)
                } else {
                    remote.failing.after(after)
                }
                let (status, answer) = post(&remote.door, &body).await;
                assert_eq!(status, 503, "{answer}");
                failures += 1;
            }
        }
        let (status, answer) = post(&remote.door, &body).await;
        assert_eq!((status, &answer["items"], failures), (202, &json!(35), 10));
        let stored = remote.stored().await;
        for k in 0..6 {
            let group = format!("x/{k}");
            let own: Vec<Browsed> = stored.iter().filter(|own| own.group.as_str() == group).cloned().collect();
            let of: Vec<String> = many
                .iter()
                .filter(|(_, own)| **own == k.to_string())
                .map(|(id, k)| format!("{{\"id\":\"{id}\",\"k\":\"{k}\"}}"))
                .collect();
            assert_eq!(bodies(&own), of, "{route} {group}");
        }
        assert_eq!(stored.len(), 35, "{route}");
        let shown = |id: &Value| stored.iter().any(|message| Some(message.id.as_str()) == id.as_str());
        assert!(answer["ids"].as_array().unwrap().iter().all(shown));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_webhook_with_the_body_of_one_that_failed_is_stored_whole() {
    let rig = Rig::new().await;
    let remote = Remote::of(&rig, UNKEYED).await;
    let body = events(&[("0", "a"), ("1", "a"), ("2", "b")]);
    remote.failing.after(1);
    assert_eq!(post(&remote.door, &body).await.0, 503);
    let before = remote.stored().await.len();
    let (status, answer) = post(&remote.door, &body).await;
    assert_eq!((status, &answer["items"]), (202, &json!(3)));
    assert_eq!(remote.stored().await.len(), before + 3);
}

fn received(browsed: &Browsed) -> Received {
    Received {
        id: browsed.id.clone(),
        group: browsed.group.clone(),
        dedup_id: None,
        sequence: None,
        receive_count: 1,
        sent_at: browsed.sent_at,
        body: browsed.body.clone(),
        attributes: browsed.attributes.clone(),
        trace: None,
        handle: "h".into(),
    }
}

/// How a message settles in a pipeline whose secret has changed since it was stored.
async fn settles(rig: &Rig, url: &str, route: &str, message: &Received) -> Settlement {
    let config = with(url, route).replace("secret = \"key\"", "secret = \"new\"");
    let pipeline = rig.pipeline_knowing(&config, &[("new", "another secret")]);
    let lease = towpath_runtime::lease::Lease::of(towpath_types::queue::MAX_VISIBILITY);
    pipeline.group(lease).next(message).await
}

#[tokio::test]
async fn a_verdict_counts_for_its_own_message_only() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    for (route, split) in
        [(format!("group = \"x/{{json:/events/0/k}}\"\n{SIGNED}"), false), (format!("{ITEMS}{SIGNED}"), true)]
    {
        let door = local(&rig, &route);
        post(&door, &events(&[("1", "a")])).await;
        post(&door, &events(&[("2", "b")])).await;
        let all = stored(&rig).await;
        let (one, other) = (received(&all[all.len() - 2]), received(&all[all.len() - 1]));
        assert_eq!(settles(&rig, &target.url, &route, &one).await, Settlement::Ack, "rotated, split: {split}");

        let none = {
            let mut message = one.clone();
            message.attributes.remove(VERDICT_ATTRIBUTE);
            message
        };
        let foreign = Received { attributes: other.attributes.clone(), ..one.clone() };
        let altered = one.body.text().replacen("\"v\":1", "\"v\":01", 1).replace("==", "");
        let altered = Received { body: altered.into(), ..one.clone() };
        let elsewhere = Received { group: "x/z".into(), ..one.clone() };
        let forged = {
            let mut message = NewMessage {
                group: one.group.clone(),
                dedup_id: None,
                body: one.body.clone(),
                attributes: none.attributes.clone(),
            };
            let keys = NoteKeys::new(vec![Secret::new("guessed")]);
            let verified =
                towpath_verify::door::Verified { route: "x".to_owned(), at: Timestamp(1), by: "key".to_owned() };
            towpath_verify::door::attest(&keys, &mut message, None, &verified);
            Received { attributes: message.attributes, ..one.clone() }
        };
        for (case, message) in
            [("none", none), ("foreign", foreign), ("altered", altered), ("elsewhere", elsewhere), ("forged", forged)]
        {
            assert_eq!(settles(&rig, &target.url, &route, &message).await, Settlement::Buried, "{case}");
        }
    }
    assert_eq!(target.calls().len(), 2);
    assert!(rig.letters().await.iter().all(|letter| letter.reason == "unverified"));
}

#[tokio::test]
async fn a_redrive_stays_verified_and_an_edit_does_not() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let route = format!("{ITEMS}{SIGNED}");
    post(&local(&rig, &route), &events(&[("1", "a")])).await;
    // A plugin that is not there dead-letters nothing, so the letter is made by hand.
    let message = received(&stored(&rig).await[0]);
    let death = DeadLetter {
        v: 1,
        reason: "refused".to_owned(),
        id: message.id.to_string(),
        verified: true,
        ..DeadLetter::default()
    };
    let letter = death.pack(&message, 1024 * 1024, |_| true, |_, _| None).unwrap();
    let id = "l-1".into();
    let stored = Stored { id: &id, group: &letter.group, body: &letter.body, attributes: &letter.attributes };
    let back = death.send_back(&stored);
    let redriven = Received { body: back.body, attributes: back.attributes, ..message.clone() };
    assert_eq!(settles(&rig, &target.url, &route, &redriven).await, Settlement::Ack);

    for (keys, settled) in
        [(NoteKeys::default(), Settlement::Buried), (NoteKeys::new(vec![Secret::new(TOKEN)]), Settlement::Ack)]
    {
        let seal = Seal { keys: &keys, group: &letter.group, route: "x" };
        let note = Note { at: Timestamp(1), by: "ann".to_owned(), text: "typo".to_owned(), unverified: false };
        let (body, attributes) = seal.edit(&death, &stored, br#"{"id":"1","k":"a","edited":1}"#.to_vec(), note);
        assert!(!attributes.contains_key(VERDICT_ATTRIBUTE));
        let back = death.send_back(&Stored { id: &id, group: &letter.group, body: &body, attributes: &attributes });
        let edited = Received { body: back.body, attributes: back.attributes, ..message.clone() };
        assert_eq!(settles(&rig, &target.url, &route, &edited).await, settled);
    }
    assert_eq!(target.bodies(), [r#"{"id":"1","k":"a"}"#, r#"{"id":"1","k":"a","edited":1}"#]);
}

#[test]
fn split_needs_the_front_door_and_on_sqs_a_note_key() {
    let mistakes = |text: &str| {
        let secrets = towpath_config::Secrets::placeholders();
        let draft = Config::draft(text, "towpath.toml".as_ref(), &secrets).unwrap();
        draft
            .mistakes
            .into_iter()
            .map(|mistake| format!("{}: {}: {}", mistake.at, mistake.problem, mistake.hint))
            .collect::<Vec<_>>()
    };
    let sqs = "[queue]\nurl = \"https://sqs.eu-west-1.amazonaws.com/1/a.fifo\"\ndead_letter_url = \"https://sqs.eu-west-1.amazonaws.com/1/b.fifo\"\n";
    let signed = with("https://example.com", &format!("{ITEMS}{SIGNED}"));
    let unkeyed = signed.replace("[dead_letters]\nnote_key = \"token\"\n", "");
    assert_eq!(mistakes(&format!("{sqs}{signed}")), Vec::<String>::new());
    assert_eq!(mistakes(&unkeyed), Vec::<String>::new(), "a local store has a key of its own");
    let wrong = mistakes(&format!("{sqs}{unkeyed}"));
    assert!(wrong.len() == 1 && wrong[0].starts_with("route[0].split") && wrong[0].contains("note_key"), "{wrong:?}");
    let late = mistakes(&signed.replace("secret = \"key\"", "secret = \"key\", at = \"pipeline\""));
    assert!(late.iter().any(|wrong| wrong.contains("front door") && wrong.contains("leave verify.at out")), "{late:?}");
    let item = mistakes(&signed.replace("split = \"/events\"\n", ""));
    assert_eq!(item.len(), 2, "no item without split: {item:?}");
    let pointer = mistakes(&signed.replace("\"/events\"", "\"events\""));
    assert!(pointer[0].contains("must begin with /"), "{pointer:?}");
}
