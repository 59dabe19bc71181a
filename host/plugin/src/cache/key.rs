//! The key of the cache: this user's secret, created by the first host that needs one.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

use super::error::CacheError;
use towpath_files::private;
use towpath_files::regular::{self, Links};

/// The header of an entry. The MAC follows, then the native code.
pub(super) const MAGIC: &[u8] = b"towpath compiled 1\n";
/// What compiled code is bound to: a component, and everything that determines its native code.
pub(super) struct Bound {
    pub(super) digest: String,
    pub(super) compiler: String,
}
const LENGTH: usize = 32;

/// Authenticates entries.
pub(super) struct Key([u8; LENGTH]);

impl Key {
    /// Reads the key from this file, or creates it.
    pub(super) fn open(file: &Path) -> Result<Key, CacheError> {
        let unusable = |source| CacheError::KeyFile { file: file.to_owned(), source };
        match Key::read(file)? {
            Some(key) => return Ok(key),
            None => Key::make(file).map_err(unusable)?,
        }
        // If several hosts start at once, one of them creates it.
        Key::read(file)?.ok_or_else(|| unusable(ErrorKind::NotFound.into()))
    }

    fn read(file: &Path) -> Result<Option<Key>, CacheError> {
        let unusable = |source| CacheError::KeyFile { file: file.to_owned(), source };
        let unsafe_for = |problem: &str| CacheError::Key { file: file.to_owned(), problem: problem.to_owned() };
        let opened = match regular::open(OpenOptions::new().read(true), file, Links::Refuse) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(error)),
        };
        private::only_mine(&opened.metadata().map_err(unusable)?).map_err(unsafe_for)?;
        let bytes = regular::read_open(opened, regular::MAX_KEY).map_err(unusable)?;
        let key = bytes.try_into().map_err(|_| unsafe_for("is not a key of 32 bytes"))?;
        Ok(Some(Key(key)))
    }

    /// Creates the file atomically, unless it exists.
    fn make(file: &Path) -> io::Result<()> {
        let mut key = [0; LENGTH];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| io::Error::other("the system's random number generator failed"))?;
        if let Some(folder) = file.parent() {
            private::make_folder(folder)?;
        }
        let unfinished = file.with_added_extension(uuid::Uuid::new_v4().simple().to_string());
        let mut written = private::create(&unfinished)?;
        let linked = written.write_all(&key).and_then(|()| fs::hard_link(&unfinished, file));
        drop(fs::remove_file(&unfinished));
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// The MAC of compiled code. Fields of fixed length come before the code, so no two inputs are the same bytes.
    pub(super) fn mac(&self, bound: &Bound, native: &[u8]) -> Vec<u8> {
        let length = |part: &str| (part.len() as u64).to_be_bytes();
        let Bound { digest, compiler } = bound;
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        for piece in [MAGIC, &length(digest), digest.as_bytes(), &length(compiler), compiler.as_bytes(), native] {
            mac.update(piece);
        }
        mac.sign().as_ref().to_vec()
    }

    /// Verifies the MAC in constant time.
    pub(super) fn verifies(&self, bound: &Bound, native: &[u8], mac: &[u8]) -> bool {
        self.mac(bound, native).ct_eq(mac).into()
    }
}
