//! Requests that show whether a running ingest takes a sender's webhooks: its handshakes, one that is forged, one that is signed.

mod ask;
mod handshake;
mod made_up;

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use towpath_config::Secret;
use towpath_config::route::Route;
use towpath_config::verify::{Keys, NamedSecret, Verification};
use towpath_select::{Scope, hide, put};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_verify::sign::{PrivateKey, sign};
use towpath_verify::{Evidence, check};

pub use ask::{Row, Said, Tested, Verdict, ask, test_provider};
pub use made_up::made_up;
pub use towpath_intake::ANOTHER_IS_SET;

/// What a trial is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What the sender sends to learn whether the endpoint is there, or the right one.
    Handshake,
    /// The same with another token, or signed by a stranger.
    ForgedHandshake,
    /// An event without a proof.
    Unsigned,
    /// An event with the proof of a stranger.
    Forged,
    /// An event as the sender signs it: it is stored and delivered.
    Signed,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Handshake => "handshake",
            Kind::ForgedHandshake => "forged handshake",
            Kind::Unsigned => "unsigned",
            Kind::Forged => "forged",
            Kind::Signed => "signed",
        }
    }
}

/// A request, and how a running ingest must answer it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    pub kind: Kind,
    pub webhook: Webhook,
    pub status: u16,
    /// Absent if any will do.
    pub body: Option<String>,
    /// Names and values of headers that the answer must have.
    pub headers: Vec<(String, String)>,
    /// The secret that the request is a handshake for, if the route keeps one.
    pub brings: Option<Brings>,
    /// What the expected answer shows, where that is not plain.
    pub shows: Option<&'static str>,
}

/// A secret that a handshake brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Brings {
    pub secret: String,
    /// Whether it is set in the environment of this process, so that no handshake changes it.
    pub is_given: bool,
}

/// Why a handshake that brings a secret is not sent.
pub const ARMED: &str = "the route is armed for a new secret, and any handshake would use that up: disarm it first";

impl Trial {
    fn of(kind: Kind, webhook: Webhook, status: StatusCode) -> Trial {
        Trial { kind, webhook, status: status.as_u16(), body: None, headers: Vec::new(), brings: None, shows: None }
    }
}

/// A trial, or why there is none of its kind.
pub type Tried = Result<Trial, Skipped>;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    pub kind: Kind,
    pub why: String,
}

fn skipped(kind: Kind, why: impl ToString) -> Tried {
    Err(Skipped { kind, why: why.to_string() })
}

/// What is tried on a route.
pub struct Trials<'a> {
    pub route: &'a Arc<Route>,
    pub now: Timestamp,
    /// For schemes of public keys.
    pub key: Option<&'a PrivateKey>,
}

impl Trials<'_> {
    /// What changes nothing: each handshake of the route, right and forged, and events that must be refused. `event` is what
    /// the events are made of.
    pub fn harmless(&self, event: &Webhook) -> Vec<Tried> {
        let numbers = 0..self.route.answers.len();
        let mut tried: Vec<Tried> = numbers.flat_map(|number| self.handshakes(event, number)).collect();
        tried.extend(self.strangers(event));
        tried
    }

    /// The event as its sender signs it.
    pub fn signed(&self, event: &Webhook) -> Tried {
        let status = self.route.ack.as_ref().map_or(StatusCode::ACCEPTED, |ack| ack.status);
        if let Some(why) = self.is_no_event(event) {
            return skipped(Kind::Signed, why);
        }
        let Some(verify) = &self.route.verify else {
            return Ok(Trial::of(Kind::Signed, event.clone(), status));
        };
        match sign(verify, event, self.now, self.key) {
            Ok(signed) => Ok(Trial::of(Kind::Signed, signed, status)),
            Err(why) => skipped(Kind::Signed, why),
        }
    }

    /// Events that nobody may send.
    fn strangers(&self, event: &Webhook) -> Vec<Tried> {
        let Some(verify) = &self.route.verify else {
            return vec![skipped(Kind::Forged, "the route has no verify: whoever knows its URL can post")];
        };
        if !verify.at_ingest {
            let why = "the route verifies in the pipeline: a forged webhook is stored first; verify.at = \"ingest\" refuses it";
            return vec![skipped(Kind::Forged, why)];
        }
        if let Some(why) = self.is_no_event(event) {
            return vec![skipped(Kind::Forged, why)];
        }
        let bare = without_proof(verify, event);
        let unsigned = self.refused(Kind::Unsigned, verify, bare.clone());
        let forged = match sign(&of_a_stranger(verify), &bare, self.now, None) {
            Ok(forged) => self.refused(Kind::Forged, verify, forged),
            Err(why) => skipped(Kind::Forged, why),
        };
        vec![unsigned, forged]
    }

    /// A request that must be answered 401. One that would be accepted is not sent: it would be stored.
    fn refused(&self, kind: Kind, verify: &Verification, webhook: Webhook) -> Tried {
        match check(verify, Evidence::arriving(&webhook, self.now)) {
            Err(_) => Ok(Trial::of(kind, webhook, StatusCode::UNAUTHORIZED)),
            Ok(()) => skipped(kind, "verify accepts it, whoever sends it"),
        }
    }

    fn is_no_event(&self, event: &Webhook) -> Option<String> {
        if self.route.answers.iter().any(|answer| Scope::of(event).meets(&answer.when)) {
            return Some("the event is a handshake of this route".to_owned());
        }
        let is_taken = self.route.methods.contains(&event.method);
        (!is_taken).then(|| format!("the route takes no {}", event.method))
    }
}

fn without_proof(verify: &Verification, webhook: &Webhook) -> Webhook {
    let mut bare = webhook.clone();
    for proof in verify.proofs() {
        // What surrounds a proof inside of a value may be signed, and stays.
        if proof.filters.is_empty() || put(&mut bare, &proof, b"***").is_err() {
            hide(&mut bare, &proof);
        }
    }
    bare
}

/// The same rules with secrets that the route does not know.
fn of_a_stranger(verify: &Verification) -> Verification {
    let mut other = verify.clone();
    for way in &mut other.ways {
        if !way.keys.secrets().is_empty() {
            way.keys = Keys::Secrets(vec![NamedSecret { name: String::new(), value: Secret::new(challenge()) }]);
        }
    }
    other
}

/// A text that nobody knows yet. It is hex, base64 and a challenge.
fn challenge() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests;
