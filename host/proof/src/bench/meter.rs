//! The target of a benchmark: verifies every event and measures its arrival.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::scenario::Scenario;

/// No event so far.
const NONE: u32 = u32::MAX;

/// A target. It runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) address: SocketAddr,
    books: Arc<Deliveries>,
    _server: JoinSet<()>,
}

/// The record of the target.
#[derive(Debug)]
pub(crate) struct Deliveries {
    scenario: Scenario,
    began: Instant,
    /// How often each event arrived.
    times: Vec<AtomicU32>,
    /// Whether it failed once.
    failed: Vec<AtomicBool>,
    /// The last event of each group that arrived for the first time.
    last: Vec<AtomicU32>,
    taken: AtomicU64,
    /// The number of events that a waiter waits for, so that it is woken once and not at every event.
    awaited: AtomicU64,
    disordered: AtomicU64,
    foreign: AtomicU64,
    /// When the first and the last event arrived, and each latency from sending, in microseconds.
    clock: Mutex<(Option<Instant>, Option<Instant>)>,
    latencies: Mutex<Vec<u32>>,
    enough: Notify,
}

/// The counts of a run.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) disordered: u64,
    pub(crate) foreign: u64,
    /// From the first to the last event.
    pub(crate) length: Duration,
    /// Sorted, in microseconds.
    pub(crate) latencies: Vec<u32>,
}

impl Meter {
    /// Starts on a free port for the events of this scenario.
    pub(crate) async fn start(scenario: Scenario) -> anyhow::Result<Meter> {
        let messages = (scenario.messages + scenario.backlog) as usize;
        let groups = scenario.groups as usize;
        let books = Arc::new(Deliveries {
            scenario,
            began: Instant::now(),
            times: (0..messages).map(|_| AtomicU32::new(0)).collect(),
            failed: (0..messages).map(|_| AtomicBool::new(false)).collect(),
            last: (0..groups).map(|_| AtomicU32::new(NONE)).collect(),
            taken: AtomicU64::new(0),
            awaited: AtomicU64::new(u64::MAX),
            disordered: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            clock: Mutex::default(),
            latencies: Mutex::default(),
            enough: Notify::new(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("starting the target")?;
        let address = listener.local_addr().context("starting the target")?;
        let router = Router::new().fallback(take).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&books));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Meter { address, books, _server: server })
    }

    /// The number of groups.
    pub(crate) fn groups(&self) -> u32 {
        self.books.scenario.groups
    }

    /// The size of a body.
    pub(crate) fn bytes(&self) -> u32 {
        self.books.scenario.bytes
    }

    /// The body of an event that is sent now.
    pub(crate) fn body(&self, event: u32) -> String {
        self.books.scenario.body(event, u64::try_from(self.books.began.elapsed().as_micros()).unwrap_or_default())
    }

    /// Waits until `taken` events arrived, at most for `patience`; returns how many did. Only one task may wait at a time.
    pub(crate) async fn until(&self, taken: u64, patience: Duration) -> u64 {
        let enough = self.books.enough.notified();
        self.books.awaited.store(taken, Ordering::SeqCst);
        if self.books.taken.load(Ordering::SeqCst) < taken {
            let _ = tokio::time::timeout(patience, enough).await;
        }
        self.books.taken.load(Ordering::SeqCst)
    }

    /// The counts of the first `sent` events.
    pub(crate) fn counts(&self, sent: u32) -> Counts {
        let books = &self.books;
        let times = || books.times.iter().take(sent as usize).map(|times| times.load(Ordering::Relaxed));
        let (first, last) = *books.clock.lock();
        let mut latencies = books.latencies.lock().clone();
        latencies.sort_unstable();
        Counts {
            lost: times().filter(|times| *times == 0).count() as u64,
            duplicated: times().filter(|times| *times > 1).count() as u64,
            disordered: books.disordered.load(Ordering::Relaxed),
            foreign: books.foreign.load(Ordering::Relaxed),
            length: first.zip(last).map(|(first, last)| last - first).unwrap_or_default(),
            latencies,
        }
    }
}

impl Deliveries {
    /// Whether an event must fail at its first arrival.
    fn fails(&self, event: u32) -> bool {
        let spread = event.wrapping_mul(0x9e37_79b9) >> 16;
        spread % 100 < self.scenario.failing_percent
    }

    /// Whether it failed before; marks it as failed.
    fn failed(&self, event: u32) -> bool {
        self.failed.get(event as usize).is_none_or(|failed| failed.swap(true, Ordering::Relaxed))
    }

    fn taken(&self, event: u32, sent_at: u64, now: Instant) {
        let group = self.scenario.group(event);
        let Some((times, last)) = self.times.get(event as usize).zip(self.last.get(group as usize)) else {
            self.foreign.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if times.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        let before = last.swap(event, Ordering::Relaxed);
        if before != NONE && before > event {
            self.disordered.fetch_add(1, Ordering::Relaxed);
        }
        {
            let mut clock = self.clock.lock();
            clock.0.get_or_insert(now);
            clock.1 = Some(now);
        }
        let took = u64::try_from((now - self.began).as_micros()).unwrap_or(u64::MAX).saturating_sub(sent_at);
        let took = u32::try_from(took).unwrap_or(u32::MAX);
        self.latencies.lock().push(took);
        let taken = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        if taken >= self.awaited.load(Ordering::SeqCst) {
            self.enough.notify_waiters();
        }
    }
}

async fn take(State(books): State<Arc<Deliveries>>, body: Bytes) -> StatusCode {
    let now = Instant::now();
    let Some((event, sent_at)) = Scenario::read(&body).filter(|_| body.len() == books.scenario.bytes as usize) else {
        books.foreign.fetch_add(1, Ordering::Relaxed);
        return StatusCode::OK;
    };
    if !books.scenario.latency.is_zero() {
        tokio::time::sleep(books.scenario.latency).await;
    }
    if books.fails(event) && !books.failed(event) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    books.taken(event, sent_at, now);
    StatusCode::OK
}
