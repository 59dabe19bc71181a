//! `[archive]`: where events are kept that were delivered or skipped.

use std::path::PathBuf;
use std::time::Duration;

use towpath_types::json::Pointer;

use crate::s3::S3Folder;

/// How long events are kept, unless the config says so.
pub const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many bytes the archive may have, unless the config says so.
pub const MAX_SIZE: u64 = 10 << 30;

/// `[archive]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchiveConfig {
    /// The folder of the archive; absent if there is none: with `keep = "0s"`, and with SQS unless the config names one.
    pub folder: Option<PathBuf>,
    /// How long events are kept.
    pub keep: Duration,
    /// How many bytes the archive may have on the disk.
    pub max_size: u64,
    /// The values in JSON bodies that are not kept, neither in a folder nor on S3.
    pub redact: Vec<Pointer>,
    /// The delivery stream of Amazon Data Firehose that keeps events instead of a folder; for SQS queues.
    pub stream: Option<String>,
    /// Where that stream writes, in folders by date: what an operator's commands read.
    pub bucket: Option<S3Folder>,
}
