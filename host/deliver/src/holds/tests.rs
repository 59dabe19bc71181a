use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use towpath_types::holds::{BreakerReport, Change, HoldsError};

use super::*;

fn hold(since: u64, until: Option<u64>) -> Hold {
    Hold { since: Timestamp(since), until: until.map(Timestamp), reason: "release".into(), by: "ops".into() }
}

const MEMORY: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// A store of holds that takes a second to read, if it can be read.
#[derive(Default)]
struct SlowHolds {
    state: Mutex<HoldState>,
    broken: AtomicBool,
    reads: AtomicU64,
}

impl SlowHolds {
    fn put(&self, target: &str) {
        Change::Hold(target.to_owned(), hold(1, None)).apply(&mut self.state.lock());
    }

    fn error(&self) -> HoldsError {
        HoldsError { place: "nowhere".to_owned(), problem: "forbidden".to_owned() }
    }
}

#[async_trait]
impl Holds for SlowHolds {
    async fn read(&self) -> Result<HoldState, HoldsError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        if self.broken.load(Ordering::Relaxed) { Err(self.error()) } else { Ok(self.state.lock().clone()) }
    }

    async fn change(&self, _: Change) -> Result<HoldState, HoldsError> {
        Err(self.error())
    }

    async fn report(&self, _: BreakerReport) -> Result<(), HoldsError> {
        Err(self.error())
    }

    async fn reports(&self, _: &[String]) -> Result<Vec<BreakerReport>, HoldsError> {
        Err(self.error())
    }
}

/// Watched holds, their store, and the milliseconds by which only the wall clock advances.
fn watched() -> (Watched, Arc<SlowHolds>, &'static AtomicU64) {
    let place = Arc::<SlowHolds>::default();
    let ahead: &'static AtomicU64 = Box::leak(Box::default());
    let clock = towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000)).shifted(ahead);
    (Watched::new(place.clone(), MEMORY, clock), place, ahead)
}

/// Whether the view allows a call to the target.
fn may_call(view: &View) -> bool {
    view.hold("sss", Timestamp(1_700_000_000_000)).is_none() && view.is_current()
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_frozen_does_not_use_the_state_from_before() {
    let (watched, place, ahead) = watched();
    assert!(may_call(&watched.state().await));
    place.put("sss");
    assert!(may_call(&watched.state().await), "the state is cached for ten seconds");
    // Frozen for a minute: the monotonic clock stood still. While one message reads, the others must wait.
    ahead.store(60_000, Ordering::Relaxed);
    let views = futures_util::future::join_all((0..3).map(|_| watched.state())).await;
    assert!(!views.iter().any(may_call), "{views:?}");
    assert_eq!(place.reads.load(Ordering::Relaxed), 2, "one reads for all");
}

#[tokio::test(start_paused = true)]
async fn while_one_reads_the_others_use_the_state_read_a_moment_ago() {
    let (watched, place, _) = watched();
    assert!(may_call(&watched.state().await));
    tokio::time::advance(MEMORY).await;
    place.put("sss");
    let began = tokio::time::Instant::now();
    let (reader, other) = tokio::join!(watched.state(), async {
        let view = watched.state().await;
        (view, began.elapsed())
    });
    assert!(!may_call(&reader));
    assert!(may_call(&other.0) && other.1 < Duration::from_secs(1), "it did not wait: {:?}", other.1);
}

#[tokio::test(start_paused = true)]
async fn holds_that_cannot_be_read_are_used_for_a_minute_and_then_no_target_is_called() {
    let (watched, place, ahead) = watched();
    place.put("held");
    assert!(may_call(&watched.state().await));
    place.broken.store(true, Ordering::Relaxed);
    tokio::time::advance(MINUTE / 2).await;
    let view = watched.state().await;
    assert!(may_call(&view) && view.hold("held", Timestamp(2)).is_some());
    tokio::time::advance(MINUTE / 2).await;
    let view = watched.state().await;
    assert!(!may_call(&view), "it may be on hold by now");
    assert!(view.hold("held", Timestamp(2)).is_some(), "what was on hold stays on hold");
    place.broken.store(false, Ordering::Relaxed);
    tokio::time::advance(MEMORY).await;
    assert!(may_call(&watched.state().await));
    // Frozen, and unreadable when it is thawed.
    place.broken.store(true, Ordering::Relaxed);
    ahead.store(60_000, Ordering::Relaxed);
    assert!(!may_call(&watched.state().await));
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_state_counts_from_the_request() {
    let (watched, place, _) = watched();
    // Asked at 0, answered at 1.
    assert!(may_call(&watched.state().await));
    place.broken.store(true, Ordering::Relaxed);
    let almost = Duration::from_millis(999);
    tokio::time::advance(MINUTE - Duration::from_secs(2) - almost).await;
    assert!(may_call(&watched.state().await), "just before a minute is over");
    tokio::time::advance(almost).await;
    assert!(!may_call(&watched.state().await), "a hold may have been set right after the request");
}

#[tokio::test(start_paused = true)]
async fn holds_that_were_never_read_allow_no_call_and_are_not_read_for_every_message() {
    let (watched, place, _) = watched();
    place.broken.store(true, Ordering::Relaxed);
    for _ in 0..5 {
        assert!(!may_call(&watched.state().await));
    }
    assert_eq!(place.reads.load(Ordering::Relaxed), 1);
}
