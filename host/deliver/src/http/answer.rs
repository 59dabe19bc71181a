//! What is read of an answer. The status decides; the body is read for the next request's sake, and for the operator's.

use std::time::Duration;

use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use super::mask::Mask;
use towpath_types::foreign::Foreign;

/// The most that is read of a body. Beyond it the connection is closed.
pub(super) const MAX_RESPONSE: usize = 64 * 1024;

/// How much of a body is kept with a failed attempt.
const EXCERPT: usize = 1024;

/// So much more is read, so that a secret is known where the excerpt ends in the middle of it: six bytes of one, escaped three
/// times over, are fewer.
const MARGIN: usize = 1024;

/// How long the body of a success may take. A connection whose body has been read to its end can be used again; one whose
/// body takes longer than a new connection is not worth the wait.
const DRAIN: Duration = Duration::from_millis(250);

/// How long the body of a failure may take: an operator wants to read it, and nobody else waits for it.
const READ: Duration = Duration::from_secs(1);

/// Reads the body of a success and forgets it. Whether it breaks off, stalls or never ends changes nothing.
pub(super) async fn drain(response: Response, limit: Instant) {
    let mut left = MAX_RESPONSE;
    read(response, limit.min(Instant::now() + DRAIN), |chunk| {
        left = left.saturating_sub(chunk.len());
        left > 0
    })
    .await;
}

/// The beginning of the body of a failure: as much of it as came.
pub(super) async fn excerpt(response: Response, limit: Instant, mask: &Mask) -> String {
    let kept = beginning(response, EXCERPT + MARGIN, limit).await;
    shown(&String::from_utf8_lossy(&kept), mask, EXCERPT)
}

/// What others say as one line, without what proved who the host is. Of a text that is longer than `most` bytes, the beginning.
pub(super) fn shown(text: &str, mask: &Mask, most: usize) -> String {
    let hidden = mask.hide(text, most);
    // An answer in lines stays readable.
    let flowing = hidden.replace(|c: char| c.is_ascii_whitespace(), " ");
    Foreign::line(flowing.trim()).at_most(most).to_string()
}

/// The beginning of the body of a failure, at most so many bytes: as much of it as came.
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

/// Hands on what comes, until it ends, breaks off, is enough or takes too long.
async fn read(mut response: Response, until: Instant, mut wants_more: impl FnMut(&[u8]) -> bool) {
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            if !wants_more(&chunk) {
                break;
            }
        }
    };
    // Out of time is as good an end as any.
    let _ = timeout_at(until, reading).await;
}

/// The whole body of an answer that is needed; an error if it breaks off or is longer than [`MAX_RESPONSE`].
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

/// An error with the cause beneath it, without the URL: its query may hold personal data.
pub(super) fn describe(error: &reqwest::Error) -> String {
    let intro = match error {
        error if error.is_connect() => "cannot connect",
        error if error.is_body() || error.is_decode() => "the answer broke off",
        _ => "the exchange failed",
    };
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| intro.to_owned(), |cause| format!("{intro}: {cause}"))
}
