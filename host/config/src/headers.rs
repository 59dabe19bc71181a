//! Who may set which request headers.

mod safe;
mod secret;

use http::HeaderName;

pub use safe::is_safe;
pub use secret::{grants_access, proves};

/// Headers that belong to the connection or to the host. Source of the first group: RFC 9110 section
/// 7.6.1 and RFC 9112.
const FORBIDDEN: [&str; 16] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
    "content-length",
    "webhook-timestamp",
    "webhook-id",
    REPLAYED_AT,
    "user-agent",
];

/// When an operator sent the event again.
pub const REPLAYED_AT: &str = "towpath-replayed-at";

/// Headers (and prefixes of headers) that make proxies and frameworks see another path, method, host, client or user. A
/// plugin's path and method are checked, and these would bypass that. Sources: RFC 7239, RFC 9440, httpoxy.org, and the
/// documentation of nginx, Apache, Envoy, IIS, Rack, Symfony, Next.js, Kubernetes, oauth2-proxy and the large content
/// delivery networks.
const STEERING: [&str; 44] = [
    "x-anonymous-consumer",
    "x-apigateway-api-userinfo",
    "x-endpoint-api-userinfo",
    "forwarded",
    "via",
    "proxy",
    "x-forwarded",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-true-client-ip",
    "true-client-ip",
    "client-ip",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "do-connecting-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-appengine-user-ip",
    "x-originating-ip",
    "remote-user",
    "client-cert",
    "client-cert-chain",
    "x-host",
    "x-http-host-override",
    "x-http-path-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-original-uri",
    "x-original-path",
    "x-original-host",
    "x-original-method",
    "x-original-for",
    "x-original-remote-addr",
    "x-rewrite-url",
    "x-override-url",
    "x-matched-path",
    "x-script-name",
    "x-scheme",
    "x-url-scheme",
    "front-end-https",
];
const STEERING_BEGINNINGS: [&str; 25] = [
    "x-consumer-",
    "x-authenticated-",
    "x-amzn-oidc-",
    "x-amzn-mtls-",
    "x-client-cert",
    "x-client-verify",
    "ssl-client-",
    "tailscale-user-",
    "x-forwarded-",
    "x-original-forwarded-",
    "x-real-",
    "x-remote-",
    "x-auth-request-",
    "x-webauth-",
    "x-ssl-client-",
    "x-goog-authenticated-user-",
    "x-ms-client-",
    "x-arr-",
    "x-envoy-",
    "x-accel-",
    "x-sendfile",
    "x-middleware-",
    "x-invoke-",
    "cf-connecting-",
    "impersonate-",
];

pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A header name as seen by servers that pass headers on as variables (CGI, WSGI, PHP, Rack): they do not distinguish
/// `_` and `-`.
pub fn as_read(name: &HeaderName) -> String {
    name.as_str().replace('_', "-")
}

/// Whether a header can redirect a request behind the target's front.
pub fn steers(name: &HeaderName) -> bool {
    let name = as_read(name);
    STEERING.contains(&name.as_str()) || STEERING_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Whether a header belongs to the connection, or to the host itself.
pub fn is_forbidden(name: &HeaderName) -> bool {
    let name = as_read(name);
    name == IDEMPOTENCY_KEY || FORBIDDEN.contains(&name.as_str())
}
