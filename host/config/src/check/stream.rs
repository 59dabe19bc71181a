//! Checks `archive.stream` and `archive.bucket`.

use super::Checker;
use crate::{QueueConfig, S3Folder};

/// The longest name. Source: `DeliveryStreamName` of Amazon Data Firehose.
const LONGEST: usize = 64;

impl Checker<'_> {
    pub(super) fn archive_stream(&mut self, stream: String, queue: &QueueConfig) -> Option<String> {
        if queue.url.is_none() {
            let hint = "it needs queue.url and queue.dead_letter_url: leave it out";
            self.wrong("archive.stream", "is for SQS queues only", hint);
        }
        if !is_name(&stream) {
            let hint = "the name of the delivery stream, not its ARN: 1 to 64 letters, digits, -, _ and .";
            self.wrong("archive.stream", format!("{stream:?} is not the name of a delivery stream"), hint);
        }
        Some(stream)
    }

    pub(super) fn archive_bucket(&mut self, bucket: &str, has_stream: bool) -> Option<S3Folder> {
        if !has_stream {
            let hint = "it is where archive.stream writes: leave it out";
            self.wrong("archive.bucket", "needs archive.stream", hint);
        }
        match bucket.parse() {
            Ok(bucket) => Some(bucket),
            Err(problem) => {
                let hint = "the folder with the dates, which the Terraform module calls archive_url";
                self.wrong("archive.bucket", problem, hint);
                None
            }
        }
    }
}

/// Whether a delivery stream may have this name.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.len() <= LONGEST && text.chars().all(plain)
}
