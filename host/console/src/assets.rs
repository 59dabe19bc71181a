//! Files that pages load, and the headers that keep browsers from loading anything else.
//!
//! htmx and its extension for server-sent events are as npm has them; the test compares their digests.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use axum::routing::get;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const ASSETS: [(&str, &str, &str); 4] = [
    ("/assets/htmx.js", SCRIPT, include_str!("assets/htmx.min.js")),
    ("/assets/sse.js", SCRIPT, include_str!("assets/sse.min.js")),
    ("/assets/console.js", SCRIPT, include_str!("assets/console.js")),
    ("/assets/console.css", STYLE, include_str!("assets/console.css")),
];

/// Nothing from elsewhere, nothing inline, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// Serves the files. Their names have no version, so browsers check them at each load.
pub(crate) fn router() -> Router {
    ASSETS.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text) }))
    })
}

/// Adds the headers that every answer has. Pages show events of other people, so nothing of them is kept by caches.
pub(crate) async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    set(headers, CONTENT_SECURITY_POLICY, POLICY);
    set(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, X_FRAME_OPTIONS, "DENY");
    // With `no-referrer` browsers would send `Origin: null` with the form of the login.
    set(headers, REFERRER_POLICY, "same-origin");
    set(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn what_others_wrote_is_as_npm_has_it() {
        // htmx.org 2.0.11 and htmx-ext-sse 2.2.4.
        for (path, digest) in [
            ("/assets/htmx.js", "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"),
            ("/assets/sse.js", "98a46496de0c3605fbffdce9167ba427bdd9553184f83f149c261891a92c0136"),
        ] {
            let (_, _, text) = ASSETS.into_iter().find(|(own, ..)| *own == path).expect("is there");
            assert_eq!(hex::encode(Sha256::digest(text)), digest, "{path}");
        }
    }
}
