//! How far a command has read an archive on S3.

use indicatif::ProgressBar;
use parking_lot::Mutex;

use crate::output::Output;

/// A progress bar while files are read. A command may read them several times.
pub(crate) struct Reading<'a> {
    output: &'a Output,
    bar: Mutex<Option<ProgressBar>>,
}

impl<'a> Reading<'a> {
    pub(crate) fn of(output: &'a Output) -> Reading<'a> {
        Reading { output, bar: Mutex::default() }
    }

    /// Shows that this many files are read.
    pub(crate) fn show(&self, read: u64, of: u64) {
        let mut bar = self.bar.lock();
        bar.get_or_insert_with(|| self.output.progress(of, "reading the archive")).set_position(read);
        if read == of
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get_mut().take() {
            bar.finish_and_clear();
        }
    }
}
