//! The story of messages, live, for everybody who watches it: one reader of the file, whoever watches. It keeps the last lines; who is too slow
//! for them skips some and learns how many. So nobody who watches slows a host, or another one who watches.

mod ring;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::aws;
use crate::story::{Entry, Filter, FollowedFile, LogGroups, Source, StoryPlace};
use crate::tail::{BEFORE, LOOK_AT_CLOUDWATCH};
pub use ring::Position;
use ring::Ring;
pub use watcher::{Update, Watcher};

/// The most that watch at a time.
pub const MOST_WATCHERS: usize = 16;

/// How often to check the file.
const LOOK: Duration = Duration::from_millis(200);

/// How long the reader goes on when nobody watches, so that a page that is reloaded finds it.
const LINGER: Duration = Duration::from_secs(60);

/// How long to wait after the file could not be read.
const PAUSE: Duration = Duration::from_secs(2);

/// How far back the reader begins, and how far back [`Live::recent`] searches.
const BEGIN: u64 = 1024 * 1024;
const SEARCH: u64 = 8 * 1024 * 1024;

/// [`MOST_WATCHERS`] watch already.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{MOST_WATCHERS} streams follow the story already: close one of them")]
pub struct TooMany;

/// A story that can be watched. Dropping it ends its reader.
pub struct Live {
    place: StoryPlace,
    stop: CancellationToken,
    seats: Arc<Semaphore>,
    ring: Arc<Ring>,
    /// Wakes the reader.
    wanted: Arc<Notify>,
    /// The reader, once somebody has watched.
    reader: Mutex<JoinSet<()>>,
}

impl Live {
    /// The story at this place. Whoever watches it stops once `stop` is cancelled.
    pub fn new(place: StoryPlace, stop: CancellationToken) -> Live {
        Live {
            place,
            stop,
            seats: Arc::new(Semaphore::new(MOST_WATCHERS)),
            ring: Arc::default(),
            wanted: Arc::default(),
            reader: Mutex::default(),
        }
    }

    /// Watches the lines that a filter selects. It begins after this position; without one, or if its reader has ended, with the last `lines`.
    pub fn watch(&self, filter: Filter, lines: usize, after: Option<Position>) -> Result<Watcher, TooMany> {
        let seat = Arc::clone(&self.seats).try_acquire_owned().map_err(|_| TooMany)?;
        self.wake();
        Ok(Watcher::new(Arc::clone(&self.ring), seat, self.stop.clone(), filter, lines, after))
    }

    /// The last lines that a filter selects, oldest first, of the last 8 MiB, or of the last ten minutes of log groups. Fails if the filter names what
    /// neither the config nor those lines know; log groups belong to no config.
    pub async fn recent(&self, filter: &Filter, lines: usize) -> anyhow::Result<Vec<Entry>> {
        if let Some(LogGroups { names, .. }) = &self.place.logs {
            let mut entries = aws::Logs::of(names.clone(), BEFORE).await?.of_hosts().await?;
            entries.retain(|entry| filter.wants(entry));
            return Ok(entries.split_off(entries.len().saturating_sub(lines)));
        }
        let Source { file, config } = Source::of(&self.place).await?;
        let read = move || FollowedFile::open(&file)?.last(SEARCH);
        let mut entries: Vec<Entry> =
            tokio::task::spawn_blocking(read).await??.iter().filter_map(|line| Entry::read(line)).collect();
        if let Some(config) = &config {
            filter.check(config, entries.iter().cloned())?;
        }
        entries.retain(|entry| filter.wants(entry));
        Ok(entries.split_off(entries.len().saturating_sub(lines)))
    }

    fn wake(&self) {
        let mut reader = self.reader.lock();
        while reader.try_join_next().is_some() {}
        if reader.is_empty() {
            let work =
                read(self.place.clone(), Arc::clone(&self.ring), Arc::clone(&self.seats), Arc::clone(&self.wanted));
            let stop = self.stop.clone();
            reader.spawn(async move {
                stop.run_until_cancelled(work).await;
            });
        }
        drop(reader);
        self.wanted.notify_one();
    }
}

/// Reads while somebody watches.
async fn read(place: StoryPlace, ring: Arc<Ring>, seats: Arc<Semaphore>, wanted: Arc<Notify>) {
    loop {
        wanted.notified().await;
        while let Err(problem) = follow(&place, &ring, &seats).await {
            ring.fail(format!("{problem:#}"));
            sleep(PAUSE).await;
            if is_idle(&seats) {
                break;
            }
        }
        ring.end();
    }
}

/// Follows the story until nobody has watched for a while.
async fn follow(place: &StoryPlace, ring: &Ring, seats: &Semaphore) -> anyhow::Result<()> {
    match &place.logs {
        Some(LogGroups { names, .. }) => follow_logs(names.clone(), ring, seats).await,
        None => follow_file(place, ring, seats).await,
    }
}

async fn follow_logs(groups: Vec<String>, ring: &Ring, seats: &Semaphore) -> anyhow::Result<()> {
    let mut logs = aws::Logs::of(groups, BEFORE).await?;
    let shared = |entries: Vec<Entry>| entries.into_iter().map(Arc::new).collect();
    ring.begin(shared(logs.of_hosts().await?));
    let mut watched = Instant::now();
    while watched.elapsed() < LINGER {
        sleep(LOOK_AT_CLOUDWATCH).await;
        ring.add(shared(logs.of_hosts().await?));
        if !is_idle(seats) {
            watched = Instant::now();
        }
    }
    Ok(())
}

async fn follow_file(place: &StoryPlace, ring: &Ring, seats: &Semaphore) -> anyhow::Result<()> {
    let path = Source::of(place).await?.file;
    let open = move || {
        let mut file = FollowedFile::open(&path)?;
        let lines = file.last(BEGIN)?;
        anyhow::Ok((file, lines))
    };
    let (mut file, lines) = tokio::task::spawn_blocking(open).await??;
    ring.begin(entries(&lines));
    let mut watched = Instant::now();
    while watched.elapsed() < LINGER {
        sleep(LOOK).await;
        let look = move || {
            let lines = file.lines()?;
            anyhow::Ok((file, entries(&lines)))
        };
        let (followed, new) = tokio::task::spawn_blocking(look).await??;
        file = followed;
        ring.add(new);
        if !is_idle(seats) {
            watched = Instant::now();
        }
    }
    Ok(())
}

fn is_idle(seats: &Semaphore) -> bool {
    seats.available_permits() == MOST_WATCHERS
}

fn entries(lines: &[String]) -> Vec<Arc<Entry>> {
    lines.iter().filter_map(|line| Entry::read(line)).map(Arc::new).collect()
}

#[cfg(test)]
#[path = "live/tests.rs"]
mod tests;
