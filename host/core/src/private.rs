//! Files and folders that are their user's alone, whatever the umask says: they hold webhooks.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use tracing::warn;

const FILE: u32 = 0o600;
const FOLDER: u32 = 0o700;

/// Makes a folder, and those above it, where they are missing.
pub fn make_folder(path: &Path) -> io::Result<()> {
    let existed = path.is_dir();
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)?;
    if !existed {
        tighten_folder(path);
    }
    Ok(())
}

/// Makes an empty file, unless there is one. That is tightened, and not opened.
pub fn make(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(FILE).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    tighten(path);
    Ok(())
}

/// Opens a file to append to it, and makes it if it is missing.
pub fn append(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(FILE).open(path)?;
    tighten(path);
    Ok(file)
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

fn set(path: &Path, mode: u32) {
    let Ok(found) = std::fs::metadata(path) else { return };
    if !(found.is_file() || found.is_dir()) || found.permissions().mode() & 0o777 & !mode == 0 {
        return;
    }
    if let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(mode)) {
        warn!(path = %path.display(), error = &error as &dyn std::error::Error, "cannot keep others from reading it");
    }
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
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn files_and_folders_are_their_users_alone_new_or_not() {
        let folder = TempDir::new().expect("folder");
        let (made, file) = (folder.path().join("a/b"), folder.path().join("a/b/file"));
        make_folder(&made).expect("made");
        assert_eq!([mode(&folder.path().join("a")), mode(&made)], [0o700; 2]);
        for open in [make as fn(&Path) -> io::Result<()>, |path| append(path).map(drop)] {
            open(&file).expect("made");
            assert_eq!(mode(&file), 0o600);
            std::fs::set_permissions(&file, Permissions::from_mode(0o664)).expect("loose");
            open(&file).expect("opened");
            assert_eq!(mode(&file), 0o600);
            std::fs::remove_file(&file).expect("removed");
        }
    }

    #[test]
    fn a_folder_that_was_there_is_left_alone_until_it_is_said() {
        let folder = TempDir::new().expect("folder");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("loose");
        make_folder(folder.path()).expect("there");
        assert_eq!(mode(folder.path()), 0o755);
        tighten_folder(folder.path());
        assert_eq!(mode(folder.path()), 0o700);
    }
}
