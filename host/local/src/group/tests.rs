use std::time::Duration;

use tempfile::TempDir;
use towpath_types::clock::Clock;
use towpath_types::dead_letter::{DeadLetter, Death, Seen};
use towpath_types::outcome::Outcome;
use towpath_types::queue::{Handle, MAX_MESSAGE_BYTES, Queue as _, Receive, Received};

use super::*;
use crate::Store;

const LATER: Duration = Duration::from_secs(600);

struct Setup {
    _folder: TempDir,
    events: LocalQueue,
    dead: LocalQueue,
}

async fn setup() -> Setup {
    let folder = TempDir::new().expect("folder");
    let store = Store::open(folder.path(), Clock::wall()).expect("store");
    let dead = store.set_queue("dead.fifo", QueueSettings::default()).await.expect("queue");
    let events = store.set_queue("events.fifo", QueueSettings::default()).await.expect("queue");
    Setup { _folder: folder, events, dead }
}

/// The letter of a message, as hosts make it.
fn letter(message: Browsed, is_first: bool) -> Result<NewMessage, String> {
    let Browsed { id, group, sequence, sent_at, receive_count, attributes, body, .. } = message;
    let (dedup_id, sequence, trace, handle) = (None, Some(sequence), None, Handle::from(String::new()));
    let received = Received { id, group, dedup_id, sequence, receive_count, sent_at, body, attributes, trace, handle };
    let code = if is_first { "refused" } else { "parked" };
    let death = Death { code, detail: "by a test".to_owned() };
    let letter = DeadLetter::new(&received, &Outcome::Blocked, death, Seen::default(), "events.fifo", sent_at);
    letter.pack(&received, usize::MAX, |_| true, |_, _| None).map_err(|error| error.to_string())
}

impl Setup {
    async fn send(&self, group: &str, numbers: std::ops::RangeInclusive<u32>) {
        for n in numbers {
            let body = format!("{group}{n}");
            let dedup_id = Some(body.as_str().into());
            let message =
                NewMessage { group: group.into(), dedup_id, body: body.into(), attributes: Default::default() };
            self.events.send(message).await.expect("send");
        }
    }

    async fn receive(&self) -> Vec<Received> {
        self.events.receive(Receive::default()).await.expect("receive")
    }

    /// Receives all that can be, and releases it for a while, as a host does after a failure.
    async fn fail(&self) {
        let received = self.receive().await;
        let released: Vec<_> = received.into_iter().rev().map(|message| (message.handle, LATER)).collect();
        for result in self.events.release(&released).await {
            result.expect("released");
        }
    }

    /// A host fails, stores the letter of the first message, and ends before it deletes the message.
    async fn die_before_the_delete(&self) {
        self.fail().await;
        let browsed = self.events.browse(None, 1).await.expect("browse").remove(0);
        self.dead.send(letter(browsed, true).expect("a letter")).await.expect("send");
    }

    async fn head(&self) -> MessageId {
        self.events.head(&"g".into()).await.expect("read").expect("a head").id
    }

    async fn bury(&self, which: Which) -> Acted {
        self.events.bury(&self.dead, &"g".into(), which, letter).await.expect("moved")
    }

    async fn texts(&self, queue: &LocalQueue) -> Vec<String> {
        let all = queue.browse(None, 1_000).await.expect("browse");
        all.into_iter().map(|message| message.body.text().into_owned()).collect()
    }

    async fn left(&self) -> Vec<String> {
        self.texts(&self.events).await
    }

    async fn dead(&self) -> Vec<String> {
        self.texts(&self.dead).await
    }
}

fn moved(moved: usize, is_rest: bool) -> Acted {
    Acted::Moved { moved, is_rest }
}

#[tokio::test]
async fn a_head_that_waits_is_received_at_once_with_those_that_wait_behind_it() {
    let setup = setup().await;
    setup.send("g", 1..=3).await;
    setup.fail().await;
    setup.send("g", 4..=4).await;
    assert!(setup.receive().await.is_empty(), "all wait");
    let head = setup.head().await;
    let hastened = setup.events.hasten(&"g".into(), &head).await.expect("hastened");
    assert_eq!(hastened, Hastened::Now(3));
    let bodies = setup.receive().await.into_iter().map(|message| message.body.text().into_owned()).collect::<Vec<_>>();
    assert_eq!(bodies, ["g1", "g2", "g3", "g4"]);
}

#[tokio::test]
async fn nothing_that_somebody_may_be_working_on_is_touched() {
    let setup = setup().await;
    setup.send("g", 1..=3).await;
    let head = setup.head().await;
    let received = setup.receive().await;
    let group = "g".into();
    for _ in 0..2 {
        assert_eq!(setup.events.hasten(&group, &head).await.expect("read"), Hastened::Busy);
        assert_eq!(setup.bury(Which::Head(head.clone())).await, Acted::Busy);
        assert_eq!(setup.bury(Which::HeadAndBehind(head.clone(), 10)).await, Acted::Busy);
        assert_eq!(setup.bury(Which::Front(10)).await, Acted::Busy);
        // A heartbeat is no release.
        let beats: Vec<_> = received.iter().map(|message| (message.handle.clone(), LATER)).collect();
        for result in setup.events.change_visibility(&beats).await {
            result.expect("extended");
        }
    }
    assert_eq!((setup.left().await.len(), setup.dead().await.len()), (3, 0));
    // The head is released, and another one of the group is not: only the head may be moved.
    setup.events.release(&[(received[0].handle.clone(), LATER)]).await.remove(0).expect("released");
    assert_eq!(setup.bury(Which::HeadAndBehind(head.clone(), 10)).await, Acted::Busy);
    assert_eq!(setup.bury(Which::Head(head)).await, moved(1, true));
    assert_eq!(
        (setup.left().await, setup.dead().await),
        (vec!["g2".to_owned(), "g3".to_owned()], vec!["g1".to_owned()])
    );
}

#[tokio::test]
async fn what_an_operator_did_not_see_is_not_moved() {
    let setup = setup().await;
    setup.send("g", 1..=2).await;
    let first = setup.head().await;
    assert_eq!(setup.bury(Which::Head(first.clone())).await, moved(1, true));
    assert_eq!(setup.bury(Which::Head(first.clone())).await, Acted::Changed, "twice by mistake");
    assert_eq!(setup.bury(Which::HeadAndBehind(first.clone(), 10)).await, Acted::Changed);
    assert_eq!(setup.events.hasten(&"g".into(), &first).await.expect("read"), Hastened::Changed);
    assert_eq!(setup.events.hasten(&"none".into(), &first).await.expect("read"), Hastened::Changed);
    assert_eq!(setup.left().await, ["g2"]);
}

#[tokio::test]
async fn a_group_is_moved_in_order_in_steps_and_other_groups_stay() {
    let setup = setup().await;
    setup.send("g", 1..=2).await;
    setup.send("h", 1..=1).await;
    setup.send("g", 3..=5).await;
    setup.fail().await;
    let head = setup.head().await;
    assert_eq!(setup.bury(Which::HeadAndBehind(head, 2)).await, moved(2, true));
    assert_eq!(setup.bury(Which::Front(2)).await, moved(2, true));
    assert_eq!(setup.bury(Which::Front(2)).await, moved(1, false));
    assert_eq!(setup.bury(Which::Front(2)).await, Acted::Changed, "nothing is left");
    assert_eq!(setup.dead().await, ["g1", "g2", "g3", "g4", "g5"]);
    assert_eq!(setup.left().await, ["h1"]);
}

#[tokio::test]
async fn a_step_of_large_messages_is_shorter() {
    let setup = setup().await;
    let many = MOST_BYTES / MAX_MESSAGE_BYTES;
    for n in 0..many + 2 {
        let body = "x".repeat(MAX_MESSAGE_BYTES).into();
        let dedup_id = Some(n.to_string().as_str().into());
        let message = NewMessage { group: "g".into(), dedup_id, body, attributes: Default::default() };
        setup.events.send(message).await.expect("send");
    }
    assert_eq!(setup.bury(Which::Front(500)).await, moved(many, true));
    assert_eq!(setup.bury(Which::Front(500)).await, moved(2, false));
}

#[tokio::test]
async fn those_behind_a_moved_head_are_received_next() {
    let setup = setup().await;
    setup.send("g", 1..=3).await;
    let head = setup.head().await;
    assert_eq!(setup.bury(Which::Head(head)).await, moved(1, true));
    let bodies = setup.receive().await.into_iter().map(|message| message.body.text().into_owned()).collect::<Vec<_>>();
    assert_eq!(bodies, ["g2", "g3"]);
}

#[tokio::test]
async fn a_letter_that_a_host_stored_before_it_ended_is_not_stored_twice_and_one_that_went_back_is_stored_again() {
    let setup = setup().await;
    setup.send("g", 1..=1).await;
    setup.die_before_the_delete().await;
    let head = setup.head().await;
    assert_eq!(setup.bury(Which::Head(head)).await, moved(1, false));
    assert_eq!((setup.left().await.len(), setup.dead().await), (0, vec!["g1".to_owned()]));
    // The same while its letter is gone: it must not get lost although its id was sent to the queue minutes ago.
    setup.send("g", 2..=2).await;
    setup.die_before_the_delete().await;
    let letters = setup.dead.browse(None, 10).await.expect("browse");
    setup.dead.discard(&letters[1].sequence).await.expect("dropped");
    let head = setup.head().await;
    assert_eq!(setup.bury(Which::Head(head)).await, moved(1, false));
    assert_eq!((setup.left().await.len(), setup.dead().await), (0, vec!["g1".to_owned(), "g2".to_owned()]));
}

#[tokio::test]
async fn a_stored_letter_that_was_edited_into_another_group_is_not_stored_twice() {
    let setup = setup().await;
    setup.send("g", 1..=2).await;
    setup.die_before_the_delete().await;
    let letter = setup.dead.browse(None, 1).await.expect("browse").remove(0);
    let other = GroupId::from("h");
    let edited = setup.dead.edit(&letter.sequence, &other, "edited".into(), &letter.attributes).await;
    assert!(edited.expect("edited"));
    let head = setup.head().await;
    assert_eq!(setup.bury(Which::HeadAndBehind(head, 10)).await, moved(2, false));
    assert_eq!((setup.left().await.len(), setup.dead().await), (0, vec!["edited".to_owned(), "g2".to_owned()]));
}

#[tokio::test]
async fn a_letter_that_cannot_be_made_changes_nothing() {
    let setup = setup().await;
    setup.send("g", 1..=3).await;
    let head = setup.head().await;
    let refuses_the_third = |message: Browsed, first| {
        if message.body.text() == "g3" { Err("too large".to_owned()) } else { letter(message, first) }
    };
    let which = Which::HeadAndBehind(head, 10);
    let error = setup.events.bury(&setup.dead, &"g".into(), which, refuses_the_third).await.expect_err("refused");
    let third = setup.events.browse(None, 3).await.expect("browse").remove(2).id;
    assert_eq!(error.to_string(), format!("the message {third} cannot become a dead letter: too large"));
    assert_eq!((setup.left().await.len(), setup.dead().await.len()), (3, 0));
}
