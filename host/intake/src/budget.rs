//! Bounds what is kept of webhooks that were turned away, because strangers fill that store: one bound for all, with a
//! share for each route and for each sender, so that nobody uses up what others need.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use towpath_types::queue::{Held, Holdings};

/// The most bytes (as SQS counts them) and the most webhooks that are kept. They are kept for a day.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
const MOST_MESSAGES: u64 = 10_000;

/// The minimum charge per webhook, so that shares of bytes are also shares of webhooks.
const LEAST_BYTES: u64 = MOST_BYTES / MOST_MESSAGES;

/// A sender may use this fraction of its route's share. Senders behind one proxy count as one.
const SENDERS: u64 = 4;

/// How long the queue's own figures are cached; what this process keeps meanwhile is added.
const REFRESH: Duration = Duration::from_secs(10);

/// The most senders, and the most failures, that are remembered.
const MOST_REMEMBERED: usize = 4096;

/// After a day what a sender kept is gone from the queue.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The sender of a webhook: an IPv4 address, or an IPv6 network, because one customer has all its addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SenderAddress(IpAddr);

impl SenderAddress {
    pub(crate) fn address(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for SenderAddress {
    fn from(address: IpAddr) -> SenderAddress {
        match address.to_canonical() {
            IpAddr::V4(address) => SenderAddress(address.into()),
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                SenderAddress(Ipv6Addr::from(network).into())
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) route: &'a str,
    /// How many routes have a share.
    pub(crate) routes: usize,
    pub(crate) source: Option<SenderAddress>,
    /// Identifies the same failure of the same webhook.
    pub(crate) failure: &'a str,
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// It may be kept, and is charged.
    Keep,
    /// The same failure was kept already.
    Folded,
    Full,
}

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Budget(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The queue's last known figures, plus what was kept since.
    held: Holdings,
    read: Option<Instant>,
    /// What each sender kept of each route since it was first seen.
    sources: Recent<(String, Option<SenderAddress>), (Instant, u64)>,
    failures: Recent<String, Instant>,
}

impl Budget {
    /// Whether it is time to ask the queue for its figures.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        let mut state = self.0.lock();
        let is_stale = state.read.is_none_or(|read| now - read >= REFRESH);
        if is_stale {
            // Of all concurrent callers only the first one asks.
            state.read = Some(now);
        }
        is_stale
    }

    /// Adopts the queue's figures. For a queue that has none, this process's own count stays.
    pub(crate) fn refresh(&self, held: Option<Holdings>) {
        let mut state = self.0.lock();
        if let Some(Holdings { messages, routes }) = held {
            // A queue that reports messages but no bytes: keep the count by route.
            let routes = if routes.is_empty() && messages > 0 { state.held.routes.clone() } else { routes };
            state.held = Holdings { messages, routes };
        }
    }

    /// Whether this webhook may be kept; if so, charges it.
    pub(crate) fn take(&self, ask: Ask<'_>, now: Instant) -> Admission {
        let mut state = self.0.lock();
        let bytes = ask.bytes.max(LEAST_BYTES);
        if state.failures.get(&ask.failure.to_owned()).is_some_and(|since| now - *since < DAY) {
            return Admission::Folded;
        }
        let of_route = MOST_BYTES / ask.routes.max(1) as u64;
        let source = (ask.route.to_owned(), ask.source);
        let (since, by_source) = match state.sources.get(&source) {
            Some((since, bytes)) if now - *since < DAY => (*since, *bytes),
            _ => (now, 0),
        };
        let kept: u64 = state.held.routes.values().map(charge).sum();
        let by_route = state.held.routes.get(ask.route).map(charge).unwrap_or_default();
        let fits = kept + bytes <= MOST_BYTES
            && state.held.messages < MOST_MESSAGES
            && by_route + bytes <= of_route
            && by_source + bytes <= of_route / SENDERS;
        if !fits {
            return Admission::Full;
        }
        state.held.messages += 1;
        let held = state.held.routes.entry(ask.route.to_owned()).or_default();
        held.messages += 1;
        held.bytes += bytes;
        state.sources.put(source, (since, by_source + bytes));
        state.failures.put(ask.failure.to_owned(), now);
        Admission::Keep
    }

    /// Undoes [`Budget::take`] after storing failed: not charged, and may be tried again.
    pub(crate) fn give_back(&self, ask: Ask<'_>) {
        let mut state = self.0.lock();
        let bytes = ask.bytes.max(LEAST_BYTES);
        state.failures.remove(&ask.failure.to_owned());
        state.held.messages = state.held.messages.saturating_sub(1);
        if let Some(held) = state.held.routes.get_mut(ask.route) {
            *held = Held { messages: held.messages.saturating_sub(1), bytes: held.bytes.saturating_sub(bytes) };
        }
        let source = (ask.route.to_owned(), ask.source);
        if let Some((since, kept)) = state.sources.get(&source).copied() {
            state.sources.put(source, (since, kept.saturating_sub(bytes)));
        }
    }
}

/// The charge for what is held.
fn charge(held: &Held) -> u64 {
    held.bytes.max(held.messages * LEAST_BYTES)
}

/// The most recent values by key, up to a limit.
#[derive(Debug)]
struct Recent<K, V> {
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent { values: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    fn put(&mut self, key: K, value: V) {
        if self.values.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MOST_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        if self.values.remove(key).is_some() {
            self.order.retain(|kept| kept != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn ask<'a>(route: &'a str, source: &str, failure: &'a str, bytes: u64) -> Ask<'a> {
        let source = source.parse::<IpAddr>().expect("address").into();
        Ask { route, routes: 2, source: Some(source), failure, bytes }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_and_a_route_can_use_up_only_their_own_share() {
        let budget = Budget::default();
        let now = Instant::now();
        let fill = |route, source: &str| {
            let take = |n: &u64| {
                let failure = format!("{route} {source} {n}");
                budget.take(ask(route, source, &failure, MIB), now) == Admission::Keep
            };
            (0..100).take_while(take).count()
        };
        assert_eq!(fill("a", "203.0.113.1"), 8, "a quarter of half of 64 MiB");
        assert_eq!(fill("a", "2001:db8::1"), 8, "another sender");
        assert_eq!(fill("a", "2001:db8::2"), 0, "the same network is the same sender");
        assert_eq!(fill("a", "::ffff:203.0.113.1"), 0, "the first one, written in another way");
        assert_eq!(fill("a", "203.0.113.2") + fill("a", "203.0.113.3"), 16);
        assert_eq!(fill("a", "203.0.113.4"), 0, "the route's share is used up");
        assert_eq!(fill("b", "203.0.113.1"), 8, "the other route has its own");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_of_tiny_webhooks_can_use_up_only_its_own_share() {
        let budget = Budget::default();
        let now = Instant::now();
        let fill = |source: &str| {
            let take = |n: &u64| budget.take(ask("a", source, &format!("{source} {n}"), 100), now) == Admission::Keep;
            (0..20_000).take_while(take).count()
        };
        assert_eq!(fill("203.0.113.1"), 1250, "a quarter of half of 10,000");
        assert_eq!(fill("203.0.113.2"), 1250);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_failure_is_kept_once_a_day_and_retried_if_storing_fails() {
        let budget = Budget::default();
        let take = |failure| budget.take(ask("a", "203.0.113.1", failure, 10), Instant::now());
        assert_eq!((take("one"), take("one"), take("two")), (Admission::Keep, Admission::Folded, Admission::Keep));
        budget.give_back(ask("a", "203.0.113.1", "one", 10));
        assert_eq!(budget.0.lock().held.messages, 1);
        assert_eq!(take("one"), Admission::Keep);
        tokio::time::advance(DAY).await;
        assert_eq!(take("two"), Admission::Keep);
    }

    #[tokio::test(start_paused = true)]
    async fn usage_is_the_queues_figure_plus_what_was_kept_since() {
        let budget = Budget::default();
        let start = Instant::now();
        assert!(budget.is_stale(start));
        let of_a = |mib: u64| [("a".to_owned(), Held { messages: 1, bytes: mib * MIB })].into();
        let held = |mib: u64| Holdings { messages: 1, routes: of_a(mib) };
        budget.refresh(Some(held(31)));
        assert!(!budget.is_stale(start), "one asks for all");
        let take = |failure, mib| budget.take(ask("a", "203.0.113.1", failure, mib * MIB), start);
        assert_eq!(
            (take("one", 2), take("one", 1), take("two", 1)),
            (Admission::Full, Admission::Keep, Admission::Full)
        );
        assert!(budget.is_stale(start + REFRESH));
        budget.refresh(Some(held(0)));
        assert_eq!(take("two", 1), Admission::Keep, "it was removed, or sent on");
        budget.refresh(Some(Holdings { messages: MOST_MESSAGES, routes: Default::default() }));
        assert_eq!(take("three", 0), Admission::Full);
    }

    #[tokio::test(start_paused = true)]
    async fn all_routes_together_have_one_bound_even_those_that_left_the_config() {
        let budget = Budget::default();
        let of = |mib: u64| Held { messages: 1, bytes: mib * MIB };
        let routes = [("gone".to_owned(), of(61)), ("a".to_owned(), of(1))].into();
        budget.refresh(Some(Holdings { messages: 2, routes }));
        let take = |failure, mib| budget.take(ask("a", "203.0.113.1", failure, mib * MIB), Instant::now());
        assert_eq!(
            (take("one", 3), take("one", 2), take("two", 1)),
            (Admission::Full, Admission::Keep, Admission::Full)
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = Recent::default();
        (0..MOST_REMEMBERED + 10).for_each(|n| recent.put(n, n));
        assert_eq!((recent.values.len(), recent.order.len()), (MOST_REMEMBERED, MOST_REMEMBERED));
        assert_eq!((recent.get(&9), recent.get(&10)), (None, Some(&10)));
    }
}
