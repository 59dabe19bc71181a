//! The folder of a store. Only its user can read it and its files, and its name is fsynced before the store is used.

use std::io;
use std::path::{Path, PathBuf};

use towpath_files::private;

use crate::wal::beside;

/// The database file of a store, in its folder.
pub(crate) const FILE: &str = "towpath.db";

/// How the names of the lock files of hosts begin, in the same folder.
pub(crate) const HOLDER: &str = "holder-";

/// Creates the folder and an empty database file if they are missing, and removes the permissions of other users. A
/// folder that also holds other files keeps its permissions.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    private::make_folder(folder)?;
    let file = folder.join(FILE);
    refuse_links(folder)?;
    // An existing file must not be opened here. Closing any descriptor of a file drops all of this process's POSIX locks
    // on it, SQLite's too. Source: <https://www.sqlite.org/howtocorrupt.html>, section 2.2.
    private::make(&file)?;
    private::tighten(&beside(&file, "-wal"));
    private::tighten(&beside(&file, "-shm"));
    if is_its_own(folder)? {
        private::tighten_folder(folder);
    }
    Ok(())
}

/// Fails if the folder or one of the store's files is a symbolic link. Otherwise another user of the machine could redirect the store.
pub(crate) fn refuse_links(folder: &Path) -> io::Result<()> {
    private::refuse_link(folder)?;
    let file = folder.join(FILE);
    ["", "-wal", "-shm"].into_iter().try_for_each(|suffix| private::refuse_link(&beside(&file, suffix)))
}

/// The path of the file with all links in its parent folders resolved. `SQLITE_OPEN_NOFOLLOW` rejects a link anywhere in
/// the path, but links above the store's folder are allowed.
pub(crate) fn resolved(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default();
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // If the folder cannot be resolved, opening the original path fails and says why.
    folder.canonicalize().map_or_else(|_| file.to_owned(), |folder| folder.join(name))
}

/// The prefixes of the files that hosts and commands put into a store's folder.
const BESIDE: [&str; 6] = [FILE, HOLDER, "pointers.json", "redact.key", "recover-", "secrets"];

/// Whether the folder holds nothing but files of a store.
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
    async fn only_its_user_can_read_a_new_store() {
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

    /// A file may be replaced between the check and the open, so SQLite itself must refuse the link too.
    #[test]
    fn sqlite_follows_links_in_parent_folders_but_not_at_the_file() {
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
    async fn only_its_user_can_read_a_compacted_store() {
        let folder = TempDir::new().expect("folder");
        let file = folder.path().join("towpath.db");
        drop(Store::open(folder.path(), Clock::wall()).expect("store"));
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("loose");
        crate::compact(folder.path()).expect("compacted");
        assert_eq!(mode(&file), 0o600);
    }

    #[tokio::test]
    async fn opening_a_store_removes_others_permissions_except_on_a_folder_with_other_files() {
        let own = [
            "story.jsonl",
            "story.jsonl.1",
            "pointers.json",
            "pointers.json.lock",
            "redact.key",
            "recover-a1b2",
            "holder-a1b2.lock",
            "secrets",
        ];
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
