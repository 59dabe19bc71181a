//! How well-known senders sign.

use std::time::Duration;

use super::{Hmac, Scheme, Stamp, TOLERANCE, Unit, Written};
use crate::signature::{Algorithm, Encoding, Signed};

impl Scheme {
    /// GitHub: `X-Hub-Signature-256: sha256=<hex>` over the body.
    /// Source: `https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries`.
    pub fn github() -> Scheme {
        Scheme::Hmac(plain("x-hub-signature-256", "sha256=", Encoding::Hex))
    }

    /// Shopify: `X-Shopify-Hmac-Sha256: <base64>` over the body.
    /// Source: `https://shopify.dev/docs/apps/build/webhooks/subscribe/https`.
    pub fn shopify() -> Scheme {
        Scheme::Hmac(plain("x-shopify-hmac-sha256", "", Encoding::Base64))
    }

    /// Stripe: `t=<seconds>,v1=<hex>` over `t`, a dot and the body; several `v1` during rotation. Others, such as
    /// Calendly, use the same format in another header.
    /// Source: `https://docs.stripe.com/webhooks#verify-manually`.
    pub fn stripe(header: Option<String>, tolerance: Duration) -> Scheme {
        let header = header.unwrap_or_else(|| "stripe-signature".to_owned());
        let signed = Signed::timestamp_and_body();
        Scheme::Hmac(Hmac { written: Written::Pairs, signed, tolerance, ..plain(&header, "", Encoding::Hex) })
    }

    /// Slack: `X-Slack-Signature: v0=<hex>` over `v0:<timestamp>:<body>`.
    /// Source: `https://docs.slack.dev/authentication/verifying-requests-from-slack`.
    pub fn slack(tolerance: Duration) -> Scheme {
        let stamp = Some(Stamp { header: "x-slack-request-timestamp".to_owned(), unit: Unit::Seconds });
        let written = Written::Plain { prefix: "v0=".to_owned(), stamp };
        let signed = Signed::v0_timestamp_and_body();
        Scheme::Hmac(Hmac { written, signed, tolerance, ..plain("x-slack-signature", "", Encoding::Hex) })
    }

    /// HubSpot, version 3: `X-HubSpot-Signature-v3: <base64>` over method, URL, body and timestamp. `url` is the URL
    /// registered with HubSpot: what arrives here may have passed proxies.
    /// Source: `https://developers.hubspot.com/docs/api/webhooks/validating-requests`.
    pub fn hubspot(url: &str, tolerance: Duration) -> Scheme {
        let stamp = Some(Stamp { header: "x-hubspot-request-timestamp".to_owned(), unit: Unit::Milliseconds });
        let written = Written::Plain { prefix: String::new(), stamp };
        let signed = Signed::literal_body_timestamp(&format!("POST{url}"));
        Scheme::Hmac(Hmac { written, signed, tolerance, ..plain("x-hubspot-signature-v3", "", Encoding::Base64) })
    }
}

/// HMAC-SHA-256 of the body.
fn plain(header: &str, prefix: &str, encoding: Encoding) -> Hmac {
    Hmac {
        header: header.to_owned(),
        written: Written::Plain { prefix: prefix.to_owned(), stamp: None },
        algorithm: Algorithm::Sha256,
        encoding,
        signed: Signed::body(),
        tolerance: TOLERANCE,
    }
}
