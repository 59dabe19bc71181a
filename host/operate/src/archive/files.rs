//! How the files of an archive on S3 are read.

/// Called with how far the files on S3 are read, first before any is. A folder is read without it.
pub type Progress<'a> = &'a (dyn Fn(Reading) + Send + Sync);

/// How far the files of an archive on S3 are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// The number of files that were read.
    pub read: u64,
    /// The number of all that will be.
    pub files: u64,
    /// The size of all, as they are stored.
    pub bytes: u64,
}

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
