//! Keeps events: one write each, to a segment that belongs to this process.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use towpath_files::alive::Lock;
use towpath_files::private;
use towpath_types::archive::{Archive, Archived};
use towpath_types::clock::Timestamp;
use tracing::{info, warn};

use crate::clock::{Look, is_ahead};
use crate::name::Name;
use crate::record::{self, Gap, SEGMENT};
use crate::space::Space;

/// The oldest segment of an archive that is full has at most one in this many of its bytes, and of its time.
const SHARE: u32 = 8;

/// How old a segment gets, if events are kept eight times as long.
const AGE: Duration = Duration::from_secs(3600);

/// How many bytes are written before the free space is looked up again.
const LOOK: u64 = 1024 * 1024;

/// A buffer that grew beyond this for one large event is given back.
const BUFFER: usize = 64 * 1024;

/// How an archive is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    pub folder: PathBuf,
    /// How long events are kept.
    pub keep: Duration,
    /// How many bytes closed segments may have, on the disk.
    pub max_size: u64,
}

/// The archive of this process: appends to segments of its own in a folder that other processes may use, too.
///
/// Nothing is fsynced until a segment is closed: a kill loses nothing, a power cut may lose the last events.
pub struct Segments {
    pub(crate) settings: Settings,
    state: Mutex<State>,
    /// Held while segments are closed and removed.
    pub(crate) tidying: Mutex<Option<Look>>,
    rotated: Notify,
    space: LookUp,
    dropped: fn(u64),
}

/// Looks up the space of a folder's file system.
type LookUp = Box<dyn Fn(&Path) -> io::Result<Space> + Send + Sync>;

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// Segments that this process no longer writes to.
    done: Vec<Name>,
    buffer: Vec<u8>,
    /// What was not kept since the last event that was.
    gap: Option<Gap>,
    /// Bytes written since the free space was looked up; `None` before the first look.
    unlooked: Option<u64>,
}

struct Live {
    name: Name,
    file: File,
    bytes: u64,
    /// It ends with a part of a record.
    is_torn: bool,
    /// Shows other processes that this one runs; `None` where locks prove nothing.
    _lock: Option<Lock>,
}

impl Segments {
    /// `dropped` is called with each number of events that are not kept.
    pub fn new(settings: Settings, dropped: fn(u64)) -> Segments {
        Segments {
            settings,
            state: Mutex::default(),
            tidying: Mutex::default(),
            rotated: Notify::new(),
            space: Box::new(Space::of),
            dropped,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_space(self, space: impl Fn(&Path) -> io::Result<Space> + Send + Sync + 'static) -> Segments {
        Segments { space: Box::new(space), ..self }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Resolves once a segment is complete, so that [`Segments::tidy`] has something to do.
    pub async fn rotated(&self) {
        self.rotated.notified().await;
    }

    /// Ends the live segment if it is old, or if its file is no longer in the folder.
    pub(crate) fn rotate_old(&self, now: Timestamp) {
        let mut state = self.state.lock();
        let Some(live) = &state.live else { return };
        let gone = !live.name.live(&self.settings.folder).exists();
        if gone || self.is_old(live.name, now) {
            state.rotate();
        }
    }

    /// The segments that this process has ended since the last call.
    pub(crate) fn take_done(&self) -> Vec<Name> {
        std::mem::take(&mut self.state.lock().done)
    }

    /// Segments that could not be closed.
    pub(crate) fn put_back(&self, names: Vec<Name>) {
        self.state.lock().done.extend(names);
    }

    fn is_old(&self, name: Name, now: Timestamp) -> bool {
        is_ahead(name.began, now) || now.since(name.began) >= AGE.min(self.settings.keep / SHARE)
    }

    fn is_full(&self, bytes: u64) -> bool {
        bytes >= SEGMENT.min(self.settings.max_size / u64::from(SHARE))
    }

    fn write(&self, state: &mut State, event: &Archived) -> io::Result<()> {
        if state.gap.is_some() || state.unlooked.is_none_or(|unlooked| unlooked >= LOOK) {
            self.look(state)?;
        }
        let ended = |live: &Live| self.is_full(live.bytes) || self.is_old(live.name, event.ended_at);
        if state.live.as_ref().is_some_and(ended) {
            state.rotate();
            self.rotated.notify_one();
        }
        // What is wrong may be the file alone: a limit for its size, or a bad block. An empty one would fare no better.
        let may_be_the_file = state.live.as_ref().is_some_and(|live| live.bytes > 0);
        let mut written = self.append(state, event);
        if written.is_err() && may_be_the_file {
            state.rotate();
            written = self.append(state, event);
        }
        if state.buffer.capacity() > BUFFER {
            state.buffer = Vec::new();
        }
        written
    }

    fn append(&self, state: &mut State, event: &Archived) -> io::Result<()> {
        let live = match state.live.take() {
            Some(live) => live,
            None => create(&self.settings.folder, event.ended_at)?,
        };
        let live = state.live.insert(live);
        state.buffer.clear();
        if let Some(gap) = &state.gap {
            record::write_gap(gap, live.name.mark(), &mut state.buffer)?;
        }
        record::write_event(event, live.name.mark(), &mut state.buffer)?;
        let written = live.append(&state.buffer);
        if live.is_torn {
            state.rotate();
        }
        written?;
        state.unlooked = state.unlooked.map(|unlooked| unlooked + state.buffer.len() as u64);
        Ok(())
    }

    /// Fails if too little space is free.
    fn look(&self, state: &mut State) -> io::Result<()> {
        private::make_folder(&self.settings.folder)?;
        let space = (self.space)(&self.settings.folder)?;
        if !space.suffices() {
            let problem = format!("only {} of {} bytes are free on its disk", space.free, space.total);
            return Err(io::Error::new(io::ErrorKind::StorageFull, problem));
        }
        state.unlooked = Some(0);
        Ok(())
    }
}

impl State {
    fn rotate(&mut self) {
        self.done.extend(self.live.take().map(|live| live.name));
    }
}

impl Live {
    /// Appends all of it or nothing.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes);
        match written {
            Ok(()) => self.bytes += bytes.len() as u64,
            // If this fails too, readers skip what is there of the record, and the file is not used again.
            Err(_) => self.is_torn = self.file.set_len(self.bytes).is_err(),
        }
        written
    }
}

/// How often a new segment is tried.
const TRIES: usize = 3;

/// A new segment. Another process may take one for abandoned that is created but not yet locked; then the next is tried.
fn create(folder: &Path, began: Timestamp) -> io::Result<Live> {
    private::make_folder(folder)?;
    let mut created = try_create(folder, began);
    for _ in 1..TRIES {
        created = created.or_else(|_| try_create(folder, began));
    }
    created
}

fn try_create(folder: &Path, began: Timestamp) -> io::Result<Live> {
    let name = Name::new(began, fastrand::u64(..));
    let path = name.live(folder);
    let lock = Lock::create(&path)?;
    let file = private::append(&path)?;
    Ok(Live { name, file, bytes: 0, is_torn: false, _lock: lock })
}

impl Archive for Segments {
    fn keep(&self, event: Archived) {
        let mut state = self.state.lock();
        match self.write(&mut state, &event) {
            Ok(()) => {
                if let Some(gap) = state.gap.take() {
                    info!(event = "archive-resumed", dropped = gap.dropped, "keeping events in the archive again");
                }
            }
            Err(error) => {
                let gap = state.gap.get_or_insert(Gap { dropped: 0, from: event.ended_at, to: event.ended_at });
                gap.dropped += 1;
                gap.to = event.ended_at;
                if gap.dropped == 1 {
                    warn!(
                        event = "archive-stopped",
                        folder = %self.settings.folder.display(),
                        error = &error as &dyn std::error::Error,
                        "event not kept in the archive: it is delivered all the same, and the next event is tried again"
                    );
                }
                (self.dropped)(1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
