//! Dead letters that SQS itself moves back, as a redrive in AWS's console does: no code of ours sees them on the way.

use std::sync::atomic::{AtomicU64, Ordering};

use towpath_config::value::Digest;
use towpath_engine::pipeline::Settlement;
use towpath_runtime::time::wall_clock;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{KEY, Rig, one_route};
use towpath_tests::target::{Answer, Target};
use towpath_types::queue::{NewMessage, Queue as _};

/// Longer than the proof of an event may be old.
const AN_HOUR: u64 = 3_600_000;

/// A route whose proofs age, on a host with these settings of its dead letters.
fn config(url: &str, dead_letters: &str) -> String {
    let verify = "plugin = \"guest\"\nverify = { scheme = \"slack\", secret = \"key\", tolerance = \"5m\" }";
    let route = one_route(url).replace("plugin = \"guest\"", verify);
    format!("{route}\n[dead_letters]\n{dead_letters}\n")
}

/// Stores an event that is signed now.
async fn send_signed(rig: &Rig, at: u64) {
    let mac = towpath_verify::mac(Digest::Sha256, KEY.as_bytes(), &[format!("v0:{at}:{{}}").as_bytes()]);
    let digits: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [("x-slack-request-timestamp", at.to_string()), ("x-slack-signature", format!("v0={digits}"))];
    rig.send_webhook("g/1", &headers.each_ref().map(|(name, value)| (*name, value.as_str())), b"{}").await;
}

/// Moves all letters as SQS does: group, body and attributes stay, id and time are new.
async fn move_back(rig: &Rig) {
    for stored in rig.dead_letters.browse(None, 100).await.unwrap() {
        let dedup_id = Some(format!("moved-{}", stored.id).into());
        let message = NewMessage { group: stored.group, dedup_id, body: stored.body, attributes: stored.attributes };
        rig.events.send(message).await.unwrap();
    }
}

#[tokio::test]
async fn a_moved_letter_keeps_its_webhook_id_and_the_time_that_its_proof_is_checked_against() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let clock = wall_clock().shifted(&AHEAD);
    let rig = Rig::with_clock(clock).await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&config(&target.url, "note_key = \"token\""));
    send_signed(&rig, clock.now().0 / 1000).await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Buried]);

    AHEAD.fetch_add(AN_HOUR, Ordering::SeqCst);
    move_back(&rig).await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Buried], "the target still refuses it");
    let letters = rig.letters().await;
    let first = letters.first().unwrap();
    let second = letters.last().unwrap();
    assert_eq!((letters.len(), second.reason.as_str()), (2, "refused"));
    assert_eq!((&second.id, second.sent_at), (&first.id, first.sent_at), "a letter of a moved letter has the first id");
    let ids: Vec<_> = target.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, [first.id.clone(), first.id.clone()]);
}

#[tokio::test]
async fn a_moved_letter_that_no_key_vouches_for_is_a_new_message_and_its_proof_is_too_old() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let clock = wall_clock().shifted(&AHEAD);
    let rig = Rig::with_clock(clock).await;
    rig.write("guest", Guest::forward());
    send_signed(&rig, clock.now().0 / 1000).await;
    // Written by a host with another key.
    let other = rig.pipeline(&config(&target.url, "note_key = \"key\""));
    assert_eq!(rig.run(&other).await, [Settlement::Buried]);

    AHEAD.fetch_add(AN_HOUR, Ordering::SeqCst);
    move_back(&rig).await;
    let pipeline = rig.pipeline(&config(&target.url, "note_key = \"token\""));
    assert_eq!(rig.run(&pipeline).await, [Settlement::Buried]);
    let letters = rig.letters().await;
    let second = letters.last().unwrap();
    assert_eq!((second.reason.as_str(), target.calls().len()), ("unverified", 1), "{}", second.detail);
    assert_ne!(second.id, letters.first().unwrap().id);
}
