//! Opening files that others may have created: regular files only, up to a size limit.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Limit for a config (of the host or of a plugin) and for a certificate file, in bytes.
pub const MAX_CONFIG: u64 = 4 * 1024 * 1024;

/// Limit for a recorded event, a body, or the expectation of a case, in bytes.
pub const MAX_EVENT: u64 = 32 * 1024 * 1024;

/// Limit for a key file, in bytes.
pub const MAX_KEY: u64 = 16 * 1024;

/// Whether a symbolic link is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    Follow,
    /// A link is an error.
    Refuse,
}

/// Opens a regular file. Anything else is an error that names it. Never blocks: opening a pipe without a writer would
/// hang, and a device would never end. The check is on the open file, so the path cannot be swapped in between.
pub fn open(options: &mut OpenOptions, path: &Path, links: Links) -> io::Result<File> {
    let follow = if links == Links::Refuse { OFlags::NOFOLLOW } else { OFlags::empty() };
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | follow;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path).map_err(|error| {
        let found = if links == Links::Refuse { fs::symlink_metadata(path) } else { fs::metadata(path) };
        // The system's own error for a link or a pipe ("too many levels", "no such device") helps nobody.
        found.ok().and_then(|found| is_regular(path, found.file_type()).err()).unwrap_or(error)
    })?;
    is_regular(path, file.metadata()?.file_type())?;
    Ok(file)
}

pub fn is_regular(path: &Path, kind: FileType) -> io::Result<()> {
    let (what, cure) = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_symlink() => ("a symbolic link, which is not followed", "use the path that it points to"),
        _ if kind.is_dir() => ("a folder, not a regular file", "use another path"),
        _ if kind.is_fifo() => ("a pipe, not a regular file", "use another path"),
        _ => ("a socket or a device, not a regular file", "use another path"),
    };
    Err(io::Error::new(ErrorKind::InvalidInput, format!("{} is {what}: remove it, or {cure}", path.display())))
}

/// Whether the system lets this process write to a file or folder. Opens nothing: closing a database that SQLite has open in this process would
/// drop its locks.
pub fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// Reads a regular file of at most `limit` bytes. The limit holds whatever size the system reports.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_open(open(OpenOptions::new().read(true), path, Links::Follow)?, limit)
}

/// Like [`read`], for a file that must be UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let not_text = |_| io::Error::new(ErrorKind::InvalidData, "not UTF-8");
    String::from_utf8(read(path, limit)?).map_err(not_text)
}

pub fn read_open(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > limit {
        return Err(too_large(limit));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    // The file may grow while it is read.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(ErrorKind::FileTooLarge, format!("larger than {limit} bytes (the limit)"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    /// The error of [`read`]; fails if it blocks.
    fn problem(path: &Path, limit: u64) -> String {
        let (done, said) = mpsc::channel();
        let path = path.to_owned();
        std::thread::spawn(move || done.send(read(&path, limit).map_err(|error| error.to_string())));
        said.recv_timeout(Duration::from_secs(10)).expect("it does not wait").expect_err("it is not read")
    }

    #[test]
    fn only_regular_files_are_opened_and_nothing_blocks() {
        let folder = TempDir::new().expect("folder");
        let at = |name: &str| folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo").success());
        let _socket = UnixListener::bind(at("socket")).expect("a socket");
        std::os::unix::fs::symlink(at("pipe"), at("link")).expect("a link");
        let cases = [("pipe", "a pipe"), ("socket", "a socket"), ("link", "a pipe"), ("", "a folder")];
        for (name, said) in cases {
            assert!(problem(&at(name), 10).contains(said), "{name}: {}", problem(&at(name), 10));
        }
        for device in ["/dev/zero", "/dev/null"] {
            assert!(problem(Path::new(device), 10).contains("a device"), "{device}");
        }
    }

    #[test]
    fn no_more_is_read_than_the_limit_and_a_sparse_file_takes_no_memory() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "12345").expect("written");
        assert_eq!(read(&file, 5).expect("it fits"), b"12345");
        assert!(problem(&file, 4).contains("larger than 4 bytes"));
        File::create(&file).and_then(|file| file.set_len(3 << 30)).expect("a sparse file");
        assert!(problem(&file, 1024).contains("larger than 1024 bytes"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_longer_than_its_reported_size_is_not_read_to_its_end() {
        // The system reports a size of 0 for these.
        let error = read(Path::new("/proc/self/maps"), 8).expect_err("it is longer");
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_link_is_an_error_where_others_could_have_placed_it() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("file");
        let link = folder.path().join("link");
        std::fs::write(&file, "x").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        let opened = |links| open(OpenOptions::new().read(true), &link, links).map_err(|error| error.to_string());
        assert!(opened(Links::Follow).is_ok());
        assert!(opened(Links::Refuse).expect_err("a link").contains("link is a symbolic link"));
    }
}
