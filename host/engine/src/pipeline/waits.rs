//! Two weeks of waiting over a model of SQS, which counts receives, dead-letters a message after too many of them, and
//! deletes it when its retention ends. Time is simulated.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use parking_lot::Mutex;

use super::*;
use crate::decide::{OUT_OF_RECEIVES, WAITED_TOO_LONG};
use crate::poll::by_group;
use towpath_types::clock::Timestamp;
use towpath_types::outcome::{Closed, Gate};
use towpath_types::queue::{MAX_BATCH, MAX_VISIBILITY, QueueLimits};
use towpath_types::verdict::Reason;

const HOUR: u64 = 3600 * 1000;
const DAY: u64 = 24 * HOUR;

/// The visibility timeout of a receive.
const VISIBILITY: u64 = 30 * 1000;

/// The outcome of a pass at this time, in milliseconds, for a message received this many times.
type Trouble = fn(u64, u32) -> Outcome;

struct Queued {
    received: Received,
    visible_at: u64,
}

/// An SQS queue, by group.
struct Model {
    limits: QueueLimits,
    groups: Vec<Vec<Queued>>,
    receives: usize,
    /// Messages that the queue itself deleted or dead-lettered.
    taken: Vec<String>,
}

impl Model {
    fn send(&mut self, group: usize, number: usize, now: u64) {
        let id = format!("{group}-{number}");
        let received = Received {
            id: id.as_str().into(),
            group: format!("g/{group}").into(),
            dedup_id: None,
            sequence: None,
            receive_count: 0,
            sent_at: Timestamp(now),
            body: "".into(),
            attributes: Default::default(),
            trace: None,
            handle: id.into(),
        };
        self.groups[group].push(Queued { received, visible_at: now });
    }

    /// Receives at most one batch: from each group, the longest visible prefix.
    fn receive(&mut self, now: u64) -> Vec<Received> {
        let mut batch = Vec::new();
        self.receives += 1;
        let begin = self.receives % self.groups.len();
        let (before, from) = self.groups.split_at_mut(begin);
        for messages in from.iter_mut().chain(before) {
            let is_over = |waiting: &Queued| Timestamp(now).since(waiting.received.sent_at) >= self.limits.retention;
            let deleted =
                messages.iter().filter(|waiting| is_over(waiting)).map(|gone| format!("deleted {}", gone.received.id));
            self.taken.extend(deleted);
            messages.retain(|waiting| !is_over(waiting));
            let mut next = 0;
            while batch.len() < MAX_BATCH && messages.get(next).is_some_and(|waiting| waiting.visible_at <= now) {
                let waiting = &mut messages[next];
                if self.limits.is_last_receive(waiting.received.receive_count) {
                    self.taken.push(format!("moved {}", messages.remove(next).received.id));
                    continue;
                }
                waiting.received.receive_count += 1;
                waiting.visible_at = now + VISIBILITY;
                batch.push(waiting.received.clone());
                next += 1;
            }
        }
        batch
    }

    fn settle(&mut self, received: &Received, settlement: Settlement, now: u64) {
        let messages =
            self.groups.iter_mut().find(|group| group.iter().any(|waiting| waiting.received.id == received.id));
        let messages = messages.expect("its group");
        match settlement {
            Settlement::Ack | Settlement::Buried => messages.retain(|waiting| waiting.received.id != received.id),
            Settlement::Retry(after) => {
                assert!(after <= MAX_VISIBILITY - Duration::from_millis(VISIBILITY), "SQS refuses {after:?}");
                let waiting = messages.iter_mut().find(|waiting| waiting.received.id == received.id).expect("held");
                waiting.visible_at = now + after.as_millis().div_ceil(1000) as u64 * 1000;
            }
        }
    }

    /// When the next message becomes visible.
    fn next(&self) -> Option<u64> {
        self.groups.iter().filter_map(|group| group.first()).map(|head| head.visible_at).min()
    }
}

/// A pipeline without plugins and targets: `trouble` gives the outcome of each pass.
struct Spine {
    trouble: Trouble,
    on_dead_letter: OnDeadLetter,
    limits: QueueLimits,
    now: AtomicU64,
    failures: Failures,
    /// How messages ended, in order: the id, and the reason if it was dead-lettered.
    ended: Mutex<Vec<(String, Option<&'static str>)>>,
}

impl Line for Spine {
    fn targets(&self) -> usize {
        1
    }

    async fn take(&self, received: &Received, _: &mut Turn) -> Settlement {
        let now = self.now.load(Ordering::Relaxed);
        let outcome = (self.trouble)(now, received.receive_count);
        let failures = self.failures.next(&received.group, &outcome, received.receive_count);
        let facts = Facts {
            group: &received.group,
            age: Timestamp(now).since(received.sent_at),
            max_age: Duration::from_millis(13 * DAY),
            receive_count: received.receive_count,
            limits: self.limits,
            failures,
            on_dead_letter: self.on_dead_letter,
            backoff: Backoff::default(),
        };
        let reason = match decide(&outcome, facts) {
            Decision::Retry(after) => {
                let head = Head { sent_at: received.sent_at, next_try: Timestamp(now) + after };
                self.failures.set(&received.group, &outcome, failures, head, Timestamp(now));
                return Settlement::Retry(after);
            }
            Decision::Ack => None,
            Decision::DeadLetter(death) => Some(death.code),
        };
        self.failures.clear(&received.group);
        self.ended.lock().push((received.id.to_string(), reason));
        if reason.is_none() { Settlement::Ack } else { Settlement::Buried }
    }

    fn behind(&self, head: Duration, received: &Received) -> Duration {
        let age = Timestamp(self.now.load(Ordering::Relaxed)).since(received.sent_at);
        next_try::behind(head, self.limits, age, received.receive_count)
    }
}

/// Sends to three groups for two weeks: twice at once, then every twelve hours. Receives from `begins` on. Returns how
/// each message ended, once all have.
fn two_weeks(
    trouble: Trouble,
    on_dead_letter: OnDeadLetter,
    limits: QueueLimits,
    begins: u64,
) -> Vec<(String, Option<&'static str>)> {
    let now = AtomicU64::new(0);
    let failures = Failures::default();
    let ended = Mutex::default();
    let spine = Spine { trouble, on_dead_letter, limits, now, failures, ended };
    let mut queue = Model { limits, groups: (0..3).map(|_| Vec::new()).collect(), receives: 0, taken: Vec::new() };
    let mut now = 0;
    let mut sent = 0;
    let sends: Vec<u64> = (0..28).map(|number: u64| number.saturating_sub(1) * 12 * HOUR).collect();
    loop {
        while sends.get(sent).is_some_and(|at| *at <= now) {
            (0..3).for_each(|group| queue.send(group, sent, sends[sent]));
            sent += 1;
        }
        let batch = if now >= begins { queue.receive(now) } else { Vec::new() };
        if batch.is_empty() {
            let visible = queue.next().map(|at| at.max(begins));
            let coming = [visible, sends.get(sent).copied()].into_iter().flatten().min();
            let Some(coming) = coming else { break };
            now = coming.max(now + 1);
            assert!(now < 30 * DAY, "it never ends");
        }
        spine.now.store(now, Ordering::Relaxed);
        for group in by_group(batch) {
            let mut run = GroupRun::new(&spine, Lease::of(MAX_VISIBILITY), Place::alone());
            for received in &group {
                let settlement = run.next(received).now_or_never().expect("nothing is awaited");
                queue.settle(received, settlement, now);
            }
        }
    }
    assert_eq!(queue.taken, Vec::<String>::new(), "the queue itself deleted or dead-lettered messages");
    let ended = spine.ended.into_inner();
    for group in 0..3 {
        let of_group = ended.iter().filter_map(|(id, _)| id.strip_prefix(&format!("{group}-")));
        let numbers: Vec<usize> = of_group.map(|number| number.parse().expect("a number")).collect();
        assert_eq!(numbers, (0..sends.len()).collect::<Vec<_>>(), "group {group} is complete and in order");
    }
    ended
}

fn sqs(max_receives: u32) -> QueueLimits {
    QueueLimits { max_receives: Some(max_receives), ..QueueLimits::LOCAL }
}

fn held(gate: Gate, after: Option<u64>) -> Outcome {
    let after = after.map(Duration::from_secs);
    Outcome::Held(Closed { target: "sss".to_owned(), gate, why: "on purpose".to_owned(), after })
}

fn away(retry_after: Option<u64>) -> Outcome {
    let retry_after = retry_after.map(Duration::from_secs);
    let backoff = Backoff::default();
    Outcome::Unavailable { attempts: Vec::new(), retry_after, backoff }
}

fn later() -> Outcome {
    let reason = Reason { code: "later".to_owned(), message: String::new() };
    Outcome::Deferred { reason, after: Some(Duration::from_secs(1)) }
}

/// This outcome for the first days, then a delivery.
fn until(days: u64, now: u64, trouble: Outcome) -> Outcome {
    if now < days * DAY { trouble } else { Outcome::Delivered(Vec::new()) }
}

const TWO_WEEKS: [(&str, Trouble, &str); 8] = [
    ("hold", |now, _| until(14, now, held(Gate::Hold, None)), WAITED_TOO_LONG),
    ("unknown", |now, _| until(14, now, held(Gate::Unknown, None)), WAITED_TOO_LONG),
    ("breaker", |now, look| until(14, now, held(Gate::Breaker, Some(u64::from(look) * 7919 % 30))), WAITED_TOO_LONG),
    ("drain", |now, _| until(14, now, held(Gate::Drain, Some(5))), WAITED_TOO_LONG),
    ("outage", |now, _| until(14, now, away(None)), "expired"),
    ("retry-after", |now, _| until(14, now, away(Some(1))), "expired"),
    ("plugin", |now, _| until(14, now, later()), "expired"),
    ("panics", |now, _| until(14, now, Outcome::Broken("on purpose".to_owned())), "expired"),
];

#[test]
fn no_message_is_lost_or_reordered_over_two_weeks_of_any_trouble() {
    for (name, trouble, reason) in TWO_WEEKS {
        for (max_receives, begins) in [(64, 0), (500, 12 * DAY), (1000, 0)] {
            let ended = two_weeks(trouble, OnDeadLetter::Continue, sqs(max_receives), begins);
            let dead: Vec<_> = ended.iter().filter_map(|(_, reason)| *reason).collect();
            // The messages of the first day reached the age limit of 13 days before the trouble ended.
            assert_eq!(dead, [reason; 9], "{name} with {max_receives}");
        }
    }
}

#[test]
fn a_message_that_blocks_its_group_for_two_weeks_is_not_dead_lettered_by_the_queue() {
    let refused: Trouble = |now, _| until(14, now, Outcome::Refused(Vec::new()));
    let ended = two_weeks(refused, OnDeadLetter::Block, sqs(1000), 0);
    let dead: Vec<_> = ended.iter().filter_map(|(_, reason)| *reason).collect();
    assert_eq!(dead, ["refused"; 9]);
}

#[test]
fn a_hold_of_twelve_days_dead_letters_nothing() {
    for max_receives in [64, 1000] {
        let ended =
            two_weeks(|now, _| until(12, now, held(Gate::Hold, None)), OnDeadLetter::Continue, sqs(max_receives), 0);
        assert!(ended.iter().all(|(_, reason)| reason.is_none()), "{ended:?}");
    }
}

#[test]
fn with_too_few_receives_the_host_dead_letters_before_the_queue_does() {
    for max_receives in [1, 3, 5, 20] {
        let hold: Trouble = |now, _| until(14, now, held(Gate::Hold, None));
        let ended = two_weeks(hold, OnDeadLetter::Continue, sqs(max_receives), 0);
        let dead: Vec<_> = ended.iter().filter_map(|(_, reason)| *reason).collect();
        assert!(dead.contains(&OUT_OF_RECEIVES) && !dead.contains(&"expired"), "{max_receives}: {dead:?}");
    }
}

#[test]
fn a_message_with_fewer_receives_left_waits_longer_than_its_head() {
    struct Always;
    impl Line for Always {
        fn targets(&self) -> usize {
            1
        }
        async fn take(&self, _: &Received, turn: &mut Turn) -> Settlement {
            Settlement::Retry(if turn.is_fresh { Duration::from_secs(60) } else { Duration::ZERO })
        }
        fn behind(&self, head: Duration, received: &Received) -> Duration {
            head.max(Duration::from_secs(u64::from(received.receive_count)))
        }
    }
    let mut queue = Model { limits: sqs(1000), groups: vec![Vec::new()], receives: 0, taken: Vec::new() };
    (0..3).for_each(|number| queue.send(0, number, 0));
    let mut batch = queue.receive(0);
    batch[1].receive_count = 900;
    let mut run = GroupRun::new(&Always, Lease::of(MAX_VISIBILITY), Place::alone());
    let waits = batch.iter().map(|received| run.next(received).now_or_never().expect("nothing is awaited"));
    let waits: Vec<_> = waits.map(|settlement| format!("{settlement:?}")).collect();
    assert_eq!(waits, ["Retry(60s)", "Retry(900s)", "Retry(60s)"]);
}
