//! Places, which the documentation calls slots: how many groups a driver processes at the same time, and for which targets.
//!
//! A group has a place while its message is with a plugin or with its targets. Which targets those are is known only
//! when the plugin has run. A group that must wait for one of them waits in the waiting room, without a place, while
//! heartbeats keep its messages hidden. With several targets, none may take all places: see `table.rs`.

mod table;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};

pub use table::Away;
use table::{Aim, Grant, Table};

/// How long a group outside of a driver's places waits for a gate. Such a group runs in a function, where a batch has
/// only minutes, and the finished groups wait for the response.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places of a driver.
#[derive(Clone, Debug)]
pub struct Places(Arc<Table>);

/// What a group needs to be processed.
#[derive(Debug)]
pub struct Place(Kind);

#[derive(Debug)]
enum Kind {
    /// Not counted by a driver.
    Alone,
    /// One of a driver's places. It is given up while its group waits.
    Counted { table: Arc<Table>, grant: Option<Grant>, weight: usize },
}

/// A group at its targets. Its place counts for these targets until this is dropped.
#[derive(Debug)]
pub struct Entered<'a> {
    grant: Option<&'a mut Grant>,
    /// Whether the group had to wait. If so, the state of the targets may have changed.
    pub waited: bool,
}

impl Places {
    /// `all` places for groups that go to this many targets.
    pub fn new(all: usize, targets: usize) -> Places {
        Places(Arc::new(Table::new(all.max(1), targets > 1)))
    }

    /// A place for a group of this weight, first come, first served; `None` when the driver stops.
    pub async fn begin(&self, weight: usize) -> Option<Place> {
        let grant = self.0.newcomer()?.await.ok()?;
        Some(Place(Kind::Counted { table: Arc::clone(&self.0), grant: Some(grant), weight }))
    }

    /// Ends all waiting. Groups that have a place keep it.
    pub fn close(&self) {
        self.0.close();
    }

    /// The number of places in use.
    pub fn taken(&self) -> usize {
        self.0.taken()
    }

    /// Waits until another receive is worth its cost. While the waiting room is full, most received messages must be
    /// released again, so receives are rare; but they still find messages for other targets. Otherwise this returns at
    /// once.
    pub async fn worth_receiving(&self) {
        if self.0.full() {
            tokio::select! {
                () = self.0.until_room() => {}
                () = self.0.look() => {}
            }
        }
    }
}

impl Place {
    /// A place that is not counted, for a driver whose groups do not share places.
    pub fn alone() -> Place {
        Place(Kind::Alone)
    }

    /// Makes the place count for these targets once `gate` succeeds; returns the gate's own error if it fails. If the
    /// group must wait, its place is given up, and another is taken when the gate is open. The wait ends at `latest`.
    pub async fn enter<T, E>(
        &mut self,
        targets: &[&str],
        latest: Instant,
        gate: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<(T, Entered<'_>), E>, Away> {
        let mut gate = pin!(gate);
        let passed = gate.as_mut().now_or_never();
        let waited = passed.is_none();
        let gate = async {
            match passed {
                Some(passed) => passed,
                None => gate.await,
            }
        };
        let Kind::Counted { table, grant, weight } = &mut self.0 else {
            let latest = latest.min(Instant::now() + PATIENCE);
            let passed = timeout_at(latest, gate).await.map_err(|_| Away::Late)?;
            return Ok(passed.map(|passed| (passed, Entered { grant: None, waited })));
        };
        let aim: Aim = targets.iter().map(|target| (*target).to_owned()).collect();
        let place = if waited {
            *grant = None;
            None
        } else {
            grant.take().and_then(|place| place.aim(&aim))
        };
        if let Some(place) = place {
            let passed = gate.await;
            let entered = Entered { grant: Some(grant.insert(place)), waited };
            return Ok(passed.map(|passed| (passed, entered)));
        }
        let mut seat = table.sit(&aim, *weight)?;
        let waiting = async {
            let passed = gate.await?;
            Ok(table.ready(&aim).await.map(|place| (passed, place)))
        };
        let waited = tokio::select! {
            biased;
            waited = waiting => waited,
            away = &mut seat.away => return Err(away.unwrap_or(Away::Closed)),
            () = sleep_until(latest) => return Err(Away::Late),
        };
        match waited {
            Ok(Ok((passed, place))) => {
                let grant = Some(grant.insert(place));
                Ok(Ok((passed, Entered { grant, waited: true })))
            }
            Ok(Err(_)) => Err(Away::Closed),
            Err(refused) => Ok(Err(refused)),
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(grant) = &mut self.grant {
            grant.land();
        }
    }
}

#[cfg(test)]
mod tests;
