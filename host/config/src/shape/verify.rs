//! `verify` of a route as written.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Certificate, Fetch, Jwks, Names, Span};
use crate::signature::Encoding;
use crate::value::Digest;
use crate::verify::Unit;

/// Every scheme has its own keys; keys of another one are mistakes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in super::super) enum Verify {
    Github {
        secret: Names,
        #[serde(default)]
        at: At,
    },
    Shopify {
        secret: Names,
        #[serde(default)]
        at: At,
    },
    Stripe {
        secret: Names,
        header: Option<String>,
        tolerance: Option<Span>,
        #[serde(default)]
        at: At,
    },
    Slack {
        secret: Names,
        tolerance: Option<Span>,
        #[serde(default)]
        at: At,
    },
    Hubspot {
        secret: Names,
        url: String,
        tolerance: Option<Span>,
        #[serde(default)]
        at: At,
    },
    StandardWebhooks {
        secret: Names,
        tolerance: Option<Span>,
        #[serde(default)]
        at: At,
    },
    #[serde(alias = "hmac-sha256")]
    Hmac {
        header: String,
        #[serde(default)]
        prefix: String,
        #[serde(default)]
        algorithm: Digest,
        #[serde(default)]
        encoding: Encoding,
        signed: Option<String>,
        timestamp: Option<String>,
        #[serde(default)]
        timestamp_unit: Unit,
        tolerance: Option<Span>,
        secret: Names,
        #[serde(default)]
        at: At,
    },
    Basic {
        user: String,
        secret: Names,
        when: Option<When>,
        #[serde(default)]
        at: At,
    },
    Bearer {
        secret: Names,
        when: Option<When>,
        #[serde(default)]
        at: At,
    },
    Header {
        name: String,
        secret: Names,
        when: Option<When>,
        #[serde(default)]
        at: At,
    },
    Signature(Box<Signature>),
    Jwt(Box<Jwt>),
    Token(Box<Token>),
}

/// `scheme = "signature"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Signature {
    pub(in super::super) signature: Names,
    pub(in super::super) prefix: Option<String>,
    pub(in super::super) separators: Option<String>,
    pub(in super::super) pairs: Option<Pairs>,
    #[serde(default)]
    pub(in super::super) encoding: Encoding,
    pub(in super::super) algorithm: Option<String>,
    pub(in super::super) signed: Option<String>,
    #[serde(default)]
    pub(in super::super) body_unsigned: bool,
    pub(in super::super) secret: Option<Names>,
    pub(in super::super) key: Option<String>,
    pub(in super::super) public_key: Option<Names>,
    pub(in super::super) jwks: Option<Jwks>,
    pub(in super::super) certificate: Option<Certificate>,
    pub(in super::super) fetch: Option<Fetch>,
    pub(in super::super) key_id: Option<String>,
    pub(in super::super) timestamp: Option<String>,
    #[serde(default)]
    pub(in super::super) timestamp_unit: Unit,
    pub(in super::super) tolerance: Option<Span>,
    pub(in super::super) url: Option<String>,
    pub(in super::super) every: Option<String>,
    #[serde(default)]
    pub(in super::super) equal: BTreeMap<String, String>,
    pub(in super::super) when: Option<When>,
    #[serde(default)]
    pub(in super::super) at: At,
}

impl Signature {
    /// Everything by default, but for the place.
    pub(in super::super) fn at(place: String) -> Signature {
        Signature {
            signature: Names::One(place),
            prefix: None,
            separators: None,
            pairs: None,
            encoding: Encoding::default(),
            algorithm: None,
            signed: None,
            body_unsigned: false,
            secret: None,
            key: None,
            public_key: None,
            jwks: None,
            certificate: None,
            fetch: None,
            key_id: None,
            timestamp: None,
            timestamp_unit: Unit::default(),
            tolerance: None,
            url: None,
            every: None,
            equal: BTreeMap::new(),
            when: None,
            at: At::default(),
        }
    }
}

/// `pairs` of a signature.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Pairs {
    pub(in super::super) time: Option<String>,
    pub(in super::super) signature: Names,
    pub(in super::super) between: Option<char>,
}

/// `scheme = "jwt"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Jwt {
    pub(in super::super) token: Option<String>,
    pub(in super::super) prefix: Option<String>,
    pub(in super::super) algorithms: Vec<jsonwebtoken::Algorithm>,
    pub(in super::super) secret: Option<Names>,
    pub(in super::super) key: Option<String>,
    pub(in super::super) public_key: Option<Names>,
    pub(in super::super) jwks: Option<Jwks>,
    pub(in super::super) certificate: Option<Certificate>,
    pub(in super::super) fetch: Option<Fetch>,
    pub(in super::super) key_id: Option<String>,
    #[serde(default)]
    pub(in super::super) claims: BTreeMap<String, Names>,
    pub(in super::super) max_age: Option<Span>,
    pub(in super::super) detached: Option<String>,
    #[serde(default)]
    pub(in super::super) body_unsigned: bool,
    pub(in super::super) url: Option<String>,
    pub(in super::super) every: Option<String>,
    #[serde(default)]
    pub(in super::super) equal: BTreeMap<String, String>,
    pub(in super::super) when: Option<When>,
    #[serde(default)]
    pub(in super::super) at: At,
}

/// `scheme = "token"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Token {
    pub(in super::super) token: Names,
    #[serde(default)]
    pub(in super::super) prefix: String,
    pub(in super::super) secret: Names,
    pub(in super::super) every: Option<String>,
    #[serde(default)]
    pub(in super::super) equal: BTreeMap<String, String>,
    pub(in super::super) when: Option<When>,
    #[serde(default)]
    pub(in super::super) at: At,
}

/// A condition.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct When {
    pub(in super::super) method: Option<Names>,
    #[serde(default)]
    pub(in super::super) present: Vec<String>,
    #[serde(default)]
    pub(in super::super) absent: Vec<String>,
    #[serde(default)]
    pub(in super::super) equal: BTreeMap<String, String>,
    pub(in super::super) empty: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum At {
    /// At the front door, and again in the pipeline.
    #[default]
    Ingest,
    /// Only in the pipeline: the front door stores everything.
    Pipeline,
}
