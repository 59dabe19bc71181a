//! The names of segments: the time of the first event, and a random id that is also the mark of the segment's records.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use towpath_types::clock::Timestamp;

/// A segment that a process appends to.
const LIVE: &str = "live";

/// A segment that is complete and compressed.
const CLOSED: &str = "zst";

/// A segment that is being compressed.
const UNFINISHED: &str = "tmp";

/// Which segment it is: `0001767225600000-9f86d081884c7d65`. Sorts by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Name {
    /// When its first event ended.
    pub(crate) began: Timestamp,
    id: u64,
}

impl Name {
    pub(crate) fn new(began: Timestamp, id: u64) -> Name {
        Name { began, id }
    }

    /// What each record of the segment begins with. Senders cannot know it, so no body can be mistaken for a record.
    pub(crate) fn mark(self) -> [u8; 8] {
        self.id.to_be_bytes()
    }

    pub(crate) fn live(self, folder: &Path) -> PathBuf {
        folder.join(format!("{self}.{LIVE}"))
    }

    pub(crate) fn closed(self, folder: &Path) -> PathBuf {
        folder.join(format!("{self}.{CLOSED}"))
    }

    /// `by` is random: where locks prove nothing, two processes may close one segment.
    pub(crate) fn unfinished(self, folder: &Path, by: u64) -> PathBuf {
        folder.join(format!("{self}.{by:016x}.{UNFINISHED}"))
    }

    /// The segment and the extension of a file; `None` for a file that is none of the archive's.
    fn of(file: &str) -> Option<(Name, &str)> {
        let (stem, extension) = file.rsplit_once('.')?;
        let stem = match stem.split_once('.') {
            Some((stem, by)) if extension == UNFINISHED && u64::from_str_radix(by, 16).is_ok() => stem,
            _ => stem,
        };
        let (began, id) = stem.split_once('-')?;
        let name = Name { began: Timestamp(began.parse().ok()?), id: u64::from_str_radix(id, 16).ok()? };
        Some((name, extension)).filter(|_| name.to_string() == stem)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}-{:016x}", self.began.0, self.id)
    }
}

/// The sizes of a segment's files, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Files {
    pub(crate) live: Option<u64>,
    pub(crate) closed: Option<u64>,
    /// Of all that are being written, or that a crash left.
    pub(crate) unfinished: Option<u64>,
}

impl Files {
    pub(crate) fn bytes(&self) -> u64 {
        [self.live, self.closed, self.unfinished].into_iter().flatten().sum()
    }
}

/// The segments in a folder, oldest first. A missing folder has none.
///
/// The folder is listed twice: a segment that is closed meanwhile may be missing from the first list under both names, because
/// its new name was not yet there and its old one no longer, but not from the second.
pub(crate) fn list(folder: &Path) -> io::Result<BTreeMap<Name, Files>> {
    let mut found = listed(folder)?;
    for (name, files) in listed(folder)? {
        found.entry(name).or_insert(files);
    }
    Ok(found)
}

/// The unfinished files of this segment, or of all.
pub(crate) fn unfinished(of: Option<Name>, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let Some((name, UNFINISHED)) = file.to_str().and_then(Name::of) else { continue };
        if of.is_none_or(|of| of == name) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn listed(folder: &Path) -> io::Result<BTreeMap<Name, Files>> {
    let mut found = BTreeMap::<Name, Files>::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let file = entry.file_name();
        let Some((name, extension)) = file.to_str().and_then(Name::of) else { continue };
        let size = match entry.metadata() {
            Ok(size) => Some(size.len()),
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        match extension {
            LIVE => found.entry(name).or_default().live = size,
            CLOSED => found.entry(name).or_default().closed = size,
            UNFINISHED => {
                let unfinished = &mut found.entry(name).or_default().unfinished;
                *unfinished = Some(unfinished.unwrap_or_default() + size.unwrap_or_default());
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn only_files_of_segments_are_listed_and_the_oldest_is_first() {
        let folder = TempDir::new().expect("folder");
        let [young, old] = [Name::new(Timestamp(1_767_225_600_000), 7), Name::new(Timestamp(9), u64::MAX)];
        std::fs::write(young.live(folder.path()), "12").expect("written");
        std::fs::write(old.closed(folder.path()), "123").expect("written");
        std::fs::write(old.unfinished(folder.path(), 1), "1").expect("written");
        std::fs::write(old.unfinished(folder.path(), 2), "12").expect("written");
        for other in ["notes.txt", "1-2.live", "0000000000000009-ffffffffffffffff.bak", "x-y.zst", ".zst"] {
            std::fs::write(folder.path().join(other), "x").expect("written");
        }
        let found = list(folder.path()).expect("listed");
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [old, young]);
        assert_eq!(found[&old], Files { live: None, closed: Some(3), unfinished: Some(3) });
        assert_eq!(unfinished(Some(old), folder.path()).expect("listed").len(), 2);
        assert_eq!(found[&young].bytes(), 2);
        assert!(list(&folder.path().join("missing")).expect("listed").is_empty());
    }
}
