//! A lock between processes: an exclusively locked file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::private;
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

/// The same with a file that is its owner's alone, so that no other user can hold the lock. `None` on a file system without locks.
pub fn lock_if_supported(path: &Path, patience: Duration) -> io::Result<Option<File>> {
    private::make(path)?;
    if_supported(lock(path, patience))
}

fn if_supported(locked: io::Result<File>) -> io::Result<Option<File>> {
    match locked {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        // NFS without its lock service.
        Err(error) if error.raw_os_error() == Some(Errno::NOLCK.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_not_an_error_and_anything_else_is() {
        for missing in [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS] {
            let error = io::Error::from_raw_os_error(missing.raw_os_error());
            assert!(if_supported(Err(error)).expect("no error").is_none(), "{missing}");
        }
        let folder = tempfile::TempDir::new().expect("folder");
        let path = folder.path().join("a.lock");
        let held = lock_if_supported(&path, Duration::ZERO).expect("no error").expect("a lock");
        let error = lock_if_supported(&path, Duration::ZERO).expect_err("it is held");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(held);
    }
}
