//! How far a command has read an archive on S3.

use bytesize::ByteSize;
use indicatif::ProgressBar;
use parking_lot::Mutex;
use towpath_operate::archive;

use crate::output::Output;

/// A progress bar while files are read. A command may read them several times.
pub(crate) struct Reading<'a> {
    output: &'a Output,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    bar: Option<ProgressBar>,
    /// Whether to say how much is read, and what reads less.
    hints: bool,
}

impl<'a> Reading<'a> {
    pub(crate) fn of(output: &'a Output) -> Reading<'a> {
        Reading { output, shown: Mutex::default() }
    }

    /// Also says how much is read if no time narrows it.
    pub(crate) fn narrowed(output: &'a Output, has_since: bool) -> Reading<'a> {
        Reading { output, shown: Mutex::new(Shown { hints: !has_since, ..Shown::default() }) }
    }

    /// Shows how far the files are read.
    pub(crate) fn show(&self, reading: archive::Reading) {
        let archive::Reading { read, files, bytes } = reading;
        let mut shown = self.shown.lock();
        if std::mem::take(&mut shown.hints) && files > 0 {
            self.output.note(format!("reading {files} files, {}: --since reads fewer", ByteSize::b(bytes)));
        }
        shown.bar.get_or_insert_with(|| self.output.progress(files, "reading the archive")).set_position(read);
        if read == files
            && let Some(bar) = shown.bar.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.shown.get_mut().bar.take() {
            bar.finish_and_clear();
        }
    }
}
