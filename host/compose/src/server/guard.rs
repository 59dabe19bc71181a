//! Rejects requests that web pages make to a listener. Without a token nothing else protects it from a browser on this machine.
//!
//! A page whose author points the name of its own site at 127.0.0.1 (DNS rebinding) has the same origin as the listener and can read its
//! responses. Its requests still name that site in `Host`. A page of any other origin cannot read responses, but the browser sends its simple
//! requests, with their source in `Origin` and `Sec-Fetch-Site` (<https://www.w3.org/TR/fetch-metadata/>). No preflight is granted, so requests
//! that need one are never sent. A link to a listener works: its page cannot read the response, and no GET changes anything.

mod name;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;
use tracing::warn;

pub use name::HostName;
use name::{Authority, Origin};

/// The shortest time between two log lines. The next line counts the requests rejected without one.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// `Sec-Fetch-Site` of requests that a page made to its own origin, and of those that no page made.
const OWN_SITES: [&[u8]; 2] = [b"same-origin", b"none"];

/// Decides who may call a listener. Clones share their log limit.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    names: Arc<[HostName]>,
    any_host: bool,
    /// The origins of pages that may call, if the config can name some.
    pages: Option<Arc<[String]>>,
    logged: Arc<Mutex<Logged>>,
}

#[derive(Debug, Default)]
struct Logged {
    last: Option<Instant>,
    without: u64,
}

/// Why a request is rejected.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Refusal {
    /// There are several `Host`s, or one that is neither a name nor an address.
    BadHost,
    /// `Host` is not a name of this host.
    Host(String),
    /// A page of this origin made it.
    Origin(String),
    /// A page of another site made it.
    Site,
}

impl Guard {
    /// Allows requests to this machine by its own names, its addresses, or these names.
    pub fn of(names: &[HostName]) -> Guard {
        Guard { names: names.into(), ..Guard::default() }
    }

    /// Allows any `Host`: where clients present a token, which no page has, and for ingest, which is behind proxies, load balancers and tunnels.
    /// A page whose name was pointed here can then send a GET and read the response; its POSTs have an `Origin` and are rejected. So without a
    /// token a GET must return nothing private.
    pub fn for_any_host(self) -> Guard {
        Guard { any_host: true, ..self }
    }

    /// Also allows pages of these origins.
    pub fn for_pages_of(self, origins: &[String]) -> Guard {
        Guard { pages: Some(origins.into()), ..self }
    }

    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = self.host(uri, headers);
        if !self.any_host {
            host.as_ref().map_err(Clone::clone)?;
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        if let Some(origin) = origins.next() {
            let text = String::from_utf8_lossy(origin.as_bytes());
            let foreign = || Refusal::Origin(text.chars().take(200).collect());
            let origin = Origin::read(&text).filter(|_| origins.next().is_none()).ok_or_else(foreign)?;
            if self.pages.as_ref().is_some_and(|pages| pages.contains(&origin.text)) {
                return Ok(());
            }
            host.ok().flatten().filter(|host| origin.is_of(host)).ok_or_else(foreign)?;
        }
        if follows_link(method, headers) {
            return Ok(());
        }
        let mut sites = headers.get_all("sec-fetch-site").iter();
        sites.all(|site| OWN_SITES.contains(&site.as_bytes())).then_some(()).ok_or(Refusal::Site)
    }

    /// The name by which the request calls this host, if it is allowed. Health checks over HTTP/1.0 send none; every browser does.
    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<Authority>, Refusal> {
        let mut said = headers.get_all(header::HOST).iter().map(|host| host.to_str().ok().and_then(Authority::read));
        // HTTP/2 has the authority, HTTP/1.1 the header; if both are there they must agree.
        let target = uri.authority().map(|authority| Authority::read(authority.as_str()));
        let host = match (said.next(), said.next(), target) {
            (Some(Some(host)), None, None) => host,
            (Some(Some(host)), None, Some(Some(target))) if host == target => host,
            (None, None, Some(Some(target))) => target,
            (None, None, None) => return Ok(None),
            _ => return Err(Refusal::BadHost),
        };
        if host.is_local() || self.names.iter().any(|name| host.is(name)) {
            Ok(Some(host))
        } else {
            Err(Refusal::Host(host.to_string()))
        }
    }

    fn log(&self, refusal: &Refusal) {
        let mut logged = self.logged.lock();
        if logged.last.is_some_and(|last| last.elapsed() < LOG_EVERY) {
            logged.without += 1;
            return;
        }
        warn!(problem = self.says(refusal), others = logged.without, "request of a foreign host or page refused");
        *logged = Logged { last: Some(Instant::now()), without: 0 };
    }

    fn says(&self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::BadHost => {
                "the request has several Host headers, or an invalid one: send localhost, an IP address, or a name that towpath \
                was started with, as --allow-host NAME"
                    .to_owned()
            }
            Refusal::Host(name) => format!(
                "{name:?} is not a name of this host: call it as localhost or by its address, or start towpath with --allow-host {name}"
            ),
            Refusal::Origin(origin) if self.pages.is_some() => {
                format!(
                    "a web page of {origin:?} may not call this: ingest.allow_origins in the config names those that may post"
                )
            }
            Refusal::Origin(origin) => {
                format!("a web page of {origin:?} may not call this: call it from outside a browser")
            }
            Refusal::Site => "a web page of another site may not call this: call it from outside a browser".to_owned(),
        }
    }
}

/// Whether the user followed a link in a window of its own: a frame has another `Sec-Fetch-Dest`.
fn follows_link(method: &Method, headers: &HeaderMap) -> bool {
    let is_only = |name: &str, value: &str| {
        let mut values = headers.get_all(name).iter();
        values.next().is_some_and(|said| said == value) && values.next().is_none()
    };
    let reads = *method == Method::GET || *method == Method::HEAD;
    reads && is_only("sec-fetch-mode", "navigate") && is_only("sec-fetch-dest", "document")
}

/// Answers requests that are rejected, and passes on all others.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Err(refusal) = guard.check(request.method(), request.uri(), request.headers()) else {
        return next.run(request).await;
    };
    guard.log(&refusal);
    let status = match refusal {
        Refusal::BadHost | Refusal::Host(_) => StatusCode::MISDIRECTED_REQUEST,
        Refusal::Origin(_) | Refusal::Site => StatusCode::FORBIDDEN,
    };
    let problem = guard.says(&refusal);
    // SQS clients show `message`.
    let body = json!({ "error": problem, "message": problem });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests;
