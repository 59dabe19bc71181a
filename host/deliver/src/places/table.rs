//! The table of places: which groups have one, which wait, and which is next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

/// Why a group is turned away from its targets. None of its requests were sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Away {
    /// The waiting room is full, and the group came last of those that wait for this target. Try again after this time.
    Crowded(Duration),
    /// The group waited as long as it may.
    Late,
    /// The driver stops.
    Closed,
}

/// The names of a message's targets, sorted; empty until its plugin has run.
pub(super) type Aim = Arc<[String]>;

/// With several targets, a target may take up to this many times the number of free places. One busy target gets three
/// quarters of all places, two get three sevenths each, and a target without a place always finds one free. This is the
/// dynamic threshold rule by which switches share memory among queues (Choudhury and Hahne, 1998).
const SHARE: usize = 3;

/// Waiting messages per place. Each of them costs heartbeats.
const SEATS: usize = 16;

/// The shortest and the longest time that a group is turned away for when there is no seat.
const AWAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The interval of receives while the waiting room is full, when most received messages must be released again.
const LOOK: Duration = Duration::from_millis(25);

#[derive(Debug)]
pub(super) struct Table {
    all: usize,
    seats: usize,
    /// Whether several targets share the places.
    shared: bool,
    state: Mutex<State>,
    /// Notified when a group leaves the waiting room.
    left: Notify,
    /// When the next receive is allowed although the waiting room is full.
    next_look: tokio::sync::Mutex<Instant>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Places of groups whose targets are not known yet.
    undecided: usize,
    /// Places by target.
    used: BTreeMap<String, usize>,
    newcomers: VecDeque<(u64, oneshot::Sender<Grant>)>,
    /// Groups that may call their targets and wait for a place.
    ready: BTreeMap<Aim, VecDeque<(u64, oneshot::Sender<Grant>)>>,
    /// All groups that wait without a place, in the order of arrival.
    room: BTreeMap<u64, Guest>,
    /// Seats in use.
    seated: usize,
    next: u64,
    closed: bool,
}

#[derive(Debug)]
struct Guest {
    aim: Aim,
    weight: usize,
    since: Instant,
    away: oneshot::Sender<Away>,
}

/// A place in use. Dropping it frees it.
#[derive(Debug)]
pub(super) struct Grant {
    table: Arc<Table>,
    /// The targets that it counts for; `None` once it is free.
    aim: Option<Aim>,
}

/// A seat in the waiting room.
#[derive(Debug)]
pub(super) struct Seat {
    table: Arc<Table>,
    number: u64,
    pub(super) away: oneshot::Receiver<Away>,
}

impl Table {
    pub(super) fn new(all: usize, shared: bool) -> Table {
        let state = State {
            free: all,
            undecided: 0,
            used: BTreeMap::new(),
            newcomers: VecDeque::new(),
            ready: BTreeMap::new(),
            room: BTreeMap::new(),
            seated: 0,
            next: 0,
            closed: false,
        };
        let next_look = tokio::sync::Mutex::new(Instant::now());
        let seats = all.saturating_mul(SEATS);
        Table { all, seats, shared, state: Mutex::new(state), left: Notify::new(), next_look }
    }

    /// A place for a group whose targets are not known yet; `None` once the table is closed.
    pub(super) fn newcomer(self: &Arc<Table>) -> Option<oneshot::Receiver<Grant>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        if state.closed {
            return None;
        }
        let number = state.number();
        state.newcomers.push_back((number, sender));
        self.seat(&mut state);
        Some(receiver)
    }

    /// A place for a group that may call its targets. If none is free, the group queues behind those with the same targets.
    pub(super) fn ready(self: &Arc<Table>, aim: &Aim) -> oneshot::Receiver<Grant> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        let number = state.number();
        if !state.closed {
            state.ready.entry(Arc::clone(aim)).or_default().push_back((number, sender));
            self.seat(&mut state);
        }
        receiver
    }

    /// Whether these targets may take another place.
    fn may(&self, state: &State, aim: &Aim) -> bool {
        let free = state.free;
        let load = state.load(aim);
        if !self.shared {
            return free > 0;
        }
        // The last free place is reserved for a target that has none.
        free > 0 && (load == 0 || free > 1 && load < SHARE * free)
    }

    /// Assigns free places: to the targets with the fewest places first, and among those to the group that has waited
    /// longest.
    fn seat(self: &Arc<Table>, state: &mut State) {
        let undecided = Aim::default();
        loop {
            let newcomer = state.newcomers.front().map(|(number, _)| (state.undecided, *number, &undecided));
            let ready = state.ready.iter().filter_map(|(aim, line)| Some((state.load(aim), line.front()?.0, aim)));
            let next = ready.chain(newcomer).filter(|(_, _, aim)| self.may(state, aim)).min();
            let Some(aim) = next.map(|(_, _, aim)| Arc::clone(aim)) else { return };
            let Some(waiting) = state.first(&aim) else { return };
            state.take(&aim);
            if let Err(mut grant) = waiting.send(Grant { table: Arc::clone(self), aim: Some(aim) })
                && let Some(aim) = grant.aim.take()
            {
                // The group no longer waits.
                state.release(&aim);
            }
        }
    }

    /// A seat for a group that waits without a place. If all are in use, the last arrival among those waiting for the
    /// targets with the most seats is turned away. That may be the group that asks.
    pub(super) fn sit(self: &Arc<Table>, aim: &Aim, weight: usize) -> Result<Seat, Away> {
        let weight = weight.clamp(1, self.heaviest());
        let (sender, away) = oneshot::channel();
        let mut state = self.state.lock();
        if state.closed {
            return Err(Away::Closed);
        }
        while state.seated + weight > self.seats {
            let Some((wanted, seats)) = state.most_wanted() else { break };
            let own = state.room.values().filter(|guest| guest.aim == *aim).map(|guest| guest.weight).sum::<usize>();
            if wanted == *aim || own + weight >= seats {
                return Err(Away::Crowded(state.away(aim)));
            }
            let after = state.away(&wanted);
            let last = state.room.iter().rev().find(|(_, guest)| guest.aim == wanted).map(|(number, _)| *number);
            let Some(guest) = last.and_then(|last| state.leave(last)) else { break };
            // Sending fails only if the group no longer waits.
            let _ = guest.away.send(Away::Crowded(after));
        }
        let number = state.number();
        state.seated += weight;
        state.room.insert(number, Guest { aim: Arc::clone(aim), weight, since: Instant::now(), away: sender });
        Ok(Seat { table: Arc::clone(self), number, away })
    }

    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.newcomers.clear();
        state.ready.clear();
        state.seated = 0;
        for guest in std::mem::take(&mut state.room).into_values() {
            let _ = guest.away.send(Away::Closed);
        }
        drop(state);
        self.left.notify_waiters();
    }

    pub(super) fn taken(&self) -> usize {
        self.all.saturating_sub(self.state.lock().free)
    }

    /// The limit on a group's weight, so that every group can find a seat.
    fn heaviest(&self) -> usize {
        (self.seats / 4).max(1)
    }

    /// Whether the next group may find no seat.
    pub(super) fn full(&self) -> bool {
        let state = self.state.lock();
        !state.closed && state.seated + self.heaviest() > self.seats
    }

    /// Waits until the waiting room is not full.
    pub(super) async fn until_room(&self) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            // Registered before the check, so that no departure is missed.
            left.as_mut().enable();
            if !self.full() {
                return;
            }
            left.await;
        }
    }

    /// Waits until the next receive that is allowed although the waiting room is full.
    pub(super) async fn look(&self) {
        let mut next = self.next_look.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + LOOK;
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The places of the busiest of these targets.
    fn load(&self, aim: &Aim) -> usize {
        if aim.is_empty() {
            self.undecided
        } else {
            aim.iter().map(|target| self.used.get(target).copied().unwrap_or_default()).max().unwrap_or_default()
        }
    }

    /// Takes the group that has waited longest for a place for these targets.
    fn first(&mut self, aim: &Aim) -> Option<oneshot::Sender<Grant>> {
        if aim.is_empty() {
            return self.newcomers.pop_front().map(|(_, waiting)| waiting);
        }
        let line = self.ready.get_mut(aim)?;
        let first = line.pop_front();
        if line.is_empty() {
            self.ready.remove(aim);
        }
        first.map(|(_, waiting)| waiting)
    }

    fn take(&mut self, aim: &Aim) {
        self.free = self.free.saturating_sub(1);
        if aim.is_empty() {
            self.undecided += 1;
        }
        for target in aim.iter() {
            *self.used.entry(target.clone()).or_default() += 1;
        }
    }

    fn release(&mut self, aim: &Aim) {
        self.free += 1;
        if aim.is_empty() {
            self.undecided = self.undecided.saturating_sub(1);
        }
        for target in aim.iter() {
            if let Some(used) = self.used.get_mut(target) {
                *used = used.saturating_sub(1);
            }
        }
    }

    /// The targets with the most seats, and how many.
    fn most_wanted(&self) -> Option<(Aim, usize)> {
        let mut seats = BTreeMap::<&Aim, usize>::new();
        for guest in self.room.values() {
            *seats.entry(&guest.aim).or_default() += guest.weight;
        }
        seats.into_iter().max_by_key(|(_, seats)| *seats).map(|(aim, seats)| (Arc::clone(aim), seats))
    }

    fn leave(&mut self, number: u64) -> Option<Guest> {
        let guest = self.room.remove(&number)?;
        self.seated = self.seated.saturating_sub(guest.weight);
        Some(guest)
    }

    /// An estimate of when a group arriving now would have had its turn: as long as the first has waited.
    fn away(&self, aim: &Aim) -> Duration {
        let first = self.room.values().find(|guest| guest.aim == *aim);
        first.map_or(AWAY.0, |first| first.since.elapsed().clamp(AWAY.0, AWAY.1))
    }
}

impl Grant {
    /// Makes the place count for these targets if they may take one now. Otherwise frees it.
    pub(super) fn aim(mut self, aim: &Aim) -> Option<Grant> {
        let table = Arc::clone(&self.table);
        let mut state = table.state.lock();
        if let Some(before) = self.aim.take() {
            state.release(&before);
        }
        if table.may(&state, aim) {
            state.take(aim);
            self.aim = Some(Arc::clone(aim));
        }
        table.seat(&mut state);
        drop(state);
        self.aim.is_some().then_some(self)
    }

    /// Makes the place count for no target.
    pub(super) fn land(&mut self) {
        let undecided = Aim::default();
        let mut state = self.table.state.lock();
        if let Some(before) = self.aim.replace(Arc::clone(&undecided)) {
            state.release(&before);
        }
        state.take(&undecided);
        self.table.seat(&mut state);
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let Some(aim) = self.aim.take() else { return };
        let mut state = self.table.state.lock();
        state.release(&aim);
        self.table.seat(&mut state);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.table.state.lock().leave(self.number).is_some() {
            self.table.left.notify_waiters();
        }
    }
}
