//! Reading lines from files that grow, and are set aside when they are full.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use towpath_telemetry::story::before;

/// A file that is followed.
pub(crate) struct File {
    path: PathBuf,
    open: Option<fs::File>,
    /// A line that is not whole yet.
    rest: Vec<u8>,
}

impl File {
    /// Follows this file from its end. It need not be there yet.
    pub(crate) fn at_end(path: &Path) -> anyhow::Result<File> {
        let open = match fs::File::open(path) {
            Ok(mut file) => {
                file.seek(SeekFrom::End(0)).with_context(|| format!("reading {}", path.display()))?;
                Some(file)
            }
            Err(_) => None,
        };
        Ok(File { path: path.to_owned(), open, rest: Vec::new() })
    }

    /// The lines that were written since.
    pub(crate) fn lines(&mut self) -> anyhow::Result<Vec<String>> {
        self.read()?;
        // Set aside: what was written last is read, then the new one from its beginning.
        let there = fs::metadata(&self.path).ok().map(|there| there.ino());
        let here = self.open.as_ref().and_then(|file| file.metadata().ok()).map(|here| here.ino());
        if there.is_some() && there != here {
            self.open = fs::File::open(&self.path).ok();
            self.read()?;
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        Ok(String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect())
    }

    fn read(&mut self) -> anyhow::Result<()> {
        if let Some(file) = &mut self.open {
            file.read_to_end(&mut self.rest).with_context(|| format!("reading {}", self.path.display()))?;
        }
        Ok(())
    }
}

/// All lines of a file, behind those of the one that was set aside before it.
pub(crate) fn whole(path: &Path) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for file in [before(path), path.to_owned()] {
        if file.is_file() {
            let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            lines.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
        }
    }
    Ok(lines)
}
