//! Compiled plugins in this user's cache folder, each under a MAC over the component that it was compiled from.

mod error;
mod key;

use std::fs::{self, DirEntry, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tracing::{debug, warn};

pub use self::error::CacheError;
use self::key::{Bound, Key, MAGIC};
use super::host::{SETTINGS, WASMTIME, host_triple};
use towpath_files::private;
use towpath_files::regular::{self, Links};
use towpath_types::artifacts::MAX_NATIVE;

/// What all entries may have together, in bytes. Those that were not used for longest are removed.
const MAX_ALL: u64 = 2 * 1024 * 1024 * 1024;

/// An entry that is still not whole after this time never will be: whoever wrote it is gone.
const UNFINISHED: Duration = Duration::from_secs(3600);

const MAC_LENGTH: usize = 32;

/// What entries are called behind their names, and what those that are being written are.
const ENTRY: &str = "compiled";
const NEW: &str = "new";

/// A folder of compiled plugins. What is read from it is native code, which no sandbox holds: it is used only if its MAC says
/// that this user's host compiled it from this very component, with this compiler and these settings.
pub struct Cache {
    folder: PathBuf,
    key: Key,
    max_all: u64,
}

impl Cache {
    /// The cache in this folder, under the key in this file; both are made where they are missing. The folder must be this
    /// user's and closed to others, and so must the key.
    pub fn open(folder: &Path, key_file: &Path) -> Result<Cache, CacheError> {
        let unusable = |source| CacheError::Folder { folder: folder.to_owned(), source };
        let open = |problem: String| CacheError::Open { folder: folder.to_owned(), problem };
        // Of a link whoever may write above it says where it leads.
        if folder.is_symlink() {
            return Err(open("is a symbolic link: remove it, then a folder is made".to_owned()));
        }
        private::make_folder(folder).map_err(unusable)?;
        let found = fs::symlink_metadata(folder).map_err(unusable)?;
        if !found.is_dir() {
            return Err(open("is no folder: remove it".to_owned()));
        }
        private::only_mine(&found)
            .map_err(|problem| open(format!("{problem}: run `chmod 700` on it as its owner, or remove it")))?;
        Ok(Cache { folder: folder.to_owned(), key: Key::open(key_file)?, max_all: MAX_ALL })
    }

    /// What was compiled from the component with this digest, by this engine. Whatever else is in its place is as good as
    /// nothing, and said.
    pub(super) fn get(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Vec<u8>> {
        self.find(&Bound::to(engine, digest))
    }

    /// Keeps what this engine compiled from the component with this digest. That it cannot is no error: it is compiled again.
    pub(super) fn put(&self, engine: &wasmtime::Engine, digest: &str, native: &[u8]) {
        self.keep(&Bound::to(engine, digest), native);
    }

    fn find(&self, bound: &Bound) -> Option<Vec<u8>> {
        let file = self.folder.join(bound.file());
        match self.read(&file, bound) {
            Ok(native) => Some(native),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                let (file, problem) = (file.display(), error.to_string());
                warn!(file = %file, problem, "compiled plugin in the cache is not used, compiling it again");
                None
            }
        }
    }

    fn read(&self, file: &Path, bound: &Bound) -> io::Result<Vec<u8>> {
        let opened = regular::open(OpenOptions::new().read(true), file, Links::Refuse)?;
        let used = opened.try_clone()?;
        let entry = regular::read_open(opened, MAX_NATIVE)?;
        let (mac, native) = entry
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.split_at_checked(MAC_LENGTH))
            .ok_or_else(|| foreign("it is cut off, or was written by something else"))?;
        if !self.key.verifies(bound, native, mac) {
            return Err(foreign("it is not what this user's host compiled from this plugin"));
        }
        // The time of its last use, by which entries are removed. A file system that refuses that only removes worse.
        drop(used.set_modified(SystemTime::now()));
        Ok(native.to_vec())
    }

    fn keep(&self, bound: &Bound, native: &[u8]) {
        if let Err(error) = self.write(bound, native).and_then(|()| self.tidy()) {
            debug!(folder = %self.folder.display(), error = %error, "compiled plugin is not kept");
        }
    }

    /// Whoever reads meanwhile reads the old entry or the new one. There is no sync: what a power cut leaves has another MAC.
    fn write(&self, bound: &Bound, native: &[u8]) -> io::Result<()> {
        let whole = (MAGIC.len() + MAC_LENGTH + native.len()) as u64;
        if whole > MAX_NATIVE.min(self.max_all) {
            return Err(io::Error::from(ErrorKind::FileTooLarge));
        }
        let unfinished = self.folder.join(format!("{}.{NEW}", uuid::Uuid::new_v4().simple()));
        let written = private::create(&unfinished).and_then(|mut file| {
            file.write_all(MAGIC)?;
            file.write_all(&self.key.mac(bound, native))?;
            file.write_all(native)?;
            drop(file);
            fs::rename(&unfinished, self.folder.join(bound.file()))
        });
        if written.is_err() {
            drop(fs::remove_file(&unfinished));
        }
        written
    }

    /// Removes what was not used for longest until the rest fits, and what was never finished.
    fn tidy(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)?.filter_map(Result::ok) {
            let Ok(found) = entry.metadata() else { continue };
            let used = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            match kind(&entry) {
                Some(ENTRY) => entries.push((used, found.len(), entry.path())),
                Some(NEW) if used.elapsed().is_ok_and(|age| age > UNFINISHED) => drop(fs::remove_file(entry.path())),
                _ => {}
            }
        }
        entries.sort();
        let mut all: u64 = entries.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in entries {
            if all <= self.max_all {
                break;
            }
            // Another host may have removed it first.
            drop(fs::remove_file(path));
            all = all.saturating_sub(length);
        }
        Ok(())
    }
}

fn kind(entry: &DirEntry) -> Option<&'static str> {
    let name = entry.file_name();
    let extension = Path::new(&name).extension()?.to_str()?;
    [ENTRY, NEW].into_iter().find(|kind| *kind == extension)
}

fn foreign(problem: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem)
}

impl Bound {
    fn to(engine: &wasmtime::Engine, digest: &str) -> Bound {
        let mut compiler = Hashing(Sha256::new());
        compiler.write(format!("{WASMTIME}\n{}\n{SETTINGS}\n", host_triple()).as_bytes());
        engine.precompile_compatibility_hash().hash(&mut compiler);
        Bound { digest: digest.to_owned(), compiler: hex::encode(compiler.0.finalize()) }
    }

    fn file(&self) -> String {
        format!("{}-{}.{ENTRY}", self.digest, self.compiler.get(..16).unwrap_or(&self.compiler))
    }
}

/// Collects what is hashed. The digest is asked for, never the 64 bits.
struct Hashing(Sha256);

impl Hasher for Hashing {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests;
