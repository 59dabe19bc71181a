//! A registry in a folder, for one machine or a shared disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use towpath_files::lock::lock;
use towpath_files::regular;
use towpath_plugin::digest;
use towpath_types::artifacts::{Artifacts, ArtifactsError, Bound, MAX_NAMES, Tag};

/// Locked while an object is replaced.
const LOCK: &str = ".lock";

#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The registry in this folder, which is created with the first object.
    pub fn new(folder: impl Into<PathBuf>) -> Folder {
        Folder(folder.into())
    }

    fn read(&self, key: &str, bound: Bound) -> io::Result<Option<(Vec<u8>, Tag)>> {
        match regular::read(&self.0.join(key), bound.bytes) {
            Ok(bytes) => {
                let tag = Tag(digest(&bytes));
                Ok(Some((bytes, tag)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io::Error::new(error.kind(), format!("{key}: {error}"))),
        }
    }

    fn write(&self, key: &str, bytes: &[u8], state: Option<&Tag>, bound: Bound) -> io::Result<bool> {
        if bytes.len() as u64 > bound.bytes {
            let problem = format!("{key} is larger than {} bytes (the limit)", bound.bytes);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
        }
        let file = self.0.join(key);
        let folder = file.parent().unwrap_or(&self.0);
        fs::create_dir_all(folder)?;
        // Serialises writers of all processes.
        let _lock = lock(&self.0.join(LOCK), bound.time)?;
        if self.read(key, bound)?.map(|(_, tag)| tag).as_ref() != state {
            return Ok(false);
        }
        // An unpredictable name: nobody can have placed a link or a pipe there.
        let unfinished = file.with_added_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
        let written = File::create_new(&unfinished).and_then(|mut new| {
            new.write_all(bytes)?;
            new.sync_all()?;
            fs::rename(&unfinished, &file)
        });
        if let Err(error) = written {
            drop(fs::remove_file(&unfinished));
            return Err(error);
        }
        File::open(folder)?.sync_all()?;
        Ok(true)
    }

    fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.0.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let names = entries.take(MAX_NAMES + 1).map(|entry| entry.map(|entry| entry.file_name().into_string()));
        let mut names: Vec<String> = names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect();
        if names.len() > MAX_NAMES {
            return Err(io::Error::other(format!(
                "{folder} has more than {MAX_NAMES} names: remove what is no longer used"
            )));
        }
        names.sort();
        Ok(names)
    }

    fn failed(folder: &Path, error: &io::Error) -> ArtifactsError {
        ArtifactsError { place: folder.display().to_string(), problem: error.to_string() }
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ArtifactsError> {
        let folder = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        done.map_err(io::Error::from).and_then(|result| result).map_err(|error| Folder::failed(&self.0, &error))
    }
}

#[async_trait]
impl Artifacts for Folder {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    async fn get(&self, key: &str, bound: Bound) -> Result<Option<(Vec<u8>, Tag)>, ArtifactsError> {
        let key = key.to_owned();
        self.off_thread(move |folder| folder.read(&key, bound)).await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, state: Option<&Tag>, bound: Bound) -> Result<bool, ArtifactsError> {
        let key = key.to_owned();
        let state = state.cloned();
        self.off_thread(move |folder| folder.write(&key, &bytes, state.as_ref(), bound)).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, ArtifactsError> {
        let below = folder.to_owned();
        self.off_thread(move |folder| folder.names(&below)).await
    }
}
