//! Reads lines from a file that grows and is rotated when it is full.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use towpath_telemetry::story::before;

/// A file that is followed across rotations.
pub struct FollowedFile {
    path: PathBuf,
    open: Option<fs::File>,
    /// The beginning of an incomplete line.
    rest: Vec<u8>,
}

impl FollowedFile {
    /// Opens the file at its beginning. It may not exist yet.
    pub fn open(path: &Path) -> anyhow::Result<FollowedFile> {
        let open = match fs::File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            opened => Some(opened.with_context(|| format!("reading {}", path.display()))?),
        };
        Ok(FollowedFile { path: path.to_owned(), open, rest: Vec::new() })
    }

    /// All lines so far, of the rotated file first. [`lines`](FollowedFile::lines) continues after them: no line is read twice or missed.
    pub fn whole(&mut self) -> anyhow::Result<Vec<String>> {
        let mut lines = self.aside()?;
        lines.extend(self.lines()?);
        Ok(lines)
    }

    /// The whole lines in the last `most` bytes, of the rotated file first. [`lines`](FollowedFile::lines) continues after them.
    pub fn last(&mut self, most: u64) -> anyhow::Result<Vec<String>> {
        let before = most.saturating_sub(self.length()?);
        let mut lines = if before > 0 { self.end_of_aside(before)? } else { Vec::new() };
        self.skip_to_last(most)?;
        lines.extend(self.lines()?);
        Ok(lines)
    }

    fn aside(&self) -> anyhow::Result<Vec<String>> {
        self.end_of_aside(u64::MAX)
    }

    /// The whole lines in the last `most` bytes of the rotated file.
    fn end_of_aside(&self, most: u64) -> anyhow::Result<Vec<String>> {
        let mut aside = FollowedFile::open(&before(&self.path))?;
        // The file may have been rotated since it was opened.
        if aside.inode() == self.inode() {
            return Ok(Vec::new());
        }
        aside.skip_to_last(most)?;
        aside.read()?;
        Ok(aside.take())
    }

    /// Continues at the first line that begins in the last `most` bytes.
    fn skip_to_last(&mut self, most: u64) -> anyhow::Result<()> {
        let from = self.length()?.saturating_sub(most);
        let (Some(file), Some(end_of_line)) = (&mut self.open, from.checked_sub(1)) else { return Ok(()) };
        file.seek(SeekFrom::Start(end_of_line)).with_context(|| format!("reading {}", self.path.display()))?;
        self.read()?;
        let cut = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        self.rest.drain(..cut);
        Ok(())
    }

    fn length(&self) -> anyhow::Result<u64> {
        let Some(file) = &self.open else { return Ok(0) };
        let there = file.metadata().with_context(|| format!("reading {}", self.path.display()))?;
        Ok(there.len())
    }

    /// The lines written since the last call.
    pub fn lines(&mut self) -> anyhow::Result<Vec<String>> {
        self.read()?;
        // After a rotation: the rest of the old file is read, then the new one from its beginning.
        let there = fs::metadata(&self.path).ok().map(|there| there.ino());
        if there.is_some() && there != self.inode() {
            self.open = fs::File::open(&self.path).ok();
            self.read()?;
        }
        Ok(self.take())
    }

    fn inode(&self) -> Option<u64> {
        self.open.as_ref().and_then(|file| file.metadata().ok()).map(|here| here.ino())
    }

    /// The complete lines among what was read.
    fn take(&mut self) -> Vec<String> {
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect()
    }

    fn read(&mut self) -> anyhow::Result<()> {
        if let Some(file) = &mut self.open {
            file.read_to_end(&mut self.rest).with_context(|| format!("reading {}", self.path.display()))?;
        }
        Ok(())
    }
}
