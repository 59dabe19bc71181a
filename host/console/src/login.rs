//! Logging in and out.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::header::{HeaderName, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Router};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use tracing::info;
use url::{Position, Url};

use crate::access::{Access, Peer, ReadOnly, Session, address, cookie, own_page};
use crate::problem::Problem;

/// The longest path to which a login leads.
const MAX_PATH: usize = 4096;

/// With this header htmx goes to another page instead of swapping the answer in.
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");

#[derive(Deserialize)]
struct Asked {
    once: Option<String>,
    to: Option<String>,
}

#[derive(Deserialize)]
struct Given {
    token: String,
    to: Option<String>,
}

/// The login.
pub(crate) fn router(access: Arc<Access>) -> Router {
    Router::new().route("/login", get(ask).post(log_in)).route("/logout", post(log_out)).with_state(access)
}

/// Puts the session into the request. Whoever has none is sent to the login, and programs get 401.
pub(crate) async fn check(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    let peer = Peer::of(request.extensions());
    let session = access.session(request.method(), request.headers(), peer);
    if let Some(proxy) = &access.proxy {
        request.headers_mut().remove(&proxy.header);
    }
    match session {
        Ok((session, proof)) => {
            request.extensions_mut().insert(session);
            request.extensions_mut().insert(proof);
            request.extensions_mut().insert(ReadOnly(access.read_only.clone()));
            next.run(request).await
        }
        Err(problem) if problem.is_unauthorized() => instead(&request, problem),
        Err(problem) => problem.into_response(),
    }
}

/// What somebody without a session gets: the login where a page was asked for, else 401.
fn instead(request: &Request, problem: Problem) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let headers = request.headers();
    if path.starts_with("/api/") || *request.method() != Method::GET && !headers.contains_key("hx-request") {
        return ([(WWW_AUTHENTICATE, "Bearer")], problem).into_response();
    }
    if headers.contains_key("hx-request") {
        // The page that sent it is shown again, not the fragment that it asked for.
        let page = headers.get("hx-current-url").and_then(|url| Url::parse(url.to_str().ok()?).ok());
        let page = page.map_or("/".to_owned(), |url| local(&url[Position::BeforePath..]));
        return ([(HX_REDIRECT, login_at(&page))], problem).into_response();
    }
    to(&login_at(path))
}

/// The login that leads to this path.
fn login_at(path: &str) -> String {
    let query: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
    format!("/login?to={query}")
}

/// A path of this console, as a browser would understand it; `/` if it is anything else. A browser reads `//a`, `/\a` and `/.//a` as
/// addresses of other hosts.
fn local(path: &str) -> String {
    let base = Url::parse("http://console.invalid/").ok();
    let read = base.filter(|_| path.starts_with('/') && path.len() <= MAX_PATH).and_then(|base| {
        let url = base.join(path).ok()?;
        (url.origin() == base.origin()).then(|| url[Position::BeforePath..].to_owned())
    });
    read.filter(|path| !path.starts_with("//")).unwrap_or_else(|| "/".to_owned())
}

fn to(path: &str) -> Response {
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response()
}

/// The page that asks for the token. With the link of the start it logs in at once.
async fn ask(
    State(access): State<Arc<Access>>,
    Query(asked): Query<Asked>,
    method: Method,
    request: Request,
) -> Response {
    let peer = Peer::of(request.extensions());
    let path = local(asked.to.as_deref().unwrap_or("/"));
    if asked.once.is_some() && request.headers().contains_key("sec-purpose") {
        // A browser that loads links ahead would use it up. After an error it asks again when the link is opened.
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if let Some(once) = asked.once.filter(|_| method == Method::GET) {
        return match access.by_link(&once, peer) {
            Ok(session) => access.opened(session, &path, request.headers(), peer),
            Err(_) => {
                let why = "This link was used, or is older than 10 minutes. Paste the token instead.";
                (StatusCode::UNAUTHORIZED, form(&path, Some(why), None)).into_response()
            }
        };
    }
    if access.session(&Method::GET, request.headers(), peer).is_ok() {
        return to(&path);
    }
    // After a link on another site the browser keeps the cookie back: this page asks once more, as its own.
    let is_foreign =
        request.headers().get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    let again = is_foreign.then(|| login_at(&path));
    form(&path, None, again.as_deref()).into_response()
}

async fn log_in(
    State(access): State<Arc<Access>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Response {
    let peer = peer.map(|Extension(peer)| peer).unwrap_or_default();
    let path = local(given.to.as_deref().unwrap_or("/"));
    if !own_page::is_same_origin(&headers) {
        return Problem::foreign().into_response();
    }
    match access.by(given.token.trim(), &headers, peer) {
        Ok(session) => access.opened(session, &path, &headers, peer),
        Err(problem) if problem.is_unauthorized() => {
            (StatusCode::UNAUTHORIZED, form(&path, Some("This is not the token."), None)).into_response()
        }
        Err(problem) => denied(&path, &problem),
    }
}

async fn log_out(State(access): State<Arc<Access>>, headers: HeaderMap) -> Response {
    if !own_page::sent(&headers) {
        return Problem::foreign().into_response();
    }
    for session in cookie::values(&headers, &access.cookie).filter_map(|id| access.sessions.close(id)) {
        info!(by = session.by, "console logout");
    }
    let headers = [(SET_COOKIE, cookie::unset(&access.cookie)), (HX_REDIRECT, "/login".to_owned())];
    (headers, "logged out\n").into_response()
}

impl Access {
    /// Opens a session of a browser, and leads it to the page that it wanted.
    fn opened(&self, session: Session, path: &str, headers: &HeaderMap, peer: Peer) -> Response {
        info!(by = session.by, address = address(peer), "console login");
        for old in cookie::values(headers, &self.cookie) {
            self.sessions.close(old);
        }
        let id = self.sessions.open(session);
        let cookie = cookie::set(&self.cookie, &id, is_secure(headers, peer));
        ([(SET_COOKIE, cookie)], to(path)).into_response()
    }
}

/// Whether the browser spoke TLS to a proxy that is trusted.
fn is_secure(headers: &HeaderMap, peer: Peer) -> bool {
    let said = headers.get("x-forwarded-proto").and_then(|said| said.to_str().ok());
    let nearest = said.and_then(|said| said.rsplit(',').next()).map(str::trim);
    peer.is_proxy && nearest == Some("https")
}

fn denied(path: &str, problem: &Problem) -> Response {
    let mut response = form(path, Some(problem.detail()), None).into_response();
    *response.status_mut() = problem.status();
    problem.wait_on(response.headers_mut());
    response
}

/// The login. It needs no script.
fn form(path: &str, problem: Option<&str>, again: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(again) = again { meta http-equiv="refresh" content={ "0;url=" (again) }; }
                title { "Log in – Towpath" }
                link rel="stylesheet" href="/assets/console.css";
            }
            body {
                main #main {
                    h1 { "Log in" }
                    @if let Some(problem) = problem { p.alert role="alert" { (problem) } }
                    form.act method="post" action="/login" {
                        input type="hidden" name="to" value=(path);
                        label { "Token" input type="password" name="token" autocomplete="current-password" required autofocus; }
                        p { button.primary type="submit" { "Log in" } }
                    }
                    p {
                        "The token is in " code { "console.token" } " in the folder of the store, or in "
                        code { "console-view.token" } " for those who only look. The link that Towpath prints at its start works once."
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
