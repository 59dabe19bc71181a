//! Simulates a FIFO queue and its functions, by the rules that the arithmetic of [`super`] assumes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};

use super::{Limits, Load};

/// The result of a simulation.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// Messages delivered in each second.
    pub delivered: Vec<u32>,
    /// The most messages in flight.
    pub in_flight: u32,
    /// The most concurrent invocations.
    pub functions: u32,
    /// Messages that the queue moved to its dead-letter queue, after too many receives.
    pub moved: u32,
    /// When it moved the first one, in seconds.
    pub first_moved_s: Option<f64>,
    /// The most receives of one message.
    pub receives: u32,
}

/// A message arrives, an invocation ends, or the wait of a held group ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    Arrival,
    Ended(Vec<(u32, u32)>),
    Again(u32, u32),
}

/// A message: its place in the queue, when it arrived, and its receive count.
#[derive(Clone, Copy)]
struct Message {
    number: u32,
    sent: u64,
    receives: u32,
}

struct Queue {
    /// The messages of each group, in order.
    groups: Vec<VecDeque<Message>>,
    /// Free groups, by their heads.
    free: BTreeSet<(u32, u32)>,
    /// How many messages wait, by place: a Fenwick tree.
    waiting: Vec<u32>,
    /// The most receives of a message.
    most: u32,
    moved: u32,
    receives: u32,
}

/// Simulates this many seconds, by a seed.
pub fn simulate(limits: &Limits, load: &Load, seconds: u32, seed: u64) -> Outcome {
    let mut random = fastrand::Rng::with_seed(seed);
    let most = (load.per_second * f64::from(seconds) * 1.1) as usize + 1000;
    let mut queue = Queue {
        groups: vec![VecDeque::new(); load.groups as usize],
        free: BTreeSet::new(),
        waiting: vec![0; most + 1],
        most: limits.receives,
        moved: 0,
        receives: 0,
    };
    let mut outcome = Outcome { delivered: vec![0; seconds as usize + 1], ..Outcome::default() };
    let mut events = BinaryHeap::from([Reverse((0_u64, Event::Arrival))]);
    let mut next = 1_u32;
    let mut busy = 0_u32;
    let mut flying = 0_u32;
    let held = |group: u32| f64::from(group) < f64::from(load.groups) * load.held;
    let micros = |seconds: f64| (seconds * 1e6) as u64;
    let end = u64::from(seconds) * 1_000_000;
    while let Some(Reverse((now, event))) = events.pop() {
        if now > end {
            break;
        }
        match event {
            Event::Arrival => {
                if (next as usize) < most {
                    queue.send(random.u32(..load.groups), next, now);
                    next += 1;
                }
                // Poisson: the waits between arrivals are exponential.
                let wait = -(1.0 - random.f64()).ln() / load.per_second;
                events.push(Reverse((now + micros(wait), Event::Arrival)));
            }
            Event::Ended(batch) => {
                busy -= 1;
                for (group, count) in batch {
                    if held(group) {
                        // Released until later: the batch stays in flight, and nothing of its group is received.
                        let wait = queue.wait(group, now, load.hold_wait_s);
                        events.push(Reverse((now + micros(wait), Event::Again(group, count))));
                        continue;
                    }
                    flying -= count;
                    queue.delete(group, count);
                    if let Some(second) = outcome.delivered.get_mut((now / 1_000_000) as usize) {
                        *second += count;
                    }
                }
            }
            Event::Again(group, count) => {
                flying -= count;
                queue.release(group);
            }
        }
        while busy < limits.functions {
            let batch = queue.receive(limits, limits.in_flight - flying);
            if batch.is_empty() {
                break;
            }
            busy += 1;
            flying += batch.iter().map(|(_, count)| count).sum::<u32>();
            // Groups in parallel, messages of a group one after another; held ones cost no request.
            let longest = batch.iter().filter(|(group, _)| !held(*group)).map(|(_, count)| *count).max().unwrap_or(0);
            let took = load.overhead_s + f64::from(longest) * load.target_s;
            events.push(Reverse((now + micros(took), Event::Ended(batch))));
        }
        outcome.in_flight = outcome.in_flight.max(flying);
        outcome.functions = outcome.functions.max(busy);
        if queue.moved > 0 {
            outcome.first_moved_s.get_or_insert(now as f64 / 1e6);
        }
    }
    (outcome.moved, outcome.receives) = (queue.moved, queue.receives);
    outcome.delivered.truncate(seconds as usize);
    outcome
}

impl Queue {
    fn send(&mut self, group: u32, message: u32, now: u64) {
        self.count(message, 1);
        let Some(messages) = self.groups.get_mut(group as usize) else { return };
        messages.push_back(Message { number: message, sent: now, receives: 0 });
        // A group that has messages already is free or locked, and stays so.
        if messages.len() == 1 {
            self.free.insert((message, group));
        }
    }

    /// Receives up to a batch: the longest prefixes of free groups, in the order of their heads. Only heads within the window are
    /// found.
    fn receive(&mut self, limits: &Limits, room: u32) -> Vec<(u32, u32)> {
        let mut batch = Vec::new();
        let mut left = limits.batch.min(room);
        while left > 0 {
            let Some((head, group)) = self.free.first().copied() else { break };
            if self.before(head) >= limits.window {
                break;
            }
            self.free.remove(&(head, group));
            let count = self.take(group, left);
            if count == 0 {
                continue;
            }
            batch.push((group, count));
            left -= count;
        }
        batch
    }

    /// Receives up to `most` messages of a group. Those that were received too often are moved, and the next ones received.
    fn take(&mut self, group: u32, most: u32) -> u32 {
        let mut taken = 0;
        while taken < most {
            let Some(messages) = self.groups.get_mut(group as usize) else { break };
            let Some(message) = messages.get_mut(taken as usize) else { break };
            if message.receives >= self.most {
                let moved = messages.remove(taken as usize).map_or(0, |message| message.number);
                self.count(moved, -1);
                self.moved += 1;
                continue;
            }
            message.receives += 1;
            self.receives = self.receives.max(message.receives);
            taken += 1;
        }
        taken
    }

    /// How long a held group waits: as long as its head.
    fn wait(&self, group: u32, now: u64, wait_s: fn(f64, u32) -> f64) -> f64 {
        let head = self.groups.get(group as usize).and_then(VecDeque::front);
        head.map_or(0.0, |head| wait_s(now.saturating_sub(head.sent) as f64 / 1e6, head.receives))
    }

    fn delete(&mut self, group: u32, count: u32) {
        for _ in 0..count {
            let message = self.groups.get_mut(group as usize).and_then(VecDeque::pop_front);
            if let Some(message) = message {
                self.count(message.number, -1);
            }
        }
        self.release(group);
    }

    fn release(&mut self, group: u32) {
        if let Some(head) = self.groups.get(group as usize).and_then(|messages| messages.front()) {
            self.free.insert((head.number, group));
        }
    }

    fn count(&mut self, message: u32, by: i32) {
        let mut at = message as usize;
        while let Some(sum) = self.waiting.get_mut(at) {
            *sum = sum.wrapping_add_signed(by);
            at += at & at.wrapping_neg();
        }
    }

    /// How many messages wait before this one.
    fn before(&self, message: u32) -> u32 {
        let mut at = message as usize - 1;
        let mut sum = 0;
        while at > 0 {
            sum += self.waiting.get(at).copied().unwrap_or_default();
            at &= at - 1;
        }
        sum
    }
}
