//! How the files of an archive on S3 are read.

/// Called with the number of files on S3 that were read, and of all that will be. A folder is read without it.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// What was read of an archive on S3.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FilesRead {
    /// The number of files.
    pub files: u64,
    /// Their size, as they are stored.
    pub bytes: u64,
    /// Lines that are no events.
    pub damaged: u64,
}
