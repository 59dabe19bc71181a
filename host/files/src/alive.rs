//! A file whose lock shows whether the process that created it still runs.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::private;
use crate::regular::{self, Links};

/// Which file it is, whatever its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

impl FileId {
    fn of(found: &Metadata) -> FileId {
        FileId { device: found.dev(), inode: found.ino() }
    }
}

/// A locked file. The system releases the lock when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    id: FileId,
    _file: File,
}

impl Lock {
    /// Creates a file and locks it. `None` if a lock on this file system proves nothing. Fails if the path exists, or if
    /// [`remove_abandoned`] removed the file meanwhile; then try another path.
    pub fn create(path: &Path) -> io::Result<Option<Lock>> {
        Lock::create_where(path, proves)
    }

    fn create_where(path: &Path, proves: impl Fn(&File) -> io::Result<bool>) -> io::Result<Option<Lock>> {
        let file = private::create(path)?;
        if !proves(&file)? {
            std::fs::remove_file(path)?;
            return Ok(None);
        }
        file.try_lock().map_err(io::Error::from)?;
        let id = FileId::of(&file.metadata()?);
        // Between its creation and its lock the file looked abandoned.
        match std::fs::symlink_metadata(path) {
            Ok(found) if FileId::of(&found) == id => Ok(Some(Lock { path: path.to_owned(), id, _file: file })),
            _ => Err(io::Error::new(ErrorKind::NotFound, format!("{} was removed", path.display()))),
        }
    }

    pub fn id(&self) -> FileId {
        self.id
    }

    /// Removes the file, then releases the lock.
    pub fn remove(self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// What a file says about the process that created it.
#[derive(Debug)]
pub enum Creator {
    Runs,
    /// It has ended. Nobody else finds that out while this lock is kept.
    Ended(Lock),
    /// The file proves nothing, for this reason.
    Unknown(&'static str),
}

/// Whether the process that created the file with this id at this path still runs.
pub fn creator(path: &Path, id: FileId) -> io::Result<Creator> {
    creator_where(path, id, proves)
}

fn creator_where(path: &Path, id: FileId, proves: impl Fn(&File) -> io::Result<bool>) -> io::Result<Creator> {
    let file = match regular::open(OpenOptions::new().read(true), path, Links::Refuse) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Creator::Unknown("its file is missing")),
        Err(error) => return Err(error),
    };
    if FileId::of(&file.metadata()?) != id {
        return Ok(Creator::Unknown("its file was replaced"));
    }
    if !proves(&file)? {
        return Ok(Creator::Unknown("locks on its file system prove nothing"));
    }
    match file.try_lock() {
        Ok(()) => Ok(Creator::Ended(Lock { path: path.to_owned(), id, _file: file })),
        Err(TryLockError::WouldBlock) => Ok(Creator::Runs),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes a file that [`Lock::create`] made, unless its creator still runs.
pub fn remove_abandoned(path: &Path) -> io::Result<()> {
    let id = FileId::of(&std::fs::symlink_metadata(path)?);
    match creator(path, id)? {
        Creator::Ended(lock) => lock.remove(),
        Creator::Runs | Creator::Unknown(_) => Ok(()),
    }
}

/// Whether a lock on this file is known to end with the process that holds it, and no earlier. Over a network it may get
/// lost while the process runs, and other machines may not see it; in user space its meaning depends on the implementation.
#[cfg(target_os = "linux")]
fn proves(file: &File) -> io::Result<bool> {
    let kind = u32::try_from(rustix::fs::fstatfs(file)?.f_type);
    Ok(kind.is_ok_and(|kind| LOCAL.contains(&kind)))
}

#[cfg(not(target_os = "linux"))]
fn proves(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Local file systems: ext2 to ext4, XFS, Btrfs, ZFS, F2FS, bcachefs, tmpfs, ramfs and overlayfs. Source: `statfs(2)` and
/// `linux/magic.h`.
#[cfg(target_os = "linux")]
const LOCAL: [u32; 9] =
    [0xEF53, 0x5846_5342, 0x9123_683E, 0x2FC1_2FC1, 0xF2F5_2010, 0xCA45_1A4E, 0x0102_1994, 0x8584_58F6, 0x794C_7630];

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    fn made(path: &Path) -> Lock {
        Lock::create(path).expect("created").expect("temporary files are on a local file system")
    }

    #[test]
    fn a_creator_runs_until_its_lock_is_released_and_only_the_same_file_proves_its_end() {
        let folder = TempDir::new().expect("folder");
        let path = folder.path().join("a.lock");
        let lock = made(&path);
        let id = lock.id();
        assert_eq!(std::fs::metadata(&path).expect("file").permissions().mode() & 0o777, 0o600);
        let found = || creator(&path, id).expect("read");
        assert!(matches!(found(), Creator::Runs));
        drop(lock);
        let Creator::Ended(kept) = found() else { panic!("the lock is free") };
        assert!(matches!(found(), Creator::Runs), "one process alone finds it out");
        drop(kept);
        // A file that exists at the same time has another inode.
        let other = folder.path().join("other");
        std::fs::write(&other, "").expect("written");
        std::fs::rename(&other, &path).expect("replaced");
        assert!(matches!(found(), Creator::Unknown("its file was replaced")), "{:?}", found());
        std::fs::remove_file(&path).expect("removed");
        assert!(matches!(found(), Creator::Unknown("its file is missing")), "{:?}", found());
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).expect("planted");
        creator(&path, id).expect_err("a link is not followed");
    }

    #[test]
    fn where_locks_prove_nothing_no_file_is_made_and_none_is_believed() {
        let folder = TempDir::new().expect("folder");
        let path = folder.path().join("a.lock");
        assert!(Lock::create_where(&path, |_| Ok(false)).expect("no error").is_none());
        assert!(!path.exists());
        let id = made(&path).id();
        let found = creator_where(&path, id, |_| Ok(false)).expect("read");
        assert!(matches!(found, Creator::Unknown("locks on its file system prove nothing")), "{found:?}");
    }

    #[test]
    fn file_systems_of_the_network_and_of_user_space_prove_nothing() {
        let magics =
            [("NFS", 0x6969), ("SMB", 0x517B), ("CIFS", 0xFF53_4D42), ("SMB2", 0xFE53_4D42), ("FUSE", 0x6573_5546)];
        let others = [("9P", 0x0102_1997), ("Ceph", 0x00C3_6400), ("AFS", 0x5346_414F), ("GFS2", 0x0116_1970)];
        for (name, magic) in magics.into_iter().chain(others) {
            assert!(!LOCAL.contains(&magic), "{name}");
        }
        assert!(!proves(&File::open("/proc/self/status").expect("file")).expect("read"), "proc is not in the list");
    }

    #[test]
    fn an_abandoned_file_is_removed_and_a_locked_one_is_not() {
        let folder = TempDir::new().expect("folder");
        let path = folder.path().join("a.lock");
        let lock = made(&path);
        remove_abandoned(&path).expect("no error");
        assert!(path.exists(), "its creator runs");
        drop(lock);
        remove_abandoned(&path).expect("removed");
        assert!(!path.exists());
        remove_abandoned(&path).expect_err("there is none");
    }

    #[test]
    fn a_file_that_was_removed_before_it_was_locked_is_not_taken_for_the_lock() {
        let folder = TempDir::new().expect("folder");
        let path = folder.path().join("a.lock");
        let removed = |_: &File| std::fs::remove_file(&path).map(|()| true);
        Lock::create_where(&path, removed).expect_err("it is gone");
        made(&path).remove().expect("removed");
        assert!(!path.exists());
    }
}
