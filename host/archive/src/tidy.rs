//! Closes segments that are complete, and removes those that are too old or too many.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use towpath_files::alive::{self, Creator, FileId, Lock};
use towpath_files::regular::{self, Links};
use towpath_types::clock::Timestamp;
use tracing::{debug, info, warn};

use crate::clock::{Look, is_ahead};
use crate::closed;
use crate::name::{self, Files, Name};
use crate::segment::read_live;
use crate::turn::Turn;
use crate::writer::Segments;

/// Where locks prove nothing, a live segment of another process is closed when it is this old: its process would have ended it within an
/// hour.
const SURELY_ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// How long to wait for another process that erases or tidies. The next attempt comes within a minute.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much nicer to others the thread is that compresses.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

impl Segments {
    /// Ends the live segment if it is old, closes segments that are complete, those of killed processes too, and removes segments until
    /// the archive is within its bounds. Blocks; compresses on a thread with a low priority.
    pub fn tidy(&self, now: Timestamp) -> io::Result<()> {
        self.tidy_at(Look { now, monotonic: Instant::now() }, PATIENCE)
    }

    pub(crate) fn tidy_at(&self, look: Look, patience: Duration) -> io::Result<()> {
        let mut last = self.tidying.lock();
        let before = last.replace(look);
        let now = look.now;
        let jumped = before.is_some_and(|before| look.jumped_since(before));
        if jumped {
            info!("the clock jumped ahead, removing no events of the archive by their age for now");
        }
        self.rotate_old(now);
        let Some(_turn) = Turn::of(&self.settings.folder, patience)? else { return Ok(()) };
        std::thread::scope(|scope| {
            scope.spawn(|| self.close_all(now)).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        self.keep_bounds(now, jumped)
    }

    fn close_all(&self, now: Timestamp) -> io::Result<()> {
        // Of this thread alone; on other systems it would be the whole process.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(NICENESS);
        let folder = &self.settings.folder;
        let done = self.take_done();
        // The list is younger than each of these names, so it has all of them.
        let segments = match name::list(folder) {
            Ok(segments) => segments,
            Err(error) => {
                self.put_back(done);
                return Err(error);
            }
        };
        let mut failed = Vec::new();
        for (name, files) in segments.into_iter().filter(|(_, files)| files.live.is_some()) {
            let is_done = done.contains(&name);
            let closed = abandoned(name, folder, is_done, now).and_then(|lock| match lock {
                Some(lock) => close(name, files, folder, lock),
                None => Ok(()),
            });
            match closed {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    warn!(event = "archive-close-failed", segment = %name, error = &error as &dyn Error, "archive segment cannot be compressed, trying again within a minute");
                    failed.extend(Some(name).filter(|_| is_done));
                }
                Ok(()) => {}
            }
        }
        self.put_back(failed);
        Ok(())
    }

    /// Removes the oldest segments until those that are left are neither too old nor too many.
    fn keep_bounds(&self, now: Timestamp, jumped: bool) -> io::Result<()> {
        let folder = &self.settings.folder;
        let mut segments = name::list(folder)?;
        // A process that was killed left them, or one that lost a race for a segment writes them in vain.
        for (name, files) in segments.iter_mut().filter(|(_, files)| files.live.is_none() && files.unfinished.is_some())
        {
            name::unfinished(Some(*name), folder)?.iter().try_for_each(|path| remove(path))?;
            files.unfinished = None;
        }
        let mut bytes: u64 = segments.values().map(Files::bytes).sum();
        let mut removed = 0;
        for (name, files) in segments.iter().filter(|(_, files)| files.live.is_none() && files.closed.is_some()) {
            let path = name.closed(folder);
            let is_expired = !jumped && ended(&path, now).is_some_and(|ended| now.since(ended) >= self.settings.keep);
            if !is_expired && bytes <= self.settings.max_size {
                continue;
            }
            remove(&path)?;
            bytes = bytes.saturating_sub(files.bytes());
            removed += 1;
        }
        if removed > 0 {
            info!(removed, bytes, "removed the oldest segments of the archive");
        }
        Ok(())
    }
}

/// Proof that a segment is complete.
struct Complete(#[expect(dead_code, reason = "held so that no other process closes the segment")] Option<Lock>);

/// `None` while the process runs that writes the segment, or another one closes it.
fn abandoned(name: Name, folder: &Path, is_done: bool, now: Timestamp) -> io::Result<Option<Complete>> {
    let path = name.live(folder);
    let found = std::fs::symlink_metadata(&path)?;
    let id = FileId { device: found.dev(), inode: found.ino() };
    // A segment that began in the future says nothing about its age.
    let began = if is_ahead(name.began, now) { time(found.modified()?) } else { Some(name.began) };
    let is_old = began.is_some_and(|began| now.since(began) >= SURELY_ABANDONED);
    Ok(match alive::creator(&path, id)? {
        Creator::Ended(lock) => Some(Complete(Some(lock))),
        Creator::Runs => None,
        Creator::Unknown(_) if is_done || is_old => Some(Complete(None)),
        Creator::Unknown(_) => None,
    })
}

fn close(name: Name, files: Files, folder: &Path, _complete: Complete) -> io::Result<()> {
    let live = name.live(folder);
    // With both files, a process was killed after it had written the closed one.
    if files.closed.is_none() {
        let file = regular::open(OpenOptions::new().read(true), &live, Links::Refuse)?;
        let live = read_live(&file, name)?.bytes;
        // Its process failed to lock it, and uses another one.
        if !live.is_empty() {
            let summary = closed::write(name, &live, folder)?;
            debug!(segment = %name, events = summary.events, bytes = summary.bytes, "closed a segment of the archive");
        }
    }
    std::fs::remove_file(live)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// When the last event of a closed segment ended; if its summary is damaged, or that is in the future, when it was closed. If that is in
/// the future too, the file counts as closed now, so that a clock that was wrong once keeps no event for ever.
fn ended(path: &Path, now: Timestamp) -> Option<Timestamp> {
    let summary = closed::summary(path).ok().flatten();
    let ended = summary.and_then(|summary| summary.times).map(|times| times.ended[1]);
    if let Some(ended) = ended.filter(|ended| !is_ahead(*ended, now)) {
        return Some(ended);
    }
    let closed = time(std::fs::metadata(path).ok()?.modified().ok()?)?;
    if is_ahead(closed, now) {
        let touched = File::open(path).and_then(|file| file.set_modified(UNIX_EPOCH + Duration::from_millis(now.0)));
        return touched.is_ok().then_some(now);
    }
    Some(closed)
}

fn time(time: SystemTime) -> Option<Timestamp> {
    let millis = time.duration_since(UNIX_EPOCH).ok()?.as_millis();
    u64::try_from(millis).ok().map(Timestamp)
}

#[cfg(test)]
mod tests;
