//! Headers of a webhook that a route without a plugin passes on.

use http::HeaderName;

use super::{as_read, grants_access, is_forbidden, proves, steers};

/// Headers about the answer: it goes to Towpath, not to the sender. RFC 9110 sections 12.5.3, 13.1 and 14.2.
const OF_ANSWERS: [&str; 7] =
    ["accept-encoding", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range"];

/// Headers that a browser sets about the page and its site, and the target would relate to itself. RFC 9110 section
/// 10.1.3, RFC 6454.
const OF_BROWSERS: [&str; 2] = ["origin", "referer"];

/// Digests of the body as it came; it may be unpacked since, or a token hidden in it. RFC 9530, RFC 1864.
const OF_BYTES: [&str; 4] = ["digest", "content-digest", "repr-digest", "content-md5"];

/// The trace goes on from the host's own span.
const OF_TRACES: [&str; 2] = ["traceparent", "tracestate"];

/// Whether a header may be passed on as it came: anything else that the sender wrote is part of the event.
pub fn is_safe(name: &HeaderName) -> bool {
    let read = as_read(name);
    let is_listed = [&OF_ANSWERS[..], &OF_BROWSERS, &OF_BYTES, &OF_TRACES].iter().any(|list| list.contains(&&*read));
    let is_by_browser = read.starts_with("sec-") || read.starts_with("access-control-");
    !(is_forbidden(name) || steers(name) || grants_access(&read) || proves(&read) || is_listed || is_by_browser)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_that_belong_to_the_event_are_safe() {
        let is_safe = |name: &str| is_safe(&HeaderName::try_from(name).expect(name));
        for name in ["content-type", "content-encoding", "x-github-event", "x-github-delivery", "accept", "ce-type"] {
            assert!(is_safe(name), "{name}");
        }
        let unsafe_ones = [
            "connection",
            "transfer-encoding",
            "host",
            "content-length",
            "user-agent",
            "webhook-id",
            "towpath-replayed-at",
            "idempotency-key",
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-gitlab-token",
            "x_api_key",
            "x-hub-signature-256",
            "x-shopify-hmac-sha256",
            "x-forwarded-for",
            "x_forwarded_host",
            "forwarded",
            "x-http-method-override",
            "accept-encoding",
            "if-none-match",
            "x-consumer-username",
            "x-amzn-oidc-data",
            "ssl-client-verify",
            "origin",
            "sec-fetch-site",
            "content-digest",
            "traceparent",
        ];
        for name in unsafe_ones {
            assert!(!is_safe(name), "{name}");
        }
    }
}
