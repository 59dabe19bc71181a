use tempfile::TempDir;
use towpath_types::queue::{NewMessage, Queue as _, Receive};

use super::*;
use crate::audit::Audit;
use crate::dlq::stock::{Kind, stock};
use crate::letters::open;
use crate::queues::Queues;

const KINDS: [Kind<'static>; 4] =
    [("a", "refused", "1"), ("b", "rejected", "2"), ("a", "refused", "3"), ("c", "refused", "4")];

fn bulk(action: Action, reason: Option<&str>, note: &str) -> Bulk {
    let conditions = Conditions { reason: reason.map(str::to_owned), ..Conditions::default() };
    Bulk { action, conditions, ids: Vec::new(), limits: Limits::default(), note: note.to_owned() }
}

async fn bodies(queue: &towpath_local::LocalQueue) -> Vec<String> {
    queue.browse(None, 100).await.expect("read").into_iter().map(|message| message.body.into_text()).collect()
}

async fn place() -> (TempDir, Found, Queues) {
    let folder = TempDir::new().expect("folder");
    let (found, queues) = stock(folder.path(), &KINDS).await;
    (folder, found, queues)
}

#[tokio::test]
async fn what_was_approved_is_done_in_order_and_is_in_the_audit_with_who_and_why() {
    for (action, name) in [(Action::Redrive, "redrive"), (Action::Drop, "drop")] {
        let (_folder, found, queues) = place().await;
        let bulk = bulk(action, Some("refused"), "ticket 7");
        let mut letters = open(&found.backend, None, false).await.expect("letters");
        let plan = bulk.plan(&found, &mut *letters).await.expect("a plan");
        assert_eq!(plan.letters, 3);
        let mut letters = open(&found.backend, None, false).await.expect("letters");
        let approval = Approval { letters: 3, digest: plan.digest };
        bulk.approve(&found, &mut *letters, &approval).await.expect("approved");
        let mut letters = open(&found.backend, None, false).await.expect("letters");
        let mut done = 0;
        let progress = |progress| {
            if let Progress::Done(more) = progress {
                done += more;
            }
        };
        let report = bulk.run(&found, &mut *letters, Stop::default(), progress).await.expect("done");
        assert_eq!((report.moved.moved, done), (3, 3), "{name}");
        assert_eq!(bodies(&queues.dead_letters).await, ["2"], "{name}");
        let sent: &[&str] = if action == Action::Redrive { &["1", "3", "4"] } else { &[] };
        assert_eq!(bodies(&queues.events).await, sent, "{name}");
        let audit = Audit::of(&found).read().expect("the audit");
        let audit: Vec<_> = audit.iter().map(|one| (one.by.as_str(), one.action.as_str(), one.note.as_str())).collect();
        assert_eq!(audit, [("ann", name, "ticket 7"); 3]);
    }
}

#[tokio::test]
async fn everything_a_missing_note_and_a_changed_number_are_refused_and_nothing_is_done() {
    let (_folder, found, queues) = place().await;
    let changed = BulkError::Changed { planned: 2, now: 3 };
    for (bulk, expected) in [
        (bulk(Action::Drop, None, "ticket 7"), BulkError::Everything),
        (bulk(Action::Redrive, Some("refused"), " "), BulkError::NoNote),
        (bulk(Action::Redrive, Some("refused"), "ticket 7"), changed),
    ] {
        let mut letters = open(&found.backend, None, false).await.expect("letters");
        let approval = Approval { letters: 2, digest: String::new() };
        let error = bulk.approve(&found, &mut *letters, &approval).await.expect_err("refused");
        assert_eq!(error.downcast_ref(), Some(&expected));
        assert_eq!(bodies(&queues.dead_letters).await.len(), 4);
    }
    // Nor does it run without having been approved.
    let mut letters = open(&found.backend, None, false).await.expect("letters");
    let all = bulk(Action::Drop, None, "ticket 7");
    all.run(&found, &mut *letters, Stop::default(), |_| {}).await.expect_err("refused");
    assert_eq!(bodies(&queues.dead_letters).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_between_two_portions_and_the_audit_has_what_was_sent_and_no_more() {
    let (_folder, found, queues) = place().await;
    let mut slow = bulk(Action::Redrive, Some("refused"), "ticket 7");
    slow.limits.per_second = Some(0.001);
    let stop = Stop::default();
    let asks = stop.clone();
    let mut letters = open(&found.backend, None, false).await.expect("letters");
    // Asked after the first portion: the second one would have to wait for a quarter of an hour.
    let progress = move |progress| {
        if let Progress::Done(_) = progress {
            asks.ask();
        }
    };
    let report = slow.run(&found, &mut *letters, stop, progress).await.expect("stopped");
    assert_eq!(report.moved.moved, 1);
    assert_eq!(bodies(&queues.events).await, ["1"]);
    assert_eq!(bodies(&queues.dead_letters).await, ["2", "3", "4"]);
    assert_eq!(Audit::of(&found).read().expect("the audit").len(), 1);
}

#[tokio::test]
async fn a_drop_leaves_out_a_letter_that_is_in_flight_and_drops_the_others() {
    let (_folder, found, queues) = place().await;
    let received = queues.dead_letters.receive(Receive { max: 1, ..Receive::default() }).await.expect("received");
    assert_eq!(received[0].body.text(), "1");
    let mut letters = open(&found.backend, None, false).await.expect("letters");
    let bulk = bulk(Action::Drop, Some("refused"), "ticket 7");
    let report = bulk.run(&found, &mut *letters, Stop::default(), |_| {}).await.expect("done");
    let failed: Vec<_> = report.moved.failed.iter().map(|failed| failed.id.as_str()).collect();
    assert_eq!((report.moved.moved, &failed[..]), (2, &["first-0"][..]));
    assert_eq!(bodies(&queues.dead_letters).await, ["1", "2"]);
    let audit = Audit::of(&found).recent(None, 100).expect("the audit").lines;
    let refused: Vec<_> =
        audit.into_iter().filter(|line| line.outcome.is_some()).map(|line| (line.id, line.outcome)).collect();
    assert_eq!(refused, [(Some(received[0].id.to_string()), Some("refused".to_owned()))]);
}

#[tokio::test]
async fn a_drop_stops_between_two_letters() {
    let (_folder, found, queues) = place().await;
    let stop = Stop::default();
    let asks = stop.clone();
    let mut letters = open(&found.backend, None, false).await.expect("letters");
    let progress = move |progress| {
        if let Progress::Done(_) = progress {
            asks.ask();
        }
    };
    let bulk = bulk(Action::Drop, Some("refused"), "ticket 7");
    let report = bulk.run(&found, &mut *letters, stop, progress).await.expect("stopped");
    assert_eq!(report.moved.moved, 1);
    assert_eq!(bodies(&queues.dead_letters).await, ["2", "3", "4"]);
}

#[tokio::test]
async fn as_many_letters_that_are_others_are_not_what_was_approved() {
    let (_folder, found, queues) = place().await;
    let bulk = bulk(Action::Drop, Some("refused"), "ticket 7");
    let mut letters = open(&found.backend, None, false).await.expect("letters");
    let plan = bulk.plan(&found, &mut *letters).await.expect("a plan");
    let approval = Approval { letters: plan.letters, digest: plan.digest };
    let first = queues.dead_letters.browse(None, 1).await.expect("read").remove(0);
    assert!(queues.dead_letters.discard(&first.sequence).await.expect("dropped"));
    again(&queues, &first, "5").await;
    let mut letters = open(&found.backend, None, false).await.expect("letters");
    let error = bulk.approve(&found, &mut *letters, &approval).await.expect_err("others");
    assert_eq!(error.downcast_ref(), Some(&BulkError::Others(3)));
}

/// Another letter like this one, with this body.
async fn again(queues: &Queues, like: &towpath_local::Browsed, body: &str) {
    let (group, attributes) = (like.group.clone(), like.attributes.clone());
    let letter = NewMessage { group, dedup_id: Some(body.into()), body: body.into(), attributes };
    queues.dead_letters.send(letter).await.expect("stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_again_meanwhile_is_not_taken_again_however_long_it_goes_on() {
    for action in [Action::Redrive, Action::Drop] {
        let (_folder, found, queues) = place().await;
        let first = queues.dead_letters.browse(None, 1).await.expect("read").remove(0);
        let mut letters = open(&found.backend, None, false).await.expect("letters");
        let mut died = 0;
        let dies = queues.clone();
        let progress = move |progress| {
            if matches!(progress, Progress::Done(_)) && died < 9 {
                died += 1;
                let body = format!("again-{died}");
                let again = again(&dies, &first, &body);
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(again));
            }
        };
        let bulk = bulk(action, Some("refused"), "ticket 7");
        let report = bulk.run(&found, &mut *letters, Stop::default(), progress).await.expect("done");
        assert_eq!(report.moved.moved, 3, "{action:?}");
    }
}
