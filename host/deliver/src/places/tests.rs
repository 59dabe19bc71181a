use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::*;

const FAR: Duration = Duration::from_secs(3600);

async fn begin(places: &Places) -> Place {
    places.begin(1).await.expect("it is open")
}

/// Enters if that is possible at once.
fn enters<'a>(place: &'a mut Place, targets: &[&str]) -> Option<Entered<'a>> {
    let entered = place.enter(targets, Instant::now() + FAR, ready(Ok::<_, ()>(()))).now_or_never();
    entered.map(|entered| entered.expect("nobody sends it away").expect("the gate is open").1)
}

/// How many places one target gets while no other wants any.
async fn alone(all: usize, targets: usize) -> usize {
    let places = Places::new(all, targets);
    let mut inside = Vec::new();
    loop {
        let Some(place) = places.begin(1).now_or_never() else { return inside.len() };
        let mut place = place.expect("it is open");
        match enters(&mut place, &["slow"]) {
            // It stays at its target.
            Some(entered) => std::mem::forget(entered),
            None => return inside.len(),
        }
        inside.push(place);
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_target_may_take_all_places_and_one_of_several_leaves_some() {
    for (all, targets, most) in
        [(16, 1, 16), (1, 1, 1), (16, 2, 12), (16, 9, 12), (8, 2, 6), (4, 2, 3), (3, 2, 2), (2, 2, 1), (1, 2, 1)]
    {
        assert_eq!(alone(all, targets).await, most, "{all} places, {targets} targets");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_without_a_place_finds_one_while_many_groups_wait_for_another() {
    let places = Places::new(16, 2);
    let begun = Arc::new(AtomicUsize::new(0));
    let mut groups = JoinSet::new();
    for _ in 0..100 {
        let places = places.clone();
        let begun = Arc::clone(&begun);
        groups.spawn(async move {
            let mut place = begin(&places).await;
            let _entered = place.enter(&["slow"], Instant::now() + FAR, ready(Ok::<_, ()>(()))).await;
            begun.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(4)).await;
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(begun.load(Ordering::Relaxed), 12);
    let mut place = places.begin(1).now_or_never().expect("at once").expect("it is open");
    assert!(enters(&mut place, &["quick"]).is_some());
    drop(place);
    while groups.join_next().await.is_some() {}
    assert_eq!(begun.load(Ordering::Relaxed), 100, "all had their turn");
    assert_eq!(places.taken(), 0, "every place was given back");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_waits_for_a_gate_has_no_place() {
    let places = Places::new(1, 1);
    let mut waits = begin(&places).await;
    let gate = pending::<Result<(), ()>>();
    {
        let mut entering = pin!(waits.enter(&["slow"], Instant::now() + FAR, gate));
        assert!(entering.as_mut().now_or_never().is_none());
        let mut other = places.begin(1).now_or_never().expect("the place is free").expect("it is open");
        assert!(enters(&mut other, &["slow"]).is_some());
    }
    assert_eq!(places.taken(), 0, "one that gave up waiting leaves nothing behind");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline_and_with_the_error_of_its_gate() {
    for mut place in [Place::alone(), begin(&Places::new(1, 1)).await] {
        let begun = Instant::now();
        let late = place.enter(&["t"], begun + Duration::from_secs(3), pending::<Result<(), ()>>()).await;
        assert_eq!(late.err(), Some(Away::Late));
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        let refused = place.enter(&["t"], begun + FAR, ready(Err::<(), _>("no"))).await;
        assert_eq!(refused.expect("nobody sends it away").err(), Some("no"));
    }
    let begun = Instant::now();
    let late = Place::alone().enter(&["t"], begun + FAR, pending::<Result<(), ()>>()).await.err();
    assert_eq!((late, begun.elapsed()), (Some(Away::Late), PATIENCE), "a function waits only a short time");
}

/// Groups that wait for gates that never open, and how each wait ended, if it did.
#[derive(Default)]
struct Crowd {
    groups: JoinSet<()>,
    ended: Arc<Mutex<BTreeMap<usize, Option<Away>>>>,
}

impl Crowd {
    async fn come(&mut self, places: &Places, targets: &[&'static str]) {
        for target in targets.iter().copied() {
            let places = places.clone();
            let ended = Arc::clone(&self.ended);
            let number = self.groups.len();
            self.groups.spawn(async move {
                let mut place = begin(&places).await;
                let away = place.enter(&[target], Instant::now() + FAR, pending::<Result<(), ()>>()).await.err();
                ended.lock().insert(number, away);
            });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn ended(&self) -> Vec<(usize, Option<Away>)> {
        self.ended.lock().clone().into_iter().collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_waiting_room_turns_away_the_last_arrival_of_the_target_with_most_seats() {
    let places = Places::new(1, 2);
    let mut crowd = Crowd::default();
    crowd.come(&places, &["slow"; 16]).await;
    assert_eq!(crowd.ended(), [], "sixteen seats for a place");
    let away = Some(Away::Crowded(Duration::from_secs(1)));
    crowd.come(&places, &["slow"]).await;
    assert_eq!(crowd.ended(), [(16, away)], "it was the last");
    crowd.come(&places, &["other"]).await;
    assert_eq!(crowd.ended(), [(15, away), (16, away)], "it found a seat");
    places.close();
    assert!(places.begin(1).await.is_none());
    while crowd.groups.join_next().await.is_some() {}
    let closed = crowd.ended().into_iter().filter(|(_, away)| *away == Some(Away::Closed)).count();
    assert_eq!(closed, 16, "nobody waits past a stop");
}

#[tokio::test(start_paused = true)]
async fn receives_are_rare_only_while_the_waiting_room_is_full() {
    let places = Places::new(1, 1);
    let mut crowd = Crowd::default();
    let hundred = async || {
        let begun = Instant::now();
        for _ in 0..100 {
            places.worth_receiving().await;
        }
        begun.elapsed()
    };
    assert_eq!(hundred().await, Duration::ZERO);
    crowd.come(&places, &["slow"; 16]).await;
    let took = hundred().await;
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
    crowd.groups.shutdown().await;
    assert_eq!(hundred().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_group_heavier_than_the_waiting_room_still_finds_a_seat() {
    let places = Places::new(1, 1);
    let mut place = places.begin(1000).await.expect("it is open");
    let late = place.enter(&["t"], Instant::now() + FAR, pending::<Result<(), ()>>()).await;
    assert_eq!(late.err(), Some(Away::Late), "it waited as long as it could");
}

#[tokio::test(start_paused = true)]
async fn a_free_place_goes_to_the_target_with_the_fewest_and_there_to_the_longest_wait() {
    let places = Places::new(4, 4);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = JoinSet::new();
    let open = Arc::new(tokio::sync::Semaphore::new(0));
    for (name, target) in [("second of a", "a"), ("first of b", "b"), ("second of b", "b")] {
        let places = places.clone();
        let order = Arc::clone(&order);
        let open = Arc::clone(&open);
        waiting.spawn(async move {
            let mut place = begin(&places).await;
            let gate = async { open.acquire().await.map(drop) };
            let _entered = place.enter(&[target], Instant::now() + FAR, gate).await;
            order.lock().push(name);
            pending::<()>().await;
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(begin(&places).await);
        let place = held.last_mut().expect("it was pushed");
        let target = ["a", "x", "y", "z"][places.taken() - 1];
        std::mem::forget(enters(place, &[target]).expect("a place for each"));
    }
    open.add_permits(3);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(order.lock().is_empty(), "all places are taken");
    for _ in 0..3 {
        held.pop();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The target a already has a place, and gets another while one is left.
    assert_eq!(*order.lock(), ["first of b", "second of a"]);
    assert_eq!(places.taken(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_free_place_goes_to_the_target_with_fewer_places_though_another_has_waited_longer() {
    let places = Places::new(6, 4);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = JoinSet::new();
    let open = Arc::new(tokio::sync::Semaphore::new(0));
    for target in ["a", "b"] {
        let places = places.clone();
        let order = Arc::clone(&order);
        let open = Arc::clone(&open);
        waiting.spawn(async move {
            let mut place = begin(&places).await;
            let gate = async { open.acquire().await.map(drop) };
            let _entered = place.enter(&[target], Instant::now() + FAR, gate).await;
            order.lock().push(target);
            pending::<()>().await;
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut held = Vec::new();
    for target in ["a", "a", "b", "x", "y", "z"] {
        held.push(begin(&places).await);
        let place = held.last_mut().expect("it was pushed");
        std::mem::forget(enters(place, &[target]).expect("a place for each"));
    }
    open.add_permits(2);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(order.lock().is_empty(), "all places are taken");
    for _ in 0..2 {
        held.pop();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(*order.lock(), ["b"], "a has two places, b has one");
}
