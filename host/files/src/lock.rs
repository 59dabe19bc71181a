//! A lock between processes: an exclusively locked file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::regular::{self, Links};

/// The interval between attempts to take the lock.
const EVERY: Duration = Duration::from_millis(10);

/// Locks this file, which is created if it is missing. The system releases the lock when the file is closed or its
/// process dies. A lock that is held for longer than `patience` is an error; so is a pipe in its place, which would
/// block forever.
pub fn lock(path: &Path, patience: Duration) -> io::Result<File> {
    let file = regular::open(OpenOptions::new().write(true).create(true).truncate(false), path, Links::Refuse)?;
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if started.elapsed() < patience => std::thread::sleep(EVERY),
            Err(TryLockError::WouldBlock) => {
                let problem =
                    format!("the lock {} is held by another process; gave up after {patience:?}", path.display());
                return Err(io::Error::new(ErrorKind::TimedOut, problem));
            }
        }
    }
}
