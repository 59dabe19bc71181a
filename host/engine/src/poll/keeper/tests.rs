use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::{Instant, advance};

use super::*;
use crate::poll::scripted::{Heartbeat, Scripted, message};
use towpath_types::clock::Timestamp;

const VISIBILITY: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

fn clock() -> Clock {
    towpath_runtime::time::tokio_clock(Timestamp(1_700_000_000_000))
}

/// Keeps one message, whose receive was requested at `asked`.
fn keeper<'a>(queue: &'a Scripted, clock: Clock, asked: Moment) -> Keeper<'a> {
    Keeper::new(queue, clock, &[message("h-1")], VISIBILITY, asked)
}

#[tokio::test(start_paused = true)]
async fn while_the_queue_is_silent_the_lease_is_lost_before_others_could_begin() {
    for (answer, deleting) in
        [(Heartbeat::Unavailable, false), (Heartbeat::Unavailable, true), (Heartbeat::Never, false)]
    {
        let queue = Scripted(answer);
        let clock = clock();
        let started = Instant::now();
        let keeper = keeper(&queue, clock, clock.moment());
        if deleting {
            keeper.deleting(&"h-1".into(), &Deleted::default());
        }
        let _ = timeout(VISIBILITY * 2, keeper.beat_until_lost()).await;
        let lost = started.elapsed();
        assert!(lost > VISIBILITY / 2 && lost < VISIBILITY, "{lost:?}, {:?}, deleting: {deleting}", queue.0);
        assert!(!keeper.keeps(), "no work begins");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_no_longer_held_loses_the_lease_unless_it_is_being_deleted() {
    let queue = Scripted(Heartbeat::NotInFlight);
    let clock = clock();
    let messages = ["h-1", "h-2"].map(message);
    let keeper = Keeper::new(&queue, clock, &messages, VISIBILITY, clock.moment());
    let deleted = Deleted::default();
    keeper.deleting(&messages[0].handle, &Deleted::default());
    keeper.deleting(&messages[1].handle, &deleted);
    deleted.done();
    let hour = timeout(VISIBILITY * 100, keeper.beat_until_lost()).await;
    assert!(hour.is_err() && keeper.keeps(), "one may be deleted, the other is");
    let keeper = Keeper::new(&queue, clock, &messages, VISIBILITY, clock.moment());
    keeper.deleting(&messages[1].handle, &deleted);
    let first_beat = timeout(VISIBILITY / 2, keeper.beat_until_lost()).await;
    assert!(first_beat.is_ok(), "another host has it");
}

#[tokio::test(start_paused = true)]
async fn a_lease_counts_from_the_request_of_the_receive() {
    let queue = Scripted(Heartbeat::Unavailable);
    let clock = clock();
    let asked = clock.moment();
    advance(VISIBILITY).await;
    let keeper = keeper(&queue, clock, asked);
    assert!(!keeper.keeps());
    let lost = timeout(Duration::ZERO, keeper.beat_until_lost()).await;
    assert!(lost.is_ok(), "at once");
}

#[tokio::test(start_paused = true)]
async fn a_lease_counts_from_the_request_of_a_heartbeat() {
    let queue = Scripted(Heartbeat::KeptAfter(8 * SECOND));
    let clock = clock();
    let keeper = keeper(&queue, clock, clock.moment());
    assert!(!keeper.is_stale());
    advance(VISIBILITY / 10).await;
    assert!(keeper.is_stale(), "a tenth has passed");
    assert!(keeper.confirm().await);
    assert_eq!(keeper.term().left(), VISIBILITY - VISIBILITY / 10 - 8 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_may_be_over_is_confirmed_by_a_heartbeat_or_lost() {
    let cases = [
        ("held", Heartbeat::KeptAfter(SECOND), true),
        ("received by another", Heartbeat::NotInFlight, false),
        ("the queue cannot be asked", Heartbeat::Unavailable, false),
        ("no answer", Heartbeat::Never, false),
        ("an answer after the lease", Heartbeat::KeptAfter(VISIBILITY), false),
    ];
    for (name, answer, confirmed) in cases {
        let queue = Scripted(answer);
        let clock = clock();
        let asked = clock.moment();
        advance(VISIBILITY * 2).await;
        let keeper = keeper(&queue, clock, asked);
        let began = Instant::now();
        assert_eq!(keeper.confirm().await, confirmed, "{name}");
        assert_eq!(keeper.keeps(), confirmed, "{name}");
        assert!(began.elapsed() <= VISIBILITY * 3 / 2, "{name}: it was tried for {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_heartbeat_is_retried() {
    let queue = Scripted(Heartbeat::KeptAtSecond(0.into()));
    let clock = clock();
    let asked = clock.moment();
    advance(VISIBILITY * 2).await;
    assert!(keeper(&queue, clock, asked).confirm().await);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_notices_within_a_second_that_its_lease_is_lost() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let queue = Scripted(Heartbeat::Unavailable);
    let clock = clock().shifted(&AHEAD);
    let keeper = keeper(&queue, clock, clock.moment());
    let began = Instant::now();
    let wakes = async {
        sleep(SECOND / 2).await;
        AHEAD.store(3_600_000, Ordering::SeqCst);
        assert!(!keeper.keeps(), "no work begins");
    };
    tokio::join!(keeper.beat_until_lost(), wakes);
    assert!(began.elapsed() <= SECOND, "work in progress is cut off: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn setting_the_clock_back_extends_no_lease() {
    static AHEAD: AtomicU64 = AtomicU64::new(3_600_000);
    let queue = Scripted(Heartbeat::Unavailable);
    let clock = clock().shifted(&AHEAD);
    let keeper = keeper(&queue, clock, clock.moment());
    let began = Instant::now();
    AHEAD.store(0, Ordering::SeqCst);
    keeper.beat_until_lost().await;
    assert_eq!(began.elapsed(), VISIBILITY - VISIBILITY / 10);
}
