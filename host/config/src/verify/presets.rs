//! How well-known senders sign.

use std::time::Duration;

use super::{Algorithm, Signature, TOLERANCE, Time, Unit, Written};
use crate::signature::Encoding;
use crate::value::{Digest, Filter, Part, Source, Template, Value};

impl Signature {
    /// GitHub: `X-Hub-Signature-256: sha256=<hex>` over the body.
    /// Source: `https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries`.
    pub fn github() -> Signature {
        Signature { written: prefixed("sha256="), ..of_body("x-hub-signature-256") }
    }

    /// Shopify: `X-Shopify-Hmac-Sha256: <base64>` over the body.
    /// Source: `https://shopify.dev/docs/apps/build/webhooks/subscribe/https`.
    pub fn shopify() -> Signature {
        Signature { encoding: Encoding::Base64, ..of_body("x-shopify-hmac-sha256") }
    }

    /// Stripe: `t=<seconds>,v1=<hex>` over `t`, a dot and the body; several `v1` during rotation. Others, such as
    /// Calendly, use the same format in another header.
    /// Source: `https://docs.stripe.com/webhooks#verify-manually`.
    pub fn stripe(header: Option<String>, tolerance: Duration) -> Signature {
        Signature {
            written: Written::Pairs { signatures: vec!["v1".to_owned()], between: b',' },
            signed: template([value(Source::Timestamp), literal("."), value(Source::Body)]),
            time: Some(Time { at: plain(Source::Pair("t".to_owned())), unit: Unit::Seconds }),
            tolerance,
            ..of_body(header.as_deref().unwrap_or("stripe-signature"))
        }
    }

    /// Slack: `X-Slack-Signature: v0=<hex>` over `v0:<timestamp>:<body>`.
    /// Source: `https://docs.slack.dev/authentication/verifying-requests-from-slack`.
    pub fn slack(tolerance: Duration) -> Signature {
        Signature {
            written: prefixed("v0="),
            signed: template([literal("v0:"), value(Source::Timestamp), literal(":"), value(Source::Body)]),
            time: Some(Time { at: Value::header("x-slack-request-timestamp"), unit: Unit::Seconds }),
            tolerance,
            ..of_body("x-slack-signature")
        }
    }

    /// HubSpot, version 3: `X-HubSpot-Signature-v3: <base64>` over method, URL, body and timestamp. The URL is the one
    /// registered with HubSpot: what arrives here may have passed proxies.
    /// Source: `https://developers.hubspot.com/docs/api/webhooks/validating-requests`.
    pub fn hubspot(tolerance: Duration) -> Signature {
        Signature {
            encoding: Encoding::Base64,
            signed: template([Source::Method, Source::Url, Source::Body, Source::Timestamp].map(value)),
            time: Some(Time { at: Value::header("x-hubspot-request-timestamp"), unit: Unit::Milliseconds }),
            tolerance,
            ..of_body("x-hubspot-signature-v3")
        }
    }
}

/// HMAC-SHA-256 of the body, in hex in this header.
fn of_body(header: &str) -> Signature {
    Signature {
        at: vec![Value::header(header)],
        written: prefixed(""),
        encoding: Encoding::Hex,
        algorithm: Algorithm::Mac(Digest::Sha256),
        signed: Template::of(plain(Source::Body)),
        key: Template::of(plain(Source::Secret)),
        time: None,
        tolerance: TOLERANCE,
    }
}

fn prefixed(prefix: &str) -> Written {
    Written::Plain { prefix: prefix.to_owned(), separators: b", ".to_vec() }
}

fn plain(source: Source) -> Value {
    Value { source, filters: Vec::<Filter>::new() }
}

fn value(source: Source) -> Part {
    Part::Value(plain(source))
}

fn literal(text: &str) -> Part {
    Part::Literal(text.to_owned())
}

fn template<const N: usize>(parts: [Part; N]) -> Template {
    parts.into_iter().collect()
}
