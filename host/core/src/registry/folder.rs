//! A registry in a folder, for one machine or a shared disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustix::fs::OFlags;

use super::{Artifacts, ArtifactsError, Tag};
use crate::plugin::digest;
use crate::private;

/// The file that is locked while an object is replaced.
const LOCK: &str = ".lock";

/// Objects as files below a folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The registry in this folder. It is made with the first object.
    pub fn new(folder: impl Into<PathBuf>) -> Folder {
        Folder(folder.into())
    }

    fn read(&self, key: &str) -> io::Result<Option<(Vec<u8>, Tag)>> {
        match fs::read(self.0.join(key)) {
            Ok(bytes) => {
                let tag = Tag(digest(&bytes));
                Ok(Some((bytes, tag)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, key: &str, bytes: &[u8], state: Option<&Tag>) -> io::Result<bool> {
        let file = self.0.join(key);
        let folder = file.parent().unwrap_or(&self.0);
        fs::create_dir_all(folder)?;
        // Whoever else writes waits here; the system lets go of the lock when the file is closed, or its process dies.
        let lock = shared(&self.0.join(LOCK), OpenOptions::new().create(true).truncate(false))?;
        lock.lock()?;
        if self.read(key)?.map(|(_, tag)| tag).as_ref() != state {
            return Ok(false);
        }
        let unfinished = file.with_added_extension("new");
        // It is there where a process died; only who has the lock makes one.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut new = shared(&unfinished, OpenOptions::new().create_new(true))?;
        new.write_all(bytes)?;
        new.sync_all()?;
        fs::rename(&unfinished, &file)?;
        File::open(folder)?.sync_all()?;
        Ok(true)
    }

    fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.0.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string()));
        let mut names: Vec<String> = names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect();
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

/// Opens a file to write to it. A registry is for all that its folder is for, so the umask decides who reads it; a link that one of them
/// planted is not followed.
fn shared(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    private::refuse_link(path)?;
    options.write(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

#[async_trait]
impl Artifacts for Folder {
    fn place(&self) -> String {
        self.0.display().to_string()
    }

    async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Tag)>, ArtifactsError> {
        let key = key.to_owned();
        self.off_thread(move |folder| folder.read(&key)).await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, state: Option<&Tag>) -> Result<bool, ArtifactsError> {
        let (key, state) = (key.to_owned(), state.cloned());
        self.off_thread(move |folder| folder.write(&key, &bytes, state.as_ref())).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, ArtifactsError> {
        let below = folder.to_owned();
        self.off_thread(move |folder| folder.names(&below)).await
    }
}
