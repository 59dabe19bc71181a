//! Does a webhook come from whom it says it comes from? Checked in the pipeline, before any plugin sees it; at the
//! front door too where the route says so.

mod hmac;
mod mac;
pub mod note_keys;
mod standard_webhooks;
mod token;

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

pub use mac::mac;
use towpath_config::Secret;
use towpath_config::verify::{Scheme, Token, Verification};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::message::Message;
use towpath_types::queue::Proof;

/// What the front door took is stored a moment later, by the queue's clock: the pipeline must not find it too old then.
const SLACK: Duration = Duration::from_secs(60);

/// What is verified: a webhook as it arrived, and when.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    headers: &'a [(String, Vec<u8>)],
    body: &'a [u8],
    arrived: Timestamp,
    /// How much later it may seem to have arrived.
    slack: Duration,
}

/// Why a webhook is not verified. It never tells a value of a header.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unverified {
    /// A header is not there.
    #[error("the header {0:?} is missing")]
    Missing(String),
    /// The header is there but is not what it should be.
    #[error("the header {0:?} holds no {1}")]
    Malformed(String, &'static str),
    /// The signature, or the token, is another one.
    #[error("what the header {0:?} holds does not match: is the secret the right one?")]
    Mismatch(String),
    /// The signature is right, and too old or from the future: perhaps somebody sent a recorded webhook again.
    #[error("it was signed {off_s} s before or after it arrived, {tolerance_s} s are tolerated")]
    Expired {
        /// How far apart the two times lie, in seconds.
        off_s: u64,
        /// How far they may.
        tolerance_s: u64,
    },
    /// None of its secrets can be used.
    #[error("no secret for it can be used: {0}; set it as the sender shows it")]
    Secret(&'static str),
}

impl<'a> Evidence<'a> {
    /// A webhook that arrives now.
    pub fn arriving(webhook: &'a Webhook, now: Timestamp) -> Evidence<'a> {
        Evidence { headers: &webhook.headers, body: &webhook.body, arrived: now, slack: Duration::ZERO }
    }

    /// The first header of this name (in lower case), if there is one.
    fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    fn expect(&self, name: &str) -> Result<&'a [u8], Unverified> {
        self.header(name).ok_or_else(|| Unverified::Missing(name.to_owned()))
    }

    /// Whether a signature of this time is fresh, and what it proves then: measured against the arrival, so that nothing that waited in the
    /// queue, or came back from the dead letters, is too old.
    fn fresh(&self, signed_at: Timestamp, tolerance: Duration, signed: &[&[u8]]) -> Result<Proof, Unverified> {
        let off = Duration::from_millis(self.arrived.0.abs_diff(signed_at.0));
        match off > tolerance + self.slack {
            true => Err(Unverified::Expired { off_s: off.as_secs(), tolerance_s: tolerance.as_secs() }),
            false => Ok(Proof { id: digest([signed.concat().as_slice()]), until: signed_at + tolerance + SLACK }),
        }
    }
}

/// The SHA-256 of these parts and their lengths.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

impl<'a> From<&'a Message> for Evidence<'a> {
    fn from(message: &'a Message) -> Evidence<'a> {
        Evidence { headers: &message.headers, body: &message.body, arrived: message.sent_at, slack: SLACK }
    }
}

/// Checks a webhook; comparisons take the same time wherever they differ.
pub fn check(verification: &Verification, evidence: Evidence<'_>) -> Result<(), Unverified> {
    prove(verification, evidence, &exposed(verification)).map(drop)
}

/// As [`check`], and secrets that were rotated meanwhile are refreshed, until `deadline`. The proof, if it
/// says when it was made: it can be sent again until it is too old.
pub async fn check_anew(
    verification: &Verification,
    evidence: Evidence<'_>,
    deadline: Instant,
) -> Result<Option<Proof>, Unverified> {
    let seen = exposed(verification);
    match prove(verification, evidence, &seen) {
        Err(Unverified::Mismatch(_) | Unverified::Secret(_)) if is_renewed(verification, &seen, deadline).await => {
            prove(verification, evidence, &exposed(verification))
        }
        result => result,
    }
}

/// A deduplication id for this key that only who has the proof can make: for a webhook that is stored before it is
/// verified. A stranger who knows the key of an event that is to come must not be able to take its place. Where the time is
/// signed the proof alone tells a repeat, whatever key stands beside it.
pub fn bind(verification: &Verification, key: &[u8], webhook: &Webhook) -> String {
    let key = if verification.signs_time() { b"" } else { key };
    let proof = webhook.headers.iter().filter(|(name, _)| verification.needs_header(name));
    let parts = proof.flat_map(|(name, value)| [name.as_bytes(), value.as_slice()]).chain([key, &webhook.body]);
    digest(parts)
}

/// The `WWW-Authenticate` of a 401, RFC 9110 section 11.6.1.
pub fn challenge(verification: &Verification) -> &'static str {
    match verification.scheme {
        Scheme::Token(Token::Basic { .. }) => "Basic realm=\"towpath\"",
        Scheme::Token(Token::Bearer) => "Bearer",
        _ => "Signature",
    }
}

fn prove(
    verification: &Verification,
    evidence: Evidence<'_>,
    secrets: &[Arc<str>],
) -> Result<Option<Proof>, Unverified> {
    let slack = if verification.at_ingest { evidence.slack } else { Duration::ZERO };
    let evidence = Evidence { slack, ..evidence };
    match &verification.scheme {
        Scheme::Hmac(scheme) => hmac::check(scheme, evidence, secrets),
        Scheme::StandardWebhooks(scheme) => standard_webhooks::check(scheme, evidence, secrets).map(Some),
        // Whoever has the token can send what they want.
        Scheme::Token(token) => token::check(token, evidence, secrets).map(|()| None),
    }
}

fn exposed(verification: &Verification) -> Vec<Arc<str>> {
    verification.secrets.iter().map(Secret::expose).collect()
}

async fn is_renewed(verification: &Verification, seen: &[Arc<str>], deadline: Instant) -> bool {
    let mut renewed = false;
    for (secret, seen) in verification.secrets.iter().zip(seen) {
        renewed |= timeout_at(deadline, secret.is_renewed(seen)).await.unwrap_or(false);
    }
    renewed
}

/// Whether two texts are equal, in a time that tells nothing of where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(one, other).into()
}

#[cfg(test)]
mod tests;
