//! `verify` of a route: how its webhooks are verified.

mod presets;

use std::time::Duration;

use serde::Deserialize;

use crate::Secret;
use crate::signature::{Algorithm, Encoding, Signed};

/// The default for how far the timestamp of a signature may be from the time of arrival: what Stripe, Slack and
/// Standard Webhooks recommend.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// `verify` of a route.
#[derive(Clone, Debug)]
pub struct Verification {
    pub scheme: Scheme,
    /// Any one of them is enough: during rotation the new one and the old one.
    pub secrets: Vec<Secret>,
    /// The names of these secrets.
    pub names: Vec<String>,
    /// Whether the front door verifies too, and answers 401 to what fails.
    pub at_ingest: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// An HMAC over the body and more: GitHub, Stripe, Slack, Shopify, HubSpot and most others.
    Hmac(Hmac),
    /// Standard Webhooks: symmetric (v1) and asymmetric (v1a) signatures.
    StandardWebhooks(StandardWebhooks),
    /// A secret that the sender sends along: `basic`, `bearer`, or in a header of its own.
    Token(Token),
}

/// Where a signature is, how it is made and over what: everything in which senders differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hmac {
    /// The header with the signature, in lower case.
    pub header: String,
    /// Its format in the header.
    pub written: Written,
    pub algorithm: Algorithm,
    /// How the digest is written.
    pub encoding: Encoding,
    pub signed: Signed,
    /// How far the timestamp, if there is one, may be from the arrival.
    pub tolerance: Duration,
}

/// The format of signatures in their header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// One or several, separated by commas or spaces, each with this prefix, such as `sha256=`. The timestamp, if one
    /// is signed, is in a separate header.
    Plain {
        /// The prefix of each signature; may be empty.
        prefix: String,
        /// Where the timestamp is.
        stamp: Option<Stamp>,
    },
    /// `t=1492774577,v1=5257a8…,v1=…`: Stripe's format, with the timestamp in seconds.
    Pairs,
}

/// A timestamp in a header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The header, in lower case.
    pub header: String,
    pub unit: Unit,
}

/// The unit of a timestamp since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub enum Unit {
    #[default]
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
}

/// The scheme. A secret is `whsec_<base64>` for `v1`, or the public key `whpk_<base64>` for `v1a`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandardWebhooks {
    /// How far the timestamp may be from the arrival.
    pub tolerance: Duration,
}

/// Where the secret is.
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
    /// The header (in lower case) that contains the secret itself, if it is sent along.
    pub fn secret_header(&self) -> Option<&str> {
        match &self.scheme {
            Scheme::Token(token) => Some(token.header()),
            Scheme::Hmac(_) | Scheme::StandardWebhooks(_) => None,
        }
    }

    /// The header that contains the proof, if the scheme has a separate one.
    pub fn proof_header(&self) -> Option<&str> {
        match &self.scheme {
            Scheme::Hmac(scheme) => Some(&scheme.header),
            Scheme::StandardWebhooks(_) => None,
            Scheme::Token(token) => Some(token.header()),
        }
    }

    /// Whether the proof is in this header, or covers it.
    pub fn needs_header(&self, name: &str) -> bool {
        match &self.scheme {
            Scheme::Hmac(scheme) => scheme.needs_header(name),
            Scheme::StandardWebhooks(_) => StandardWebhooks::needs_header(name),
            Scheme::Token(token) => token.header().eq_ignore_ascii_case(name),
        }
    }

    /// Other headers that the proof covers, in lower case: they cannot be changed. Most senders sign none.
    pub fn signed_headers(&self) -> Vec<&str> {
        match &self.scheme {
            Scheme::Hmac(scheme) => scheme.signed.headers().collect(),
            Scheme::StandardWebhooks(_) => StandardWebhooks::SIGNED.to_vec(),
            Scheme::Token(_) => Vec::new(),
        }
    }

    /// Whether the proof includes its time.
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
    /// The signed headers, besides the time.
    const SIGNED: [&str; 2] = ["webhook-id", "svix-id"];

    fn needs_header(name: &str) -> bool {
        HEADERS.iter().any(|needed| needed.eq_ignore_ascii_case(name))
    }
}

impl Token {
    /// The header that contains it, in lower case.
    pub fn header(&self) -> &str {
        match self {
            Token::Basic { .. } | Token::Bearer => "authorization",
            Token::Header(name) => name,
        }
    }
}
