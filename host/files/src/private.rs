//! Files and folders for their owner only, whatever the umask: they hold webhooks.
//!
//! The last component of a path is never a followed symbolic link, and never anything but a file or a folder. Otherwise
//! whoever can write to the parent folder could choose what is overwritten, or where webhooks are copied to.

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

/// Creates a folder and its missing parents.
pub fn make_folder(path: &Path) -> io::Result<()> {
    refuse_link(path)?;
    let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    for folder in missing.collect::<Vec<_>>().into_iter().rev() {
        match DirBuilder::new().mode(FOLDER).create(folder) {
            // A umask may remove the owner's rights.
            Ok(()) if mode(folder)? != FOLDER => std::fs::set_permissions(folder, Permissions::from_mode(FOLDER))?,
            Err(error) if error.kind() != ErrorKind::AlreadyExists || !folder.is_dir() => return Err(error),
            _ => {}
        }
    }
    if path.as_os_str().is_empty() || path.is_dir() {
        Ok(())
    } else {
        Err(io::Error::new(ErrorKind::NotADirectory, format!("{} is not a folder", path.display())))
    }
}

/// Creates an empty file. An existing one is not opened, only made private.
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

/// Creates a file; fails if it exists.
pub fn create(path: &Path) -> io::Result<File> {
    made(OpenOptions::new().write(true), path)
}

/// Creates a file with this content; fails if it exists.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path)?.write_all(bytes)
}

/// Replaces a file by one with this content. After a power cut it is the old or the new one, and whole.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("tmp");
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    sync_folder(path.parent().unwrap_or(Path::new("")))
}

/// Copies to a new file; fails if the destination exists.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut regular::open(OpenOptions::new().read(true), from, Links::Refuse)?, &mut create(to)?).map(drop)
}

/// Opens a file to append to it; creates it if it is missing.
pub fn append(path: &Path) -> io::Result<File> {
    match made(OpenOptions::new().append(true), path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => tight(OpenOptions::new().append(true), path),
        made => made,
    }
}

/// Opens an existing file for reading and writing.
pub fn update(path: &Path) -> io::Result<File> {
    tight(OpenOptions::new().read(true).write(true), path)
}

/// Reads a file; `None` if there is none. Invalid UTF-8 is replaced: a crash may have torn its end.
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

/// A private temporary folder, removed on drop, in the system's temporary folder or in `inside`.
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
    // With a trailing slash the link would be followed.
    let path: PathBuf = path.components().collect();
    match std::fs::symlink_metadata(&path) {
        Ok(found) if found.is_symlink() => regular::is_regular(&path, found.file_type()),
        _ => Ok(()),
    }
}

/// Whether only this user can read and write a file or folder; else what is wrong.
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

/// Removes everybody else's rights on a file, if it exists.
pub fn tighten(path: &Path) {
    set(path, FILE);
}

/// Removes everybody else's rights on a folder.
pub fn tighten_folder(path: &Path) {
    set(path, FOLDER);
}

/// Creates a file; fails if it exists. Restores the owner's rights, which a umask may remove.
fn made(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.create_new(true).mode(FILE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != FILE {
        file.set_permissions(Permissions::from_mode(FILE))?;
    }
    Ok(file)
}

/// Opens an existing file and removes everybody else's rights on it.
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

/// Neither follows a link nor opens the file: closing a database that SQLite has open in this process would drop
/// SQLite's locks (POSIX, `fcntl`).
#[cfg(target_os = "linux")]
fn set_unopened(path: &Path, right: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    // `fchmodat` takes AT_SYMLINK_NOFOLLOW only as `fchmodat2`, since Linux 6.6. O_PATH names the file without opening it.
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let named = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if is_loose(&named.metadata()?, right) {
        std::fs::set_permissions(format!("/proc/self/fd/{}", named.as_raw_fd()), Permissions::from_mode(right))
    } else {
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
fn set_unopened(path: &Path, right: u32) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Mode};

    if is_loose(&std::fs::symlink_metadata(path)?, right) {
        Ok(rustix::fs::chmodat(CWD, path, Mode::from_bits_truncate(right as _), AtFlags::SYMLINK_NOFOLLOW)?)
    } else {
        Ok(())
    }
}

fn is_loose(found: &Metadata, right: u32) -> bool {
    (found.is_file() || found.is_dir()) && found.permissions().mode() & 0o777 & !right != 0
}

fn warn_if_loose(path: &Path, tightened: io::Result<()>) {
    if let Err(error) = tightened {
        warn!(path = %path.display(), error = &error as &dyn std::error::Error, "file permissions cannot be corrected, other users may be able to read the file");
    }
}

fn mode(path: &Path) -> io::Result<u32> {
    Ok(std::fs::symlink_metadata(path)?.permissions().mode() & 0o777)
}

/// Fsyncs a folder: the names in it, not the contents of its files.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Not every file system supports this for folders; those that do not need none.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Fsyncs the folder, then the folders above it. A new file or folder survives a power cut only once the folder that
/// holds its name is fsynced, and any folder above may be new too. Source: `fsync(2)`.
pub fn sync_path(folder: &Path) -> io::Result<()> {
    let folder = folder.canonicalize()?;
    sync_folder(&folder)?;
    for above in folder.ancestors().skip(1) {
        match sync_folder(above) {
            // This user cannot have created anything in a folder that it may not open.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
            synced => synced?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
