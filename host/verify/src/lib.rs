//! Does a webhook come from its claimed sender? Checked in the pipeline, before any plugin sees it; and at the front
//! door, where the route asks for it.

pub mod documents;
pub mod door;
pub mod fetched;
mod jwt;
pub mod moved;
pub mod note_keys;
mod provider;
mod public;
mod secrets;
pub mod sign;
mod signature;
mod standard_webhooks;
mod time;
mod token;
mod written;

use std::fmt;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use towpath_config::value::{Source, Value};
use towpath_config::verify::{Keys, Scheme, TokenForm, Verification, Way};
use towpath_select::Scope;
pub use towpath_select::mac;
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::message::Message;
use towpath_types::queue::Proof;

/// The queue stamps a webhook slightly after the front door accepted it, by its own clock; the pipeline must not reject
/// it as expired then.
const SLACK: Duration = Duration::from_secs(60);

/// The most elements of an array that are checked one by one.
const MOST_ITEMS: usize = 10_000;

/// What is verified: a webhook as it arrived, and when.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    webhook: &'a Webhook,
    arrived: Timestamp,
    /// Added to the tolerance for late arrival.
    slack: Duration,
}

/// The place of a value: `header "x"`, or another value as written in the config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct What(String);

impl What {
    fn of(value: &Value) -> What {
        match &value.source {
            Source::Header(name) => What::header(name),
            _ => What(format!("value {value}")),
        }
    }

    fn header(name: &str) -> What {
        What(format!("header {name:?}"))
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a webhook is not verified. Never contains a value of the webhook.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unverified {
    #[error("the {0} is missing")]
    Missing(What),
    /// The value is present but malformed.
    #[error("the {0} holds no {1}")]
    Malformed(What, &'static str),
    /// The signature or token does not match.
    #[error("the {0} does not match: check that the secret is the right one")]
    Mismatch(What),
    /// The signature matches, but is too old or from the future: perhaps a recorded webhook was replayed.
    #[error("signed {off_s} s before or after its arrival, which exceeds the tolerance of {tolerance_s} s")]
    Expired {
        /// Difference between the two times, in seconds.
        off_s: u64,
        /// The allowed difference.
        tolerance_s: u64,
    },
    /// A claim of a token is missing, or has another value than it must.
    #[error("the claim {0:?} of the token is not as it must be")]
    Claim(String),
    /// A value differs from what it must equal.
    #[error("the {0} is not what it must equal")]
    Unequal(What),
    /// Each element of this array must be verified.
    #[error("the body has no array of events at {0:?}")]
    NoItems(String),
    /// None of its secrets is usable.
    #[error("none of its secrets is usable: {0}; set the secret exactly as the sender shows it")]
    Secret(&'static str),
    /// A handshake has to bring its secret first.
    #[error("the secret of the route has not been learned yet: no handshake has brought it")]
    NotLearned,
    /// The URL of its key is none that may be asked. It was not.
    #[error("the {0} leads to none of the hosts that may be asked for keys, or has a query or fragment")]
    Host(What),
    /// The sender publishes no key of this id.
    #[error("the key that it names is not one of the sender's")]
    UnknownKey,
    #[error("the certificate of the sender was not valid when it arrived")]
    ExpiredKey,
    /// None of the route's ways to verify is for such a webhook.
    #[error("no way of the route's verify is meant for such a request")]
    NoWay,
    /// Says the same whether there is such a tenant or not.
    #[error("it does not match the secret of its tenant, or its tenant has none")]
    Tenant,
}

impl Unverified {
    /// Whether a newer value of a secret could change it.
    fn may_be_old(&self) -> bool {
        matches!(self, Unverified::Mismatch(_) | Unverified::Secret(_) | Unverified::Tenant | Unverified::NotLearned)
    }
}

/// Why a webhook is not proven.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unproven {
    /// It does not come from its sender.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// Nobody can tell now: it must be neither accepted nor refused.
    #[error(transparent)]
    Unavailable(#[from] fetched::Unavailable),
}

impl Unproven {
    /// What to report if several ways fail: keys that cannot be had, as that way may hold; then secrets that may have
    /// been rotated, as they are refreshed only if this is told; then the first one.
    fn rank(&self) -> u8 {
        match self {
            Unproven::Unavailable(_) => 2,
            Unproven::Unverified(why) => u8::from(why.may_be_old()),
        }
    }
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
        self.header(name).ok_or_else(|| Unverified::Missing(What::header(name)))
    }

    /// Checks that a signature of this time is fresh, and returns the proof. It is measured against the arrival: time
    /// spent in the queue or as a dead letter does not count.
    fn fresh(&self, signed_at: Timestamp, tolerance: Duration, signed: &[u8]) -> Result<Proof, Unverified> {
        self.is_fresh(signed_at, tolerance)?;
        Ok(Proof { id: digest([signed]), until: signed_at + tolerance + SLACK })
    }

    fn is_fresh(&self, signed_at: Timestamp, tolerance: Duration) -> Result<(), Unverified> {
        let off = Duration::from_millis(self.arrived.0.abs_diff(signed_at.0));
        if off > tolerance + self.slack {
            return Err(Unverified::Expired { off_s: off.as_secs(), tolerance_s: tolerance.as_secs() });
        }
        Ok(())
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

/// Checks a webhook, without what must be fetched or looked up. Comparisons take constant time.
pub fn check(verification: &Verification, evidence: Evidence<'_>) -> Result<(), Unproven> {
    prove(verification, evidence, &secrets::Known::fixed(verification), &fetched::Keyring::default()).map(drop)
}

/// Like [`check`], but looks up the secrets of tenants, fetches keys and refreshes rotated secrets, until `deadline`.
/// Returns the proof if it carries a signed time: it can be replayed until it expires.
pub async fn check_anew(
    verification: &Verification,
    evidence: Evidence<'_>,
    source: &dyn fetched::KeySource,
    deadline: Instant,
) -> Result<Option<Proof>, Unproven> {
    let known = secrets::Known::all(verification, evidence.webhook, deadline).await;
    let seen = known.exposed();
    let mut keyring = fetched::Keyring::default();
    let result = loop {
        match prove(verification, evidence, &known, &keyring) {
            Err(Unproven::Unavailable(_)) if keyring.fetch_missing(source, deadline).await => {}
            Err(Unproven::Unverified(why)) if why.may_be_old() && known.is_renewed(&seen, deadline).await => {
                break prove(verification, evidence, &known, &keyring);
            }
            result => break result,
        }
    };
    result.map_err(|why| known.unavailable.map_or(why, Unproven::Unavailable))
}

/// A deduplication id for this key that only a holder of the proof can make, for webhooks that are stored before they
/// are verified. Otherwise a stranger who knows the key of a future event could take its place. Where the time is
/// signed, the proof alone identifies a repeat, whatever the key next to it.
pub fn bind(verification: &Verification, key: &[u8], webhook: &Webhook) -> String {
    let key = if verification.signs_time() { b"" } else { key };
    let proof = webhook.headers.iter().filter(|(name, _)| verification.needs_header(name));
    let parts = proof.flat_map(|(name, value)| [name.as_bytes(), value.as_slice()]);
    // A plain webhook has the id that it always had.
    let path = webhook.path.iter().map(|(_, segment)| segment.as_str());
    let line = [webhook.method.as_str(), &webhook.query].into_iter().chain(path).map(str::as_bytes);
    let is_plain =
        *webhook == Webhook { headers: webhook.headers.clone(), body: webhook.body.clone(), ..Webhook::default() };
    let line = line.filter(|_| !is_plain);
    digest(parts.chain([key, &webhook.body]).chain(line))
}

/// The `WWW-Authenticate` of a 401, RFC 9110 section 11.6.1.
pub fn challenge(verification: &Verification) -> &'static str {
    match verification.ways.first().map(|way| &way.scheme) {
        Some(Scheme::Token(token)) => match token.written {
            TokenForm::Basic { .. } => "Basic realm=\"towpath\"",
            TokenForm::Bearer => "Bearer",
            TokenForm::Plain { .. } => "Signature",
        },
        _ => "Signature",
    }
}

/// The proof of the first way that is meant for the webhook and verifies it; or else why none does.
fn prove(
    verification: &Verification,
    evidence: Evidence<'_>,
    known: &secrets::Known,
    keyring: &fetched::Keyring,
) -> Result<Option<Proof>, Unproven> {
    let slack = if verification.at_ingest { evidence.slack } else { Duration::ZERO };
    let evidence = Evidence { slack, ..evidence };
    let mut problem: Option<Unproven> = None;
    let ways = verification.ways.iter().zip(known.of_ways());
    for (way, secrets) in ways.filter(|(way, _)| Scope::of(evidence.webhook).meets(&way.when)) {
        let result = prove_by(way, evidence, &secrets, keyring).map_err(|why| match (&way.keys, why) {
            (Keys::OfTenant(_), Unproven::Unverified(Unverified::Mismatch(_) | Unverified::Secret(_))) => {
                Unverified::Tenant.into()
            }
            (_, why) => why,
        });
        match result {
            Ok(proof) => return Ok(proof),
            Err(why) if problem.as_ref().is_none_or(|before| before.rank() < why.rank()) => problem = Some(why),
            Err(_) => {}
        }
    }
    Err(problem.unwrap_or(Unverified::NoWay.into()))
}

fn prove_by(
    way: &Way,
    evidence: Evidence<'_>,
    secrets: &secrets::Secrets,
    keyring: &fetched::Keyring,
) -> Result<Option<Proof>, Unproven> {
    if secrets.is_empty() && matches!(&way.keys, Keys::Secrets(named) if !named.is_empty()) {
        return Err(Unverified::NotLearned.into());
    }
    let webhook = evidence.webhook;
    let url = url_of(way, webhook)?;
    let scope = Scope { url: url.as_deref(), ..Scope::of(webhook) };
    // Before keys are fetched.
    for (value, template) in &way.equal {
        let is_equal = match (scope.value(value), scope.text(template)) {
            (Ok(one), Ok(other)) => same(&one, &other),
            _ => false,
        };
        if !is_equal {
            return Err(Unverified::Unequal(What::of(value)).into());
        }
    }
    let Some(pointer) = &way.every else { return prove_one(way, evidence, scope, secrets, keyring) };
    let items = towpath_select::items(&webhook.body, pointer).unwrap_or_default();
    if items.is_empty() || items.len() > MOST_ITEMS {
        return Err(Unverified::NoItems(pointer.to_string()).into());
    }
    for item in items {
        prove_one(way, evidence, Scope { item: Some(item), ..scope }, secrets, keyring)?;
    }
    // Each element has a proof of its own, and they cannot be told apart from outside.
    Ok(None)
}

/// The public URL that the sender was given.
fn url_of(way: &Way, webhook: &Webhook) -> Result<Option<String>, Unverified> {
    let Some(url) = &way.url else { return Ok(None) };
    let text = Scope::of(webhook).text(url).map_err(|(value, _)| Unverified::Missing(What::of(value)))?;
    Ok(String::from_utf8(text).ok())
}

fn prove_one(
    way: &Way,
    evidence: Evidence<'_>,
    scope: Scope<'_>,
    secrets: &secrets::Secrets,
    keyring: &fetched::Keyring,
) -> Result<Option<Proof>, Unproven> {
    match &way.scheme {
        Scheme::Signature(scheme) => signature::check(scheme, way, evidence, scope, secrets, keyring),
        Scheme::StandardWebhooks(scheme) => Ok(Some(standard_webhooks::check(scheme, evidence, secrets)?)),
        Scheme::Jwt(scheme) => jwt::check(scheme, way, evidence, scope, secrets, keyring),
        Scheme::Token(token) => {
            // Whoever has the token can send anything: it proves nothing about the content.
            token::check(token, scope, secrets)?;
            Ok(None)
        }
    }
}

/// Compares two texts in constant time.
fn same(one: &[u8], other: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(one, other).into()
}

#[cfg(test)]
mod tests;
