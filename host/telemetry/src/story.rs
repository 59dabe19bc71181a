//! The file that stores the story of messages on one machine. It is rotated at a size limit; the previous file is kept.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use towpath_files::private;
use tracing_subscriber::fmt::MakeWriter;

/// Size at which a file is rotated. Two files hold some hundred thousand passes.
const MAX: u64 = 64 * 1024 * 1024;

/// The story file; nothing is written until one is opened.
#[derive(Clone, Debug, Default)]
pub struct StoryFile(Arc<Mutex<Option<Open>>>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    written: u64,
}

impl StoryFile {
    /// Appends to this file from now on. Several processes may write to one file.
    pub fn open(&self, path: &Path) -> io::Result<()> {
        *self.0.lock() = Some(Open::at(path)?);
        Ok(())
    }
}

/// The previous file after a rotation.
pub fn before(path: &Path) -> PathBuf {
    path.with_added_extension("1")
}

impl Open {
    fn at(path: &Path) -> io::Result<Open> {
        let file = private::append(path)?;
        // An older version may have left the previous file readable by others.
        private::tighten(&before(path));
        let written = file.metadata()?.len();
        Ok(Open { path: path.to_owned(), file, written })
    }

    fn line(&mut self, line: &[u8], max: u64) -> io::Result<()> {
        if self.written >= max {
            // Another process may have rotated it already.
            if fs::symlink_metadata(&self.path).is_ok_and(|there| there.len() >= max) {
                fs::rename(&self.path, before(&self.path))?;
            }
            *self = Open::at(&self.path)?;
        }
        self.written += line.len() as u64;
        // One write per line, so that lines of several processes do not mix.
        self.file.write_all(line)
    }
}

/// Appends each event that `tracing` formats as one line.
#[derive(Debug)]
pub struct StoryWriter<'a>(&'a StoryFile);

impl Write for StoryWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(open) = &mut *self.0.0.lock() {
            open.line(line, MAX)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for StoryFile {
    type Writer = StoryWriter<'a>;

    fn make_writer(&'a self) -> StoryWriter<'a> {
        StoryWriter(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_rotated_by_the_first_process_that_notices() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("story.jsonl");
        let mut one = Open::at(&path).unwrap();
        let mut other = Open::at(&path).unwrap();
        let write = |open: &mut Open, line: &str| open.line(line.as_bytes(), 8).unwrap();
        write(&mut one, "one\n");
        write(&mut other, "two\n");
        write(&mut one, "three\n");
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        assert_eq!(read(&path), "one\ntwo\nthree\n");
        write(&mut one, "four\n");
        assert_eq!((read(&before(&path)).as_str(), read(&path).as_str()), ("one\ntwo\nthree\n", "four\n"));
        // The other writer still has the old file open, and finds it full.
        write(&mut other, "five\n");
        write(&mut other, "six\n");
        assert_eq!(read(&path), "four\nsix\n");
        assert_eq!(read(&before(&path)), "one\ntwo\nthree\nfive\n");
        drop(one);
        let nowhere = StoryFile::default();
        assert_eq!(nowhere.make_writer().write(b"lost").unwrap(), 4, "nobody said where");
    }
}
