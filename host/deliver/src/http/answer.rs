//! Reads answers. The status decides the outcome; the body is read to reuse the connection, and to quote it to the operator.

use std::time::Duration;

use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use super::mask::Mask;
use towpath_reach::describe;
use towpath_types::foreign::Foreign;

/// The most that is read of a body. If it is longer, the connection is closed.
pub(super) const MAX_RESPONSE: usize = 64 * 1024;

/// How much of a body is kept with a failed attempt.
const EXCERPT: usize = 1024;

/// How much more is read, so that a secret is recognised even where the end of the excerpt cuts it. It is more than six
/// bytes of a secret, escaped three times.
const MARGIN: usize = 1024;

/// How long the body of a success may take. A connection can be reused once its body is read to the end; waiting longer
/// than a new connection takes is not worth it.
const DRAIN: Duration = Duration::from_millis(250);

/// How long the body of a failure may take. It is read only for the operator.
const READ: Duration = Duration::from_secs(1);

/// Reads and discards the body of a success. Errors, stalls and endless bodies change nothing.
pub(super) async fn drain(response: Response, limit: Instant) {
    let mut left = MAX_RESPONSE;
    read(response, limit.min(Instant::now() + DRAIN), |chunk| {
        left = left.saturating_sub(chunk.len());
        left > 0
    })
    .await;
}

/// The beginning of the body of a failure, as far as it arrived in time.
pub(super) async fn excerpt(response: Response, limit: Instant, mask: &Mask) -> String {
    let kept = beginning(response, EXCERPT + MARGIN, limit).await;
    shown(&String::from_utf8_lossy(&kept), mask, EXCERPT)
}

/// A foreign text as one line, cut to `most` bytes, with the host's secrets masked.
pub(super) fn shown(text: &str, mask: &Mask, most: usize) -> String {
    let hidden = mask.hide(text, most);
    // So that a text of several lines stays readable.
    let flowing = hidden.replace(|c: char| c.is_ascii_whitespace(), " ");
    Foreign::line(flowing.trim()).at_most(most).to_string()
}

/// The beginning of the body of a failure, at most `most` bytes, as far as it arrived in time.
pub(super) async fn beginning(response: Response, most: usize, limit: Instant) -> Vec<u8> {
    let mut left = MAX_RESPONSE;
    let mut kept = Vec::new();
    read(response, limit.min(Instant::now() + READ), |chunk| {
        kept.extend(chunk.iter().take(most - kept.len()));
        left = left.saturating_sub(chunk.len());
        left > 0
    })
    .await;
    kept
}

/// Passes on chunks until the body ends or fails, `wants_more` returns false, or time is up.
async fn read(mut response: Response, until: Instant, mut wants_more: impl FnMut(&[u8]) -> bool) {
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            if !wants_more(&chunk) {
                break;
            }
        }
    };
    // A timeout is one of the regular ends.
    let _ = timeout_at(until, reading).await;
}

/// The whole body. Fails if it is cut short or longer than [`MAX_RESPONSE`].
pub(super) async fn whole(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(format!("the answer is longer than {} KiB", MAX_RESPONSE / 1024));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
