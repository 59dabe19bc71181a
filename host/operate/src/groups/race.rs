//! What operators do to groups while a host works, crashes and comes back: nothing is lost, and nothing is overtaken.
//!
//! Every operation on the store is one transaction, so all that can happen between a host and an operator is some order of their operations. Each run takes
//! one such order at random: a step of the host, an action of an operator, a crash, or time that passes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use towpath_config::{Config, Secrets};
use towpath_local::{DedupScope, KEPT_FOR_EVER, LocalQueue, QueueSettings, Store};
use towpath_types::clock::Clock;
use towpath_types::dead_letter::{DeadLetter, Death, Seen};
use towpath_types::outcome::Outcome;
use towpath_types::queue::{GroupId, Handle, NewMessage, Queue as _, Receive, Received};

use super::*;
use crate::letters;
use crate::queues::{DEAD_LETTERS, EVENTS, REFUSED};

const CONFIG: &str = "
[[route]]
path = 'goes'
group = 'goes/{json:/id}'
plugin = 'p'
[[route]]
path = 'parks'
group = 'parks/{json:/id}'
plugin = 'p'
on_dead_letter = 'park'
[plugin.p]
path = 'p'
";

const GROUPS: [&str; 4] = ["goes/1", "goes/2", "parks/1", "parks/2"];

/// Numbers that differ from seed to seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What a host is about to do with its first message.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Check,
    Deliver,
    Bury(&'static str),
    Delete,
}

/// A host with what it received.
struct Work {
    messages: VecDeque<Received>,
    next: Next,
    blocked: BTreeSet<GroupId>,
    released: Vec<Handle>,
}

struct World {
    found: Found,
    events: LocalQueue,
    dead: LocalQueue,
    ahead: &'static AtomicU64,
    random: Random,
    work: Option<Work>,
    sent: BTreeMap<&'static str, u64>,
    /// The numbers that were delivered of each group, each when it was first.
    delivered: BTreeMap<String, Vec<u64>>,
    /// Those that were ever a dead letter.
    died: BTreeSet<String>,
}

impl World {
    async fn new(folder: &TempDir, seed: u64, ahead: &'static AtomicU64) -> World {
        let store = Store::open(folder.path(), Clock::wall().shifted(ahead)).expect("store");
        let dedup_scope = DedupScope::MessageGroup;
        let settings = QueueSettings { retention: KEPT_FOR_EVER, dedup_scope, ..QueueSettings::default() };
        let dead = store.queue(DEAD_LETTERS, settings.clone()).await.expect("queue");
        let refused = store.queue(REFUSED, settings.clone()).await.expect("queue");
        let events = store.queue(EVENTS, settings).await.expect("queue");
        let queues = Queues { events: events.clone(), dead_letters: dead.clone(), refused };
        let config = Config::parse(CONFIG, Path::new("towpath.toml"), &Secrets::placeholders()).expect("config");
        let found = Found::new(Backend::Local(Box::new(queues)), Some(config));
        let random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let (sent, delivered, died) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        World { found, events, dead, ahead, random, work: None, sent, delivered, died }
    }

    async fn send(&mut self) {
        let group = GROUPS[self.random.below(4) as usize];
        let number = self.sent.entry(group).or_default();
        *number += 1;
        let body = format!("{group}={number}");
        let dedup_id = Some(body.as_str().into());
        let message = NewMessage { group: group.into(), dedup_id, body: body.into(), attributes: Default::default() };
        self.events.send(message).await.expect("send");
    }

    /// One operation of the host. `is_well` makes everything succeed.
    async fn host(&mut self, is_well: bool) {
        let Some(mut work) = self.work.take() else {
            let messages: VecDeque<Received> =
                self.events.receive(Receive { max: 4, ..Receive::default() }).await.expect("receive").into();
            if !messages.is_empty() {
                let (blocked, released) = (BTreeSet::new(), Vec::new());
                self.work = Some(Work { messages, next: Next::Check, blocked, released });
            }
            return;
        };
        let Some(message) = work.messages.front().cloned() else {
            let wait = Duration::from_secs(self.random.below(60));
            let released: Vec<_> = work.released.into_iter().rev().map(|handle| (handle, wait)).collect();
            for result in self.events.release(&released).await {
                result.expect("nobody else touches what a host has");
            }
            return;
        };
        let parks = message.group.as_str().starts_with("parks");
        work.next = match work.next {
            Next::Check if work.blocked.contains(&message.group) => {
                work.released.push(message.handle);
                work.messages.pop_front();
                Next::Check
            }
            Next::Check if parks && self.dead.has_group(&message.group).await.expect("read") == Some(true) => {
                Next::Bury("parked")
            }
            Next::Check => Next::Deliver,
            Next::Deliver => match if is_well { 0 } else { self.random.below(8) } {
                5 | 6 => {
                    work.blocked.insert(message.group);
                    work.released.push(message.handle);
                    work.messages.pop_front();
                    Next::Check
                }
                7 => Next::Bury("refused"),
                _ => {
                    self.note_delivery(&message);
                    Next::Delete
                }
            },
            Next::Bury(reason) => {
                self.died.insert(message.body.text().into_owned());
                let death = Death { code: reason, detail: "by a test".to_owned() };
                let seen = Seen { route: Some("r"), parks, verified: true, ..Seen::default() };
                let letter = DeadLetter::new(&message, &Outcome::Blocked, death, seen, EVENTS, message.sent_at);
                let letter = letter.pack(&message, usize::MAX, |_| true, |_, _| None).expect("it fits");
                self.dead.send(letter).await.expect("send");
                Next::Delete
            }
            Next::Delete => {
                self.events.delete(&[message.handle]).await.remove(0).expect("nobody else touches what a host has");
                work.messages.pop_front();
                Next::Check
            }
        };
        self.work = Some(work);
    }

    fn note_delivery(&mut self, message: &Received) {
        let body = message.body.text().into_owned();
        let number: u64 = body.split_once('=').expect("a number").1.parse().expect("a number");
        let all = self.delivered.entry(message.group.to_string()).or_default();
        if !all.contains(&number) {
            all.push(number);
        }
    }

    async fn operator(&mut self) {
        let group = GroupId::from(GROUPS[self.random.below(4) as usize]);
        let before = self.events.browse(None, 1_000).await.expect("browse");
        let action = self.random.below(4);
        let done = match action {
            0 => retry(&self.found, &group, None, "why").await,
            1 => dead_letter(&self.found, &group, None, "why").await,
            2 => park(&self.found, &group, None, "why").await,
            _ => return self.redrive().await,
        };
        match done {
            Ok(_) if action > 0 => {
                let left: BTreeSet<_> =
                    self.events.browse(None, 1_000).await.expect("browse").into_iter().map(|m| m.id).collect();
                let moved = before.into_iter().filter(|message| !left.contains(&message.id));
                self.died.extend(moved.map(|message| message.body.text().into_owned()));
            }
            Ok(_) => {}
            Err(error) => assert!(error.downcast_ref::<GroupError>().is_some(), "{error:#}"),
        }
    }

    async fn redrive(&mut self) {
        // What is in flight is waited for; the host of this test does not work meanwhile.
        if self.work.is_some() {
            return;
        }
        self.pass(Duration::from_secs(120));
        let mut letters = letters::open(&self.found.backend, None, false).await.expect("letters");
        let mut all = Vec::new();
        loop {
            let page = letters.next().await.expect("read");
            if page.is_empty() {
                break;
            }
            all.extend(page);
        }
        let moved = letters.send_back(all).await.expect("sent back");
        assert!(moved.failed.is_empty(), "{:?}", moved.failed);
    }

    /// Time passes: what was received becomes visible again, so a host that still had it ends its work there.
    fn pass(&mut self, time: Duration) {
        self.work = None;
        self.ahead.fetch_add(u64::try_from(time.as_millis()).expect("short"), Ordering::Relaxed);
    }

    async fn step(&mut self) {
        match self.random.below(40) {
            0..5 => self.send().await,
            5..10 => self.operator().await,
            10 => self.work = None,
            11 => {
                let time = Duration::from_secs(self.random.below(90));
                self.pass(time);
            }
            _ => self.host(false).await,
        }
    }

    async fn drain(&mut self) {
        for _ in 0..5_000 {
            if self.work.is_none() {
                if self.dead.depth().await.expect("depth").messages > 0 {
                    self.redrive().await;
                } else if self.events.depth().await.expect("depth").messages == 0 {
                    return;
                }
                self.host(true).await;
                if self.work.is_none() {
                    self.pass(Duration::from_secs(120));
                }
            } else {
                self.host(true).await;
            }
        }
        panic!("it does not end");
    }
}

#[tokio::test]
async fn nothing_is_lost_or_overtaken_whatever_operators_do_while_a_host_works_and_crashes() {
    for seed in 1..=12 {
        let folder = TempDir::new().expect("folder");
        let ahead: &'static AtomicU64 = Box::leak(Box::default());
        let mut world = World::new(&folder, seed, ahead).await;
        for _ in 0..400 {
            world.step().await;
        }
        world.work = None;
        world.pass(Duration::from_secs(120));
        world.drain().await;
        for (group, sent) in &world.sent {
            let delivered = world.delivered.get(*group).cloned().unwrap_or_default();
            let mut sorted = delivered.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (1..=*sent).collect::<Vec<_>>(), "seed {seed}: {group} lost some");
            // A dead letter on a route that does not park goes back to the end of its group.
            let kept = |number: &u64| group.starts_with("parks") || !world.died.contains(&format!("{group}={number}"));
            let in_order: Vec<u64> = delivered.into_iter().filter(kept).collect();
            assert!(in_order.is_sorted(), "seed {seed}: {group} was overtaken: {in_order:?}");
        }
    }
}
