//! `verify` of a route as written.

use serde::Deserialize;

use super::{Names, Span};
use crate::signature::{Algorithm, Encoding};
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
        algorithm: Algorithm,
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
        #[serde(default)]
        at: At,
    },
    Bearer {
        secret: Names,
        #[serde(default)]
        at: At,
    },
    Header {
        name: String,
        secret: Names,
        #[serde(default)]
        at: At,
    },
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
