//! Learned secrets in the folder of a local store: a file for each, for its user only.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use towpath_files::lock::lock;
use towpath_files::private;
use towpath_types::clock::Timestamp;

use super::learned_store::{LearnedStore, NotReplaced, Version, is_name};
use super::secret::{NotFetched, SecretStore};

/// Its name in the folder of the store.
const FOLDER: &str = "secrets";

/// Locked while a secret is replaced. No secret's name begins with a dot.
const LOCK: &str = ".lock";

/// How long to wait while another process replaces a secret.
const PATIENCE: Duration = Duration::from_secs(5);

/// The folder. It is made with the first secret.
#[derive(Clone, Debug)]
pub struct SecretFolder(PathBuf);

impl SecretFolder {
    /// The learned secrets of the store in this folder.
    pub fn of_store(store: &Path) -> SecretFolder {
        SecretFolder(store.join(FOLDER))
    }

    /// What is stored under this name; `None` if nothing is.
    pub(super) fn look(&self, name: &str) -> io::Result<Option<Version>> {
        if !is_name(name) {
            return Ok(None);
        }
        let file = self.0.join(name);
        let Some(text) = private::read(&file)? else { return Ok(None) };
        let modified = fs::symlink_metadata(&file).and_then(|found| found.modified()).ok();
        let since = modified.and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
        let at = since.and_then(|since| u64::try_from(since.as_millis()).ok()).map(Timestamp);
        Ok(Some(Version { id: text.clone(), text, at }))
    }

    /// Replaces the text if it is still the one that was seen. It survives a power cut from then on.
    fn swap(&self, name: &str, seen: Option<&str>, text: &str) -> io::Result<bool> {
        if !is_name(name) {
            let problem = format!("{name:?} cannot be the name of a learned secret");
            return Err(io::Error::new(ErrorKind::InvalidInput, problem));
        }
        private::make_folder(&self.0)?;
        private::tighten_folder(&self.0);
        // Serialises writers of all processes.
        let _lock = lock(&self.0.join(LOCK), PATIENCE)?;
        if self.look(name)?.map(|found| found.text).as_deref() != seen {
            return Ok(false);
        }
        let unfinished = self.0.join(format!(".{name}.new"));
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let written = private::create(&unfinished).and_then(|mut new| {
            new.write_all(text.as_bytes())?;
            new.sync_all()?;
            fs::rename(&unfinished, self.0.join(name))
        });
        if let Err(error) = written {
            drop(fs::remove_file(&unfinished));
            return Err(error);
        }
        private::sync_path(&self.0)?;
        Ok(true)
    }

    /// Runs something that waits for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(SecretFolder) -> io::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let folder = self.clone();
        let path = self.0.display().to_string();
        let done = tokio::task::spawn_blocking(move || work(folder)).await;
        done.map_err(|error| error.to_string())?.map_err(|error| format!("{path}: {error}"))
    }
}

#[async_trait]
impl LearnedStore for SecretFolder {
    async fn read(&self, name: &str) -> Result<Option<Version>, String> {
        let name = name.to_owned();
        self.run(move |folder| folder.look(&name)).await
    }

    async fn replace(&self, name: &str, seen: Option<&Version>, text: &str) -> Result<(), NotReplaced> {
        let (name, seen, text) = (name.to_owned(), seen.map(|seen| seen.text.clone()), text.to_owned());
        match self.run(move |folder| folder.swap(&name, seen.as_deref(), &text)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotReplaced::Changed),
            Err(problem) => Err(NotReplaced::Failed(problem)),
        }
    }

    async fn settle(&self) -> Result<(), String> {
        self.run(|folder| {
            // A writer that holds the lock has renamed the file, and not synced the folder.
            let _lock = lock(&folder.0.join(LOCK), PATIENCE)?;
            private::sync_path(&folder.0)
        })
        .await
    }

    /// A small file costs nothing to read.
    fn read_every(&self) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl SecretStore for SecretFolder {
    async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
        match self.read(name).await {
            Ok(Some(found)) => Ok(found.text),
            Ok(None) => Err(NotFetched::Unknown("there is no such file".to_owned())),
            Err(problem) => Err(NotFetched::Failed(problem)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_text_is_replaced_only_if_it_is_the_one_that_was_seen() {
        let store = TempDir::new().expect("folder");
        let folder = SecretFolder::of_store(store.path());
        assert!(folder.read("a").await.expect("read").is_none());
        folder.replace("a", None, "one").await.expect("stored");
        assert_eq!(folder.replace("a", None, "two").await, Err(NotReplaced::Changed));
        let seen = folder.read("a").await.expect("read").expect("a text");
        assert_eq!((seen.text.as_str(), seen.at.is_some()), ("one", true));
        folder.replace("a", Some(&seen), "two").await.expect("stored");
        assert_eq!(folder.replace("a", Some(&seen), "three").await, Err(NotReplaced::Changed));
        assert_eq!(folder.fetch("a").await.as_deref(), Ok("two"));
    }

    #[tokio::test]
    async fn only_its_user_can_read_it_and_nothing_unfinished_stays() {
        let store = TempDir::new().expect("folder");
        let folder = SecretFolder::of_store(&store.path().join("new"));
        folder.replace("a", None, "one").await.expect("stored");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!((mode(&folder.0), mode(&folder.0.join("a"))), (0o700, 0o600));
        let mut names: Vec<_> =
            fs::read_dir(&folder.0).expect("read").map(|file| file.expect("file").file_name()).collect();
        names.sort();
        assert_eq!(names, [LOCK, "a"]);
    }

    #[tokio::test]
    async fn what_a_crash_left_unfinished_is_replaced_and_never_read() {
        let store = TempDir::new().expect("folder");
        let folder = SecretFolder::of_store(store.path());
        folder.replace("a", None, "one").await.expect("stored");
        fs::write(folder.0.join(".a.new"), "hal").expect("written");
        let seen = folder.read("a").await.expect("read").expect("a text");
        assert_eq!(seen.text, "one");
        folder.replace("a", Some(&seen), "two").await.expect("stored");
        assert_eq!(folder.fetch("a").await.as_deref(), Ok("two"));
    }

    #[tokio::test]
    async fn a_name_leads_to_no_other_file() {
        let store = TempDir::new().expect("folder");
        let folder = SecretFolder::of_store(store.path());
        for name in ["../a", "a/b", ".lock", "", "a\0b"] {
            assert!(folder.read(name).await.expect("nothing").is_none(), "{name}");
            assert!(matches!(folder.replace(name, None, "x").await, Err(NotReplaced::Failed(_))), "{name}");
        }
    }
}
