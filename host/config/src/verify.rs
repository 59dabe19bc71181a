//! `verify` of a route: how its webhooks prove where they come from.

mod presets;

use std::time::Duration;

use serde::Deserialize;

use crate::Secret;
use crate::signature::{Algorithm, Encoding, Signed};

/// How far the timestamp of a signature may lie from the time of arrival if nothing else is said: what Stripe, Slack
/// and Standard Webhooks recommend.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// `verify` of a route.
#[derive(Clone, Debug)]
pub struct Verification {
    /// How.
    pub scheme: Scheme,
    /// Each of these will do: the new one and the old one, while a secret is rotated.
    pub secrets: Vec<Secret>,
    /// The names of its secrets.
    pub names: Vec<String>,
    /// Whether the front door checks too, and refuses what fails with a 401.
    pub at_ingest: bool,
}

/// A way to verify.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// An HMAC over the body and more: GitHub, Stripe, Slack, Shopify, HubSpot and nearly everybody else.
    Hmac(Hmac),
    /// Standard Webhooks: symmetric (v1) and asymmetric (v1a) signatures.
    StandardWebhooks(StandardWebhooks),
    /// A secret that is sent along: `basic`, `bearer`, or in a header of its own.
    Token(Token),
}

/// Where a signature stands, how it is made and over what. Senders differ in nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hmac {
    /// The header with the signature, in lower case.
    pub header: String,
    /// How it stands there.
    pub written: Written,
    /// The hash.
    pub algorithm: Algorithm,
    /// How the digest is written.
    pub encoding: Encoding,
    /// What is signed.
    pub signed: Signed,
    /// How far the timestamp may lie from the arrival, if there is one.
    pub tolerance: Duration,
}

/// How signatures stand in their header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// One or several, between commas or spaces, each behind this prefix, such as `sha256=`. The timestamp, if one is
    /// signed, has a header of its own.
    Plain {
        /// What stands before each signature; may be empty.
        prefix: String,
        /// Where the timestamp is.
        stamp: Option<Stamp>,
    },
    /// `t=1492774577,v1=5257a8…,v1=…`: Stripe's way, with the timestamp in seconds.
    Pairs,
}

/// A timestamp in a header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The header, in lower case.
    pub header: String,
    /// What it counts since 1970.
    pub unit: Unit,
}

/// What a timestamp counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub enum Unit {
    /// Seconds.
    #[default]
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
}

/// The scheme. A secret is `whsec_<base64>` for `v1`, or the public key `whpk_<base64>` for `v1a`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandardWebhooks {
    /// How far the timestamp may lie from the arrival.
    pub tolerance: Duration,
}

/// Where the secret stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// `Authorization: Basic <base64 of user:secret>`, RFC 7617.
    Basic {
        /// The user's name.
        user: String,
    },
    /// `Authorization: Bearer <secret>`, RFC 6750.
    Bearer,
    /// The secret alone in a header of this name (in lower case), such as `x-gitlab-token`.
    Header(String),
}

impl Verification {
    /// The header that holds the secret itself, if it is sent along (in lower case).
    pub fn secret_header(&self) -> Option<&str> {
        match &self.scheme {
            Scheme::Token(token) => Some(token.header()),
            Scheme::Hmac(_) | Scheme::StandardWebhooks(_) => None,
        }
    }

    /// The header that the proof stands in, where the scheme has one of its own.
    pub fn proof_header(&self) -> Option<&str> {
        match &self.scheme {
            Scheme::Hmac(scheme) => Some(&scheme.header),
            Scheme::StandardWebhooks(_) => None,
            Scheme::Token(token) => Some(token.header()),
        }
    }

    /// Whether the proof stands in this header, or covers it.
    pub fn needs_header(&self, name: &str) -> bool {
        match &self.scheme {
            Scheme::Hmac(scheme) => scheme.needs_header(name),
            Scheme::StandardWebhooks(_) => StandardWebhooks::needs_header(name),
            Scheme::Token(token) => token.header().eq_ignore_ascii_case(name),
        }
    }

    /// The headers that the proof covers beside its own, in lower case: nobody can change them. Most senders sign none.
    pub fn signed_headers(&self) -> Vec<&str> {
        match &self.scheme {
            Scheme::Hmac(scheme) => scheme.signed.headers().collect(),
            Scheme::StandardWebhooks(_) => StandardWebhooks::SIGNED.to_vec(),
            Scheme::Token(_) => Vec::new(),
        }
    }

    /// Whether the proof says when it was made.
    pub fn signs_time(&self) -> bool {
        match &self.scheme {
            Scheme::Hmac(scheme) => scheme.signed.has_timestamp(),
            Scheme::StandardWebhooks(_) => true,
            Scheme::Token(_) => false,
        }
    }
}

impl Hmac {
    fn needs_header(&self, name: &str) -> bool {
        let stamp = match &self.written {
            Written::Plain { stamp: Some(stamp), .. } => stamp.header.as_str(),
            Written::Plain { stamp: None, .. } | Written::Pairs => "",
        };
        self.signed.headers().chain([self.header.as_str(), stamp]).any(|needed| needed.eq_ignore_ascii_case(name))
    }
}

/// The headers that are read, in both spellings.
const HEADERS: [&str; 6] =
    ["webhook-id", "webhook-timestamp", "webhook-signature", "svix-id", "svix-timestamp", "svix-signature"];

impl StandardWebhooks {
    /// The headers that are signed, beside the time.
    const SIGNED: [&str; 2] = ["webhook-id", "svix-id"];

    fn needs_header(name: &str) -> bool {
        HEADERS.iter().any(|needed| needed.eq_ignore_ascii_case(name))
    }
}

impl Token {
    /// The header that it stands in, in lower case.
    pub fn header(&self) -> &str {
        match self {
            Token::Basic { .. } | Token::Bearer => "authorization",
            Token::Header(name) => name,
        }
    }
}
