//! Places: how many groups a driver works on at the same time, and for which targets.
//!
//! A group has a place while its message is with a plugin or with its targets. Which targets those are turns out only when
//! the plugin has run; a group that has to wait for one of them waits in the waiting room, without a place, and is kept by
//! heartbeats meanwhile. While there are several targets none of them may have all places: see `table.rs`.

mod table;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};

pub use table::Away;
use table::{Aim, Grant, Table};

/// How long a group without a driver's places waits for a gate: in a function, where a batch has only some minutes, and the
/// groups that are done with wait for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The places of a driver.
#[derive(Clone, Debug)]
pub struct Places(Arc<Table>);

/// What a group needs to be worked on.
#[derive(Debug)]
pub struct Place(Kind);

#[derive(Debug)]
enum Kind {
    /// No driver counts it.
    Alone,
    /// One of a driver's. It is given up while its group waits.
    Counted { table: Arc<Table>, grant: Option<Grant>, weight: usize },
}

/// A group at its targets. It keeps the place, and counts for these targets until this is dropped.
#[derive(Debug)]
pub struct Entered<'a> {
    grant: Option<&'a mut Grant>,
    /// Whether it had to wait: then what was known of the targets before may have changed.
    pub waited: bool,
}

impl Places {
    /// So many places for groups that go to so many targets.
    pub fn new(all: usize, targets: usize) -> Places {
        Places(Arc::new(Table::new(all.max(1), targets > 1)))
    }

    /// A place for a group of this weight, in the order of asking; `None` when the driver stops.
    pub async fn begin(&self, weight: usize) -> Option<Place> {
        let grant = self.0.newcomer()?.await.ok()?;
        Some(Place(Kind::Counted { table: Arc::clone(&self.0), grant: Some(grant), weight }))
    }

    /// Ends all waiting. Who has a place keeps it to the end.
    pub fn close(&self) {
        self.0.close();
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.0.taken()
    }

    /// Waits until another receive is worth its cost: at once, unless the waiting room is full. Then most of what a receive
    /// brings has to go back, so it happens now and then only; but messages for other targets are found.
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
    /// A place that nobody counts, for a driver whose groups do not share any.
    pub fn alone() -> Place {
        Place(Kind::Alone)
    }

    /// Has the place count for these targets once `gate` lets them be called, or says in its own error why not. Without
    /// a wait it stays the same place; otherwise it is given up, and when the gate is open another one is taken. Nothing is
    /// waited for longer than until `latest`.
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
