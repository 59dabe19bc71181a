//! Every row of the decision table, through the whole pipeline: store, guest, real HTTP, dead letters.

use std::sync::Arc;
use std::time::Duration;

use towpath_engine::pipeline::Settlement;
use towpath_runtime::lease::Lease;
use towpath_tests::guest::{Guest, Request};
use towpath_tests::rig::{Rig, one_route, received};
use towpath_tests::target::{Answer, Target};
use towpath_types::archive::{Archive, Archived};
use towpath_types::dead_letter::DeadLetter;
use towpath_types::queue::{MAX_VISIBILITY, Received};

/// A change to the text of a config.
type Edit<'a> = &'a dyn Fn(String) -> String;

/// One message of a fresh host: what it was settled with, and its letter if it died.
async fn one(guest: Guest, target: &Target, edit: impl Fn(String) -> String) -> (Settlement, Option<DeadLetter>) {
    let rig = Rig::new().await;
    rig.write("guest", guest);
    let pipeline = rig.pipeline(&edit(one_route(&target.url)));
    rig.send("g/1", "{}").await;
    let settlement = rig.run(&pipeline).await.remove(0);
    (settlement, rig.letters().await.pop())
}

async fn forwarded(answer: Answer) -> (Settlement, Option<DeadLetter>) {
    let target = Target::answering(move |_| answer.clone()).await;
    let end = one(Guest::forward(), &target, |config| config).await;
    assert_eq!(target.calls().len(), 1, "one attempt a pass");
    end
}

fn seconds(settlement: Settlement) -> f64 {
    match settlement {
        Settlement::Retry(after) => after.as_secs_f64(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn any_2xx_is_delivered_and_acked() {
    for status in [200, 201, 202, 204, 299] {
        let (settlement, letter) = forwarded(Answer::Status(status, String::new())).await;
        assert_eq!((settlement, letter), (Settlement::Ack, None), "{status}");
    }
}

struct Panics;

impl Archive for Panics {
    fn keep(&self, _: Archived) {
        panic!("a bug");
    }
}

#[tokio::test]
async fn a_delivered_event_is_acked_although_the_archive_panics() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let mut pipeline = rig.pipeline(&one_route(&target.url));
    Arc::get_mut(&mut pipeline).unwrap().archive = Some(Arc::new(Panics));
    for n in 1..=2 {
        rig.send("g/1", "{}").await;
        assert_eq!(rig.run(&pipeline).await, [Settlement::Ack], "event {n}");
    }
    assert_eq!(target.calls().len(), 2);
}

#[tokio::test]
async fn statuses_that_may_pass_are_tried_again_with_backoff() {
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        let (settlement, letter) = forwarded(Answer::Status(status, String::new())).await;
        assert!((1.0..=2.0).contains(&seconds(settlement)), "{status}: {settlement:?}");
        assert_eq!(letter, None, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_within_bounds() {
    for (value, expected) in [("7", 7.0), ("0", 1.0), ("999999999", 900.0)] {
        let (settlement, _) = forwarded(Answer::Header(503, "retry-after", value.to_owned())).await;
        assert_eq!(seconds(settlement), expected, "{value}");
    }
}

#[tokio::test]
async fn every_way_to_be_unavailable_is_tried_again() {
    let (settlement, letter) = forwarded(Answer::Hang).await;
    assert!(seconds(settlement) >= 1.0);
    assert_eq!(letter, None);
    let mut nobody = Target::fine().await;
    nobody.stop().await;
    let (settlement, letter) = one(Guest::forward(), &nobody, |config| config).await;
    assert!(seconds(settlement) >= 1.0);
    assert_eq!(letter, None);
}

#[tokio::test]
async fn other_statuses_are_refusals_and_dead_letters_with_status_and_excerpt() {
    for status in [300, 304, 400, 401, 403, 404, 409, 410, 422] {
        let (settlement, letter) = forwarded(Answer::Status(status, "no such ticket\n".to_owned())).await;
        assert_eq!(settlement, Settlement::Buried, "{status}");
        let letter = letter.expect("a letter");
        assert_eq!((letter.reason.as_str(), letter.status), ("refused", Some(status)));
        assert_eq!(letter.excerpt, if status == 304 { "" } else { "no such ticket" });
        assert_eq!((letter.attempts.len(), letter.plugin.as_deref()), (1, Some("guest")));
        assert_eq!(letter.digest.expect("digest").len(), 64);
    }
}

#[tokio::test]
async fn a_targets_own_list_says_what_is_tried_again() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let with_list = |config| config + "\nretry = { on = [\"404\"], base = \"8s\", cap = \"9s\" }";
    let (settlement, letter) = one(Guest::forward(), &target, with_list).await;
    assert!((4.0..=8.0).contains(&seconds(settlement)), "{settlement:?}");
    assert_eq!(letter, None);
    target.answer(|_| Answer::Status(503, String::new()));
    let (settlement, letter) = one(Guest::forward(), &target, with_list).await;
    assert_eq!(settlement, Settlement::Buried);
    assert_eq!(letter.expect("a letter").reason, "refused");
}

#[tokio::test]
async fn a_gateway_that_flaps_is_tried_again_where_the_target_says_so() {
    let flaps = |config| config + "\nretry = { on = [\"default\", 401, \"403-404\"] }";
    for (status, retried) in
        [(401, true), (403, true), (404, true), (429, true), (503, true), (400, false), (405, false)]
    {
        let target = Target::answering(move |_| Answer::Status(status, "not now".to_owned())).await;
        let (settlement, letter) = one(Guest::forward(), &target, flaps).await;
        assert_eq!(matches!(settlement, Settlement::Retry(_)), retried, "{status}: {settlement:?}");
        assert_eq!(letter.is_none(), retried, "{status}");
    }
}

#[tokio::test]
async fn a_target_on_hold_is_not_called() {
    let target = Target::fine().await;
    let (settlement, letter) = one(Guest::forward(), &target, |config| config + "\nhold = true").await;
    assert!(seconds(settlement) >= 1.0);
    assert_eq!((letter, target.calls().len()), (None, 0));
}

#[tokio::test]
async fn skip_acks_and_reject_dead_letters() {
    let target = Target::fine().await;
    assert_eq!(one(Guest::skip("quiet"), &target, |config| config).await, (Settlement::Ack, None));
    let (settlement, letter) = one(Guest::reject("bad"), &target, |config| config).await;
    assert_eq!(settlement, Settlement::Buried);
    let letter = letter.expect("a letter");
    assert_eq!((letter.reason.as_str(), letter.detail.as_str()), ("rejected", "bad: said by the guest"));
    assert!(target.calls().is_empty());
}

#[tokio::test]
async fn retry_waits_as_long_as_the_plugin_asks() {
    let target = Target::fine().await;
    let (settlement, letter) = one(Guest::retry("later", 42_000), &target, |config| config).await;
    assert_eq!((seconds(settlement), letter), (42.0, None));
}

#[tokio::test]
async fn what_a_guest_prints_before_it_traps_is_in_the_dead_letter() {
    let rig = Rig::new().await;
    // As a Rust plugin does that panics: it writes to stderr, and traps. It also sleeps, and closes a stream.
    let panic = "(call $block (call $sleep (i64.const 1000000000)))
        (call $print (call $stderr) (i32.const 8192) (i32.const 5) (i32.const 0))
        (call $close (call $stderr)) (unreachable)";
    rig.write("guest", Guest::code(panic));
    let pipeline = rig.pipeline(&one_route("http://127.0.0.1:9"));
    rig.send("g/1", "{}").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Buried]);
    let letters = rig.letters().await;
    assert_eq!((letters[0].reason.as_str(), letters[0].stderr.as_str()), ("plugin-trap", "ended"), "{letters:?}");
}

#[tokio::test]
async fn plugin_faults_dead_letter_with_their_kind() {
    let target = Target::fine().await;
    let request = Request::default();
    let deliver = |request: Request| Guest::deliver(&[request]).with_targets(&["sss", "other"]);
    let header = |name, value| deliver(Request { header: Some((name, value)), ..request });
    let cases = [
        ("error", Guest::error("broken"), "plugin-error"),
        ("empty list", Guest::deliver(&[]), "plugin-error"),
        ("trap", Guest::code("(unreachable)"), "plugin-trap"),
        ("memory", Guest::code("(drop (memory.grow (i32.const 60000)))"), "plugin-limit"),
        ("output", Guest::large(2 * 1024 * 1024), "plugin-limit"),
        ("fuel", Guest::code("(loop $l (br $l))"), "plugin-fuel"),
        ("unknown target", deliver(Request { target: "other", ..request }), "bad-request"),
        ("undescribed target", deliver(Request { target: "third", ..request }), "bad-request"),
        ("bad path", deliver(Request { path: "/../admin", ..request }), "bad-request"),
        ("bad method", deliver(Request { method: "TRACE", ..request }), "bad-request"),
        ("header with a newline", header("x-a", "b\r\nx-evil: 1"), "bad-request"),
        ("no header name", header("x a", "b"), "bad-request"),
        ("hop-by-hop header", header("Transfer-Encoding", "chunked"), "bad-request"),
        ("host header", header("host", "evil.test"), "bad-request"),
        ("the host's own header", header("webhook-id", "m-9"), "bad-request"),
        ("the idempotency key", header("Idempotency-Key", "x"), "bad-request"),
        ("another path behind a proxy", header("X-Original-URL", "/admin"), "bad-request"),
        ("another method", header("X-HTTP-Method-Override", "DELETE"), "bad-request"),
        ("another client, with underscores", header("X_Forwarded_For", "127.0.0.1"), "bad-request"),
        ("a proxy for a CGI program", header("Proxy", "http://evil.test"), "bad-request"),
        ("the host's own header, with an underscore", header("webhook_id", "m-9"), "bad-request"),
        ("a path behind a decoding proxy", deliver(Request { path: "/..%3f/admin", ..request }), "bad-request"),
    ];
    // Time for all fuel, whatever else the machine does.
    let patient = |config: String| {
        config.replace(
            "path = \"guest.wasm\"",
            "path = \"guest.wasm\"\nlimits = { timeout = \"60s\", fuel = 10_000_000 }",
        )
    };
    for (name, guest, reason) in cases {
        let (settlement, letter) = one(guest, &target, patient).await;
        assert_eq!(settlement, Settlement::Buried, "{name}");
        assert_eq!(letter.expect(name).reason, reason, "{name}");
    }
    assert!(target.calls().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_target_may_take_headers_that_tell_another_path_or_client() {
    let target = Target::fine().await;
    let leave = |config: String| format!("{config}\nplugin_headers = ['x-forwarded-for']");
    for (name, expected) in [("X-Forwarded-For", Settlement::Ack), ("X-Forwarded-Host", Settlement::Buried)] {
        let request = Request { header: Some((name, "198.51.100.7")), ..Request::default() };
        let (settlement, _) = one(Guest::deliver(&[request]), &target, leave).await;
        assert_eq!(settlement, expected, "{name}");
    }
    let calls = target.calls();
    assert_eq!((calls.len(), calls[0].header("x-forwarded-for")), (1, "198.51.100.7"));
}

#[tokio::test]
async fn a_trap_leaves_its_trace_in_the_letter() {
    let (_, letter) = one(Guest::code("(unreachable)"), &Target::fine().await, |config| config).await;
    let letter = letter.expect("a letter");
    assert!(letter.trace.iter().any(|function| function.contains("map_message")), "{letter:?}");
}

#[tokio::test]
async fn a_bad_request_stops_the_good_ones_beside_it() {
    let target = Target::fine().await;
    let bad = Request { path: "no-slash", ..Request::default() };
    let (_, letter) = one(Guest::deliver(&[Request::default(), bad]), &target, |config| config).await;
    assert_eq!(letter.expect("a letter").detail.get(..9), Some("request 1"));
    assert!(target.calls().is_empty());
}

#[tokio::test]
async fn a_starved_host_tries_again() {
    let spin = Guest::code("(loop $l (br $l))");
    let edit = |config: String| {
        config.replace(
            "path = \"guest.wasm\"",
            "path = \"guest.wasm\"\nlimits = { timeout = \"50ms\", fuel = 9_000_000_000_000 }",
        )
    };
    let (settlement, letter) = one(spin, &Target::fine().await, edit).await;
    assert!(seconds(settlement) >= 1.0);
    assert_eq!(letter, None);
}

#[tokio::test]
async fn misfits_dead_letter_with_what_does_not_fit() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let verify = "verify = { scheme = \"hmac-sha256\", header = \"x-sig\", secret = \"key\" }\nplugin = \"guest\"";
    let text = one_route(&target.url).replace("plugin = \"guest\"", verify);
    // RFC 4231, test case 2.
    let pipeline = rig.pipeline_knowing(&text, &[("key", "Jefe")]);
    rig.send("nobody", "{}").await;
    rig.send_raw("g/1", "{\"v\":1,\"headers\":[".to_owned()).await;
    rig.send_raw("g/2", "{\"v\":9,\"headers\":[],\"body\":\"\"}".to_owned()).await;
    rig.send("g/3", "{}").await;
    rig.send_webhook("g/4", &[("x-sig", "00")], b"{}").await;
    let right = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    rig.send_webhook("g/5", &[("x-sig", right)], b"what do ya want for nothing?").await;
    let mut settled = [Settlement::Buried; 6];
    settled[5] = Settlement::Ack;
    assert_eq!(rig.run(&pipeline).await, settled);
    let letters = rig.letters().await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(reasons, ["no-route", "unverified", "unverified", "unverified", "unverified"]);
    // What cannot be read proves nothing either.
    assert!(letters[1].detail.contains("cannot be read: the envelope is not valid JSON"), "{}", letters[1].detail);
    assert!(letters[2].detail.contains("cannot be read: the envelope has version 9"), "{}", letters[2].detail);
    assert_eq!(target.bodies(), ["what do ya want for nothing?"]);
    // Where no proof is asked for it is unreadable.
    rig.send_raw("g/6", "{\"v\":1,\"headers\":[".to_owned()).await;
    assert_eq!(rig.run(&rig.pipeline(&one_route(&target.url))).await, [Settlement::Buried]);
    assert_eq!(rig.letters().await[5].reason, "unreadable");
}

/// A message of this age, and a young one behind it.
async fn aged(days: u64, guest: Guest, answer: Answer, config: Edit<'_>) -> (Vec<Settlement>, Vec<DeadLetter>) {
    let rig = Rig::new().await;
    rig.write("guest", guest);
    let target = Target::answering(move |_| answer.clone()).await;
    let pipeline = rig.pipeline(&config(one_route(&target.url)));
    let head = received("g/1", "head");
    let head = Received { sent_at: head.sent_at - Duration::from_secs(days * 24 * 3600), ..head };
    let mut run = pipeline.group(Lease::of(MAX_VISIBILITY));
    let settlements = vec![run.next(&head).await, run.next(&received("g/1", "mate")).await];
    (settlements, rig.letters().await)
}

#[tokio::test]
async fn past_its_age_a_message_is_tried_once_more_and_then_given_up_and_its_mates_go_on() {
    let spin = || Guest::code("(loop $l (br $l))");
    let slow = |config: String| {
        config.replace(
            "path = \"guest.wasm\"",
            "path = \"guest.wasm\"\nlimits = { timeout = \"50ms\", fuel = 9_000_000_000_000 }",
        )
    };
    let same = |config: String| config;
    let fine = Answer::Status(200, String::new());
    let hold = |config: String| config + "\nhold = true";
    let cases: [(&str, u64, Guest, Answer, Edit<'_>, &str); 4] = [
        ("unavailable", 4, Guest::forward(), Answer::Status(503, String::new()), &same, "expired"),
        ("deferred", 4, Guest::retry("later", 1000), fine.clone(), &same, "expired"),
        ("held", 13, Guest::forward(), fine.clone(), &hold, "waited-too-long"),
        ("starved", 4, spin(), fine.clone(), &slow, "plugin-timeout"),
    ];
    for (name, days, guest, answer, config, reason) in cases {
        let (settlements, letters) = aged(days, guest, answer, config).await;
        assert_eq!(settlements[0], Settlement::Buried, "{name}");
        assert_eq!(letters[0].reason, reason, "{name}");
        // The mate is young: it fails the same way, and waits.
        assert!(matches!(settlements[1], Settlement::Retry(_)), "{name}");
        assert_eq!(letters.len(), 1, "{name}");
    }
    let (settlements, letters) = aged(12, Guest::forward(), fine, &hold).await;
    assert!(settlements.iter().all(|settlement| matches!(settlement, Settlement::Retry(_))), "{settlements:?}");
    assert!(letters.is_empty(), "a hold outlasts max_age");
}

#[tokio::test]
async fn a_failing_message_blocks_only_its_own_group() {
    let target = Target::answering(|call| match call.body.as_ref() {
        b"a2" => Answer::Status(503, String::new()),
        _ => Answer::Status(200, String::new()),
    })
    .await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&target.url));
    for (group, body) in [("g/a", "a1"), ("g/a", "a2"), ("g/a", "a3"), ("g/b", "b1")] {
        rig.send(group, body).await;
    }
    let settlements = rig.run(&pipeline).await;
    assert_eq!((settlements[0], settlements[3]), (Settlement::Ack, Settlement::Ack));
    assert_eq!(settlements[1], settlements[2], "a mate waits as long as its head");
    assert_eq!(target.bodies(), ["a1", "a2", "b1"], "a3 was not tried");
}

#[tokio::test]
async fn odd_bodies_reach_the_target_byte_for_byte() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&target.url));
    let bodies = [b"".to_vec(), b"\xff\xfe\x00".to_vec(), vec![b'['; 1024 * 1024], "\u{1F6F6} \r\n ".into()];
    for body in &bodies {
        rig.send_webhook("g/1", &[("content-type", "text/odd")], body).await;
    }
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack; 4]);
    let calls = target.calls();
    for (call, body) in calls.iter().zip(&bodies) {
        assert_eq!(call.body.as_ref(), body.as_slice());
        assert_eq!(call.header("content-type"), "text/odd");
    }
}
