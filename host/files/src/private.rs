//! Files and folders that are their user's alone, whatever the umask says: they hold webhooks.
//!
//! The last name of a path is never a symbolic link that is followed, and never anything but a file, or a folder: who can write to the
//! folder above could otherwise choose what is overwritten, or where webhooks are copied to.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use rustix::fs::OFlags;
use tempfile::TempDir;
use tracing::warn;

use crate::regular::{self, Links};

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

/// Makes a folder, and those above it, where they are missing.
pub fn make_folder(path: &Path) -> io::Result<()> {
    refuse_link(path)?;
    let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    for folder in missing.collect::<Vec<_>>().into_iter().rev() {
        match DirBuilder::new().mode(FOLDER).create(folder) {
            // A umask may take what its owner needs.
            Ok(()) if mode(folder)? != FOLDER => std::fs::set_permissions(folder, Permissions::from_mode(FOLDER))?,
            Err(error) if error.kind() != ErrorKind::AlreadyExists || !folder.is_dir() => return Err(error),
            _ => {}
        }
    }
    match path.as_os_str().is_empty() || path.is_dir() {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::NotADirectory, format!("{} is not a folder", path.display()))),
    }
}

/// Makes an empty file, unless there is one. That is tightened, and not opened.
pub fn make(path: &Path) -> io::Result<()> {
    match create(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    regular::is_regular(path, std::fs::symlink_metadata(path)?.file_type())?;
    tighten(path);
    Ok(())
}

/// Makes a file that is not there yet.
pub fn create(path: &Path) -> io::Result<File> {
    made(OpenOptions::new().write(true), path)
}

/// Makes a file that is not there yet, with this in it.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path)?.write_all(bytes)
}

/// Copies a file to one that is not there yet.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut regular::open(OpenOptions::new().read(true), from, Links::Refuse)?, &mut create(to)?).map(drop)
}

/// Opens a file to append to it, and makes it if it is missing.
pub fn append(path: &Path) -> io::Result<File> {
    match made(OpenOptions::new().append(true), path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => tight(OpenOptions::new().append(true), path),
        made => made,
    }
}

/// Opens a file to read it and to write to it.
pub fn update(path: &Path) -> io::Result<File> {
    tight(OpenOptions::new().read(true).write(true), path)
}

/// Reads a file; `None` if there is none. The end of one that a crash has torn may be no text.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match tight(OpenOptions::new().read(true), path) {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A folder that is removed with this, in the system's folder for such or in another.
pub fn passing_folder(prefix: &str, inside: Option<&Path>) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).permissions(Permissions::from_mode(FOLDER));
    let folder = match inside {
        Some(above) => builder.tempdir_in(above),
        None => builder.tempdir(),
    }?;
    if mode(folder.path())? != FOLDER {
        std::fs::set_permissions(folder.path(), Permissions::from_mode(FOLDER))?;
    }
    Ok(folder)
}

/// Fails if this is a symbolic link.
pub fn refuse_link(path: &Path) -> io::Result<()> {
    // A slash at its end would follow it.
    let path: PathBuf = path.components().collect();
    match std::fs::symlink_metadata(&path) {
        Ok(found) if found.is_symlink() => regular::is_regular(&path, found.file_type()),
        _ => Ok(()),
    }
}

/// Whether a file or folder is this user's, and nobody else may read or write it; else what is wrong.
pub fn only_mine(found: &Metadata) -> Result<(), &'static str> {
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err("belongs to another user");
    }
    match found.permissions().mode() & 0o077 {
        0 => Ok(()),
        mode if mode & 0o022 != 0 => Err("can be written by other users"),
        _ => Err("can be read by other users"),
    }
}

/// Takes the rights of all others on a file, if it is there.
pub fn tighten(path: &Path) {
    set(path, FILE);
}

/// Takes the rights of all others on a folder.
pub fn tighten_folder(path: &Path) {
    set(path, FOLDER);
}

/// Makes a file that is not there yet. Its rights are those of its owner: a umask may take them.
fn made(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.create_new(true).mode(FILE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != FILE {
        file.set_permissions(Permissions::from_mode(FILE))?;
    }
    Ok(file)
}

/// Opens a file that is there, and takes the rights of all others on it.
fn tight(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = regular::open(options, path, Links::Refuse)?;
    if file.metadata()?.permissions().mode() & 0o777 & !FILE != 0 {
        warn_if_loose(path, file.set_permissions(Permissions::from_mode(FILE)));
    }
    Ok(file)
}

fn set(path: &Path, right: u32) {
    match set_unopened(path, right) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        tightened => warn_if_loose(path, tightened),
    }
}

/// Neither follows a link nor opens the file: to close a database that SQLite has open in this process would drop SQLite's locks (POSIX,
/// `fcntl`).
#[cfg(target_os = "linux")]
fn set_unopened(path: &Path, right: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    // `fchmodat` takes AT_SYMLINK_NOFOLLOW only as `fchmodat2`, since Linux 6.6. O_PATH names the file without opening it.
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let named = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    match is_loose(&named.metadata()?, right) {
        true => std::fs::set_permissions(format!("/proc/self/fd/{}", named.as_raw_fd()), Permissions::from_mode(right)),
        false => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn set_unopened(path: &Path, right: u32) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Mode};

    match is_loose(&std::fs::symlink_metadata(path)?, right) {
        true => Ok(rustix::fs::chmodat(CWD, path, Mode::from_bits_truncate(right as _), AtFlags::SYMLINK_NOFOLLOW)?),
        false => Ok(()),
    }
}

fn is_loose(found: &Metadata, right: u32) -> bool {
    (found.is_file() || found.is_dir()) && found.permissions().mode() & 0o777 & !right != 0
}

fn warn_if_loose(path: &Path, tightened: io::Result<()>) {
    if let Err(error) = tightened {
        warn!(path = %path.display(), error = &error as &dyn std::error::Error, "cannot keep others from reading it");
    }
}

fn mode(path: &Path) -> io::Result<u32> {
    Ok(std::fs::symlink_metadata(path)?.permissions().mode() & 0o777)
}

/// Puts a folder on the disk: the names in it, not what is in its files.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Not every file system has this for folders, and those that have not need none.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests;
