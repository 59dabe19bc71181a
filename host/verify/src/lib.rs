//! Does a webhook come from its claimed sender? Checked in the pipeline, before any plugin sees it; and at the front
//! door, where the route asks for it.

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

/// The queue stamps a webhook slightly after the front door accepted it, by its own clock; the pipeline must not reject
/// it as expired then.
const SLACK: Duration = Duration::from_secs(60);

/// What is verified: a webhook as it arrived, and when.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    webhook: &'a Webhook,
    arrived: Timestamp,
    /// Added to the tolerance for late arrival.
    slack: Duration,
}

/// Why a webhook is not verified. Never contains a header's value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unverified {
    #[error("the header {0:?} is missing")]
    Missing(String),
    /// The header is present but malformed.
    #[error("the header {0:?} holds no {1}")]
    Malformed(String, &'static str),
    /// The signature or token does not match.
    #[error("the header {0:?} does not match: check that the secret is the right one")]
    Mismatch(String),
    /// The signature matches, but is too old or from the future: perhaps a recorded webhook was replayed.
    #[error("signed {off_s} s before or after its arrival, which exceeds the tolerance of {tolerance_s} s")]
    Expired {
        /// Difference between the two times, in seconds.
        off_s: u64,
        /// The allowed difference.
        tolerance_s: u64,
    },
    /// None of its secrets is usable.
    #[error("none of its secrets is usable: {0}; set the secret exactly as the sender shows it")]
    Secret(&'static str),
}

impl<'a> Evidence<'a> {
    /// A webhook that arrives at `now`.
    pub fn arriving(webhook: &'a Webhook, now: Timestamp) -> Evidence<'a> {
        Evidence { webhook, arrived: now, slack: Duration::ZERO }
    }

    /// The first header of this name (in lower case).
    fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.webhook.header(name)
    }

    fn expect(&self, name: &str) -> Result<&'a [u8], Unverified> {
        self.header(name).ok_or_else(|| Unverified::Missing(name.to_owned()))
    }

    /// Checks that a signature of this time is fresh, and returns the proof. It is measured against the arrival: time
    /// spent in the queue or as a dead letter does not count.
    fn fresh(&self, signed_at: Timestamp, tolerance: Duration, signed: &[&[u8]]) -> Result<Proof, Unverified> {
        let off = Duration::from_millis(self.arrived.0.abs_diff(signed_at.0));
        if off > tolerance + self.slack {
            Err(Unverified::Expired { off_s: off.as_secs(), tolerance_s: tolerance.as_secs() })
        } else {
            Ok(Proof { id: digest([signed.concat().as_slice()]), until: signed_at + tolerance + SLACK })
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
        Evidence { webhook: &message.webhook, arrived: message.sent_at, slack: SLACK }
    }
}

/// Checks a webhook. Comparisons take constant time.
pub fn check(verification: &Verification, evidence: Evidence<'_>) -> Result<(), Unverified> {
    prove(verification, evidence, &exposed(verification)).map(drop)
}

/// Like [`check`], but refreshes rotated secrets, until `deadline`. Returns the proof if it carries a signed time: it
/// can be replayed until it expires.
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

/// A deduplication id for this key that only a holder of the proof can make, for webhooks that are stored before they
/// are verified. Otherwise a stranger who knows the key of a future event could take its place. Where the time is
/// signed, the proof alone identifies a repeat, whatever the key next to it.
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
        // Whoever has the token can send anything: it proves nothing about the content.
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

/// Compares two texts in constant time.
fn same(one: &[u8], other: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(one, other).into()
}

#[cfg(test)]
mod tests;
