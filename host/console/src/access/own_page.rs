//! Whether a request was sent by a page of this console.
//!
//! Browsers send cookies with requests of other pages too: `SameSite` keeps out other sites, but a page on another port of the same host is the
//! same site. They say which page it was in `Origin` and `Sec-Fetch-Site`, and a page cannot set a header of its own for another origin
//! without a preflight, which is never granted.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use url::Url;

/// The header that pages of the console send.
const OWN: &str = "x-towpath-console";

/// Whether a page of the console sent it by script.
pub(crate) fn sent(headers: &HeaderMap) -> bool {
    headers.contains_key(OWN) && is_same_origin(headers)
}

/// Whether the browser says that a page of another site sent it.
pub(crate) fn is_of_another_site(headers: &HeaderMap) -> bool {
    headers.get_all("sec-fetch-site").iter().any(|site| site == "cross-site")
}

/// Whether the browser says that a page of this origin sent it. What it says must agree, and one of the two must be there.
pub(crate) fn is_same_origin(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    let mut origins = headers.get_all(ORIGIN).iter().peekable();
    let says = sites.peek().is_some() || origins.peek().is_some();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    says && sites.all(|site| site == "same-origin")
        && origins.all(|origin| origin.to_str().is_ok_and(|origin| host.is_some_and(|host| is_of(origin, host))))
}

/// Whether a page of this origin was served by this host. A proxy may speak TLS, so the scheme only decides the default port.
fn is_of(origin: &str, host: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    let own = Url::parse(&format!("{}://{host}", origin.scheme()));
    own.is_ok_and(|own| {
        matches!(origin.scheme(), "http" | "https")
            && own.host().is_some()
            && own.host() == origin.host()
            && own.port_or_known_default() == origin.port_or_known_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'static str, &'static str)];

    #[test]
    fn only_pages_of_the_console_itself_may_write() {
        let host = ("host", "127.0.0.1:8082");
        let own = (OWN, "1");
        let cases: [(&str, Headers<'_>, bool); 13] = [
            ("htmx", &[host, own, ("origin", "http://127.0.0.1:8082"), ("sec-fetch-site", "same-origin")], true),
            ("an older browser", &[host, own, ("origin", "http://127.0.0.1:8082")], true),
            ("no header of our own", &[host, ("origin", "http://127.0.0.1:8082")], false),
            ("no browser at all", &[host, own], false),
            ("another site", &[host, own, ("origin", "https://evil.example")], false),
            ("another port", &[host, own, ("origin", "http://127.0.0.1:9000")], false),
            ("another name", &[host, own, ("origin", "http://localhost:8082")], false),
            ("a sandbox", &[host, own, ("origin", "null")], false),
            ("cross-site", &[host, own, ("sec-fetch-site", "cross-site")], false),
            ("same site, another port", &[host, own, ("sec-fetch-site", "same-site")], false),
            ("what disagrees", &[host, own, ("origin", "http://127.0.0.1:8082"), ("sec-fetch-site", "none")], false),
            (
                "two origins",
                &[host, own, ("origin", "http://127.0.0.1:8082"), ("origin", "http://evil.example")],
                false,
            ),
            ("TLS at a proxy", &[("host", "a.example"), own, ("origin", "https://a.example")], true),
        ];
        for (name, headers, expected) in cases {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().expect("a value"));
            }
            assert_eq!(sent(&map), expected, "{name}");
        }
    }
}
