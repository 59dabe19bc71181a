//! Compiled plugins in this user's cache folder, each under a MAC that binds it to its component.

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

/// Size limit of all entries, in bytes. The least recently used ones are evicted.
const MAX_ALL: u64 = 2 * 1024 * 1024 * 1024;

/// An entry that is still incomplete after this long was abandoned by its writer.
const UNFINISHED: Duration = Duration::from_secs(3600);

const MAC_LENGTH: usize = 32;

/// Extensions of entries, complete and unfinished.
const ENTRY: &str = "compiled";
const NEW: &str = "new";

/// A folder of compiled plugins. Its content is native code, which no sandbox contains: it is used only if its MAC
/// proves that this user's host compiled it from this component, with this compiler and these settings.
pub struct Cache {
    folder: PathBuf,
    key: Key,
    max_all: u64,
}

impl Cache {
    /// Opens the cache in this folder, with the key in this file; creates both if they are missing. Folder and key must
    /// belong to this user and be private.
    pub fn open(folder: &Path, key_file: &Path) -> Result<Cache, CacheError> {
        let unusable = |source| CacheError::Folder { folder: folder.to_owned(), source };
        let open = |problem: String| CacheError::Open { folder: folder.to_owned(), problem };
        // Whoever can write to its parent could point a link anywhere.
        if folder.is_symlink() {
            return Err(open("is a symbolic link: remove it, and a folder will be created".to_owned()));
        }
        private::make_folder(folder).map_err(unusable)?;
        let found = fs::symlink_metadata(folder).map_err(unusable)?;
        if !found.is_dir() {
            return Err(open("is not a folder: remove it".to_owned()));
        }
        private::only_mine(&found)
            .map_err(|problem| open(format!("{problem}: run `chmod 700` on it as its owner, or remove it")))?;
        Ok(Cache { folder: folder.to_owned(), key: Key::open(key_file)?, max_all: MAX_ALL })
    }

    /// The code that this engine compiled from the component with this digest. An invalid entry counts as missing, and
    /// is logged.
    pub(super) fn get(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Vec<u8>> {
        self.find(&Bound::to(engine, digest))
    }

    /// Stores the code that this engine compiled from the component with this digest. Failing to is not an error: it
    /// will be compiled again.
    pub(super) fn put(&self, engine: &wasmtime::Engine, digest: &str, native: &[u8]) {
        self.keep(&Bound::to(engine, digest), native);
    }

    fn find(&self, bound: &Bound) -> Option<Vec<u8>> {
        let file = self.folder.join(bound.file());
        match self.read(&file, bound) {
            Ok(native) => Some(native),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                let file = file.display();
                let problem = error.to_string();
                warn!(file = %file, problem, "invalid entry in the plugin cache, compiling again");
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
            .ok_or_else(|| foreign("it is truncated, or not a cache entry"))?;
        if !self.key.verifies(bound, native, mac) {
            return Err(foreign("its MAC is wrong: this user's host did not compile it from this plugin"));
        }
        // Records its last use, for eviction. Where the file system does not support it, eviction is only less precise.
        drop(used.set_modified(SystemTime::now()));
        Ok(native.to_vec())
    }

    fn keep(&self, bound: &Bound, native: &[u8]) {
        if let Err(error) = self.write(bound, native).and_then(|()| self.tidy()) {
            debug!(folder = %self.folder.display(), error = %error, "compiled plugin could not be cached");
        }
    }

    /// Concurrent readers see the old entry or the new one. No fsync: what a power cut leaves behind fails its MAC.
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

    /// Evicts the least recently used entries until the rest fits, and removes abandoned ones.
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

/// Collects the hashed bytes. Only the digest is read, never the 64-bit hash.
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
