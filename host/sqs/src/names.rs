//! URLs and ARNs of queues. Account and region are fixed; they exist because clients expect them.

use crate::error::ApiError;

/// The region in ARNs.
pub const REGION: &str = "us-east-1";

const ACCOUNT: &str = "000000000000";

/// The URL of a queue, at the address that the client uses for this endpoint.
pub fn url(host: &str, name: &str) -> String {
    format!("http://{host}/{ACCOUNT}/{name}")
}

/// The name of the queue with this URL. Host and account are ignored.
pub(crate) fn of_url(url: &str) -> Option<&str> {
    url.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty())
}

/// The ARN of a queue.
pub fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

/// The name of the queue with this ARN. Region and account are ignored.
pub(crate) fn of_arn(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, "sqs", _, _, name] if partition.starts_with("aws") && !name.is_empty() => Some(name),
        _ => None,
    }
}

/// Checks the name of a queue. Source: the `CreateQueue` API.
pub(crate) fn check(name: &str, fifo: bool) -> Result<(), ApiError> {
    let stem = if fifo { name.strip_suffix(".fifo") } else { Some(name) };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if stem.is_some_and(|stem| !stem.is_empty() && stem.chars().all(fits)) && name.len() <= 80 {
        return Ok(());
    }
    Err(ApiError::invalid(if fifo {
        "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length."
    } else {
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
    }))
}
