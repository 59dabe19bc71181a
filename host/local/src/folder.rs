//! The folder of a store: it and what is in it are its user's alone, and on the disk before anything is promised.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use towpath_files::private;

use crate::wal::beside;

/// The file of a store in its folder.
pub(crate) const FILE: &str = "towpath.db";

/// Makes the folder and an empty file for the store where they are missing, and takes the rights of all others on them.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    private::make_folder(folder)?;
    let file = folder.join(FILE);
    refuse_links(folder)?;
    // It is not opened if it is there: closing it would lose the locks that SQLite has on it for others in this process.
    private::make(&file)?;
    private::tighten(&beside(&file, "-wal"));
    private::tighten(&beside(&file, "-shm"));
    if is_its_own(folder)? {
        private::tighten_folder(folder);
    }
    Ok(())
}

/// Fails if the folder, or a file of the store in it, is a symbolic link: somebody who planted it would have the store elsewhere.
pub(crate) fn refuse_links(folder: &Path) -> io::Result<()> {
    private::refuse_link(folder)?;
    let file = folder.join(FILE);
    ["", "-wal", "-shm"].into_iter().try_for_each(|suffix| private::refuse_link(&beside(&file, suffix)))
}

/// The file with all links above it followed: of those SQLite follows none where it is told not to follow the file itself.
pub(crate) fn resolved(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What cannot be resolved cannot be opened either.
    folder.canonicalize().map_or_else(|_| file.to_owned(), |folder| folder.join(name))
}

/// Puts the names of the folder's files on the disk, and its own name, and those of the folders above it that may be new.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    let folder = folder.canonicalize()?;
    private::sync_folder(&folder)?;
    for above in folder.ancestors().skip(1) {
        match private::sync_folder(above) {
            // Somebody else's, so nothing in it is new.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
            synced => synced?,
        }
    }
    Ok(())
}

/// What else hosts and commands put beside a store: how the names begin.
const BESIDE: [&str; 4] = [FILE, "pointers.json", "redact.key", "recover-"];

/// Whether there is nothing in the folder but what belongs to a store.
fn is_its_own(folder: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let is_own = BESIDE.iter().any(|start| name.starts_with(start));
        if !is_own && !name.ends_with(".jsonl") && !name.contains(".jsonl.") {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;
    use towpath_types::clock::Clock;

    use super::*;
    use crate::Store;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn a_new_store_is_its_users_alone() {
        let folder = TempDir::new().expect("folder");
        let folder = folder.path().join("a/store");
        let _store = Store::open(&folder, Clock::wall()).expect("store");
        for folder in [folder.parent().expect("a"), &folder] {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        for name in ["towpath.db", "towpath.db-wal", "towpath.db-shm"] {
            assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn a_link_planted_at_a_path_of_the_store_is_an_error_that_names_it() {
        for (name, before) in
            [("", false), ("/towpath.db", false), ("/towpath.db-wal", true), ("/towpath.db-shm", true)]
        {
            let above = TempDir::new().expect("folder");
            let folder = above.path().join("store");
            let elsewhere = above.path().join("elsewhere");
            if before {
                drop(Store::open(&folder, Clock::wall()).expect("store"));
            }
            let planted = above.path().join(format!("store{name}"));
            match name {
                "" => std::fs::create_dir(&elsewhere).expect("made"),
                _ => private::make_folder(&folder).expect("made"),
            }
            let _ = std::fs::remove_file(&planted);
            std::os::unix::fs::symlink(&elsewhere, &planted).expect("planted");
            let said = |error: crate::StoreError| std::error::Error::source(&error).expect("a cause").to_string();
            let errors = [
                Store::open(&folder, Clock::wall()).err(),
                Store::look(&folder, Clock::wall()).err(),
                crate::compact(&folder).err(),
                crate::recover(&folder, &above.path().join("saved"), &Default::default()).err(),
                crate::recover(&above.path().join("damaged"), &folder, &Default::default()).err(),
            ];
            for (number, error) in errors.into_iter().enumerate() {
                let error = said(error.unwrap_or_else(|| panic!("{number} follows the link {name:?}")));
                let named = format!("{} is a symbolic link", planted.display());
                assert!(error.contains(&named), "{number}: {error}");
            }
            let made = elsewhere.is_file() || elsewhere.is_dir() && elsewhere.read_dir().expect("read").count() > 0;
            assert!(!made, "{name:?}: nothing is made where the link points to");
        }
    }

    /// What is checked may be replaced before it is opened: SQLite does not follow the link either.
    #[test]
    fn sqlite_follows_no_link_at_the_end_and_those_above_it() {
        let above = TempDir::new().expect("folder");
        let real = above.path().join("real");
        let link = above.path().join("link");
        std::fs::create_dir(&real).expect("made");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        let _store = Store::open(&link.join("store"), Clock::wall()).expect("a folder above may be a link");
        let planted = real.join("planted.db");
        std::os::unix::fs::symlink(real.join("store/towpath.db"), &planted).expect("planted");
        for file in [&planted, &link.join("planted.db")] {
            assert!(crate::connection::connect(file).is_err(), "{}", file.display());
            let readers = crate::reader::Readers::of(file);
            assert!(readers.read(crate::connection::version).is_err(), "{}", file.display());
        }
    }

    #[tokio::test]
    async fn a_store_that_is_compacted_is_its_users_alone_too() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("towpath.db");
        drop(Store::open(folder.path(), Clock::wall()).expect("store"));
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("loose");
        crate::compact(folder.path()).expect("compacted");
        assert_eq!(mode(&file), 0o600);
    }

    #[tokio::test]
    async fn a_store_that_others_may_read_is_tightened_and_a_folder_with_other_things_is_not() {
        let own = ["story.jsonl", "story.jsonl.1", "pointers.json", "pointers.json.lock", "redact.key", "recover-a1b2"];
        for (beside, expected) in own.map(|name| (name, 0o700)).into_iter().chain([("towpath.toml", 0o755)]) {
            let above = TempDir::new().expect("folder");
            let folder = above.path().join("store");
            let open = Store::open(&folder, Clock::wall()).expect("store");
            std::fs::write(folder.join(beside), "").expect("written");
            std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("loose");
            for name in ["towpath.db", "towpath.db-wal", "towpath.db-shm"] {
                std::fs::set_permissions(folder.join(name), Permissions::from_mode(0o644)).expect("loose");
            }
            let _again = Store::open(&folder, Clock::wall()).expect("store");
            for name in ["towpath.db", "towpath.db-wal", "towpath.db-shm"] {
                assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
            }
            assert_eq!(mode(&folder), expected, "beside {beside}");
            drop(open);
        }
    }
}
