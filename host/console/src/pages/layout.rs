//! What every page has: its head, the navigation, and how errors look.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::access::{Role, Session};
use crate::problem::Problem;

/// No `eval`, no inline styles, and requests to this server only. Errors are swapped in, so that they are seen.
const HTMX: &str = r#"{"allowEval":false,"includeIndicatorStyles":false,"selfRequestsOnly":true,"historyCacheSize":0,"refreshOnHistoryMiss":true,"responseHandling":[{"code":"204","swap":false},{"code":".*","swap":true}]}"#;

/// The header that every request of a page has, and no foreign page can send.
const HEADERS: &str = r#"{"x-towpath-console":"1"}"#;

/// The pages in the navigation: path, name, and the key that goes there after `g`.
const PAGES: [(&str, &str, &str); 8] = [
    ("/", "Overview", "o"),
    ("/groups", "Groups", "g"),
    ("/letters", "Dead letters", "d"),
    ("/refused", "Refused", "r"),
    ("/live", "Live", "l"),
    ("/plugins", "Plugins", "p"),
    ("/providers", "Providers", "s"),
    ("/audit", "Audit", "a"),
];

/// A page.
pub(crate) fn page(session: &Session, path: &str, title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX);
                title { (title) " – Towpath" }
                // None, so that browsers do not ask for one.
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/assets/console.css";
                script src="/assets/htmx.js" defer {}
                script src="/assets/sse.js" defer {}
                script src="/assets/console.js" defer {}
            }
            body hx-headers=(HEADERS) {
                a.skip href="#main" { "Skip to content" }
                header {
                    a.brand href="/" { "Towpath" }
                    nav aria-label="Pages" {
                        @for (to, name, key) in PAGES {
                            a href=(to) data-key=(key) aria-current=[(to == path).then_some("page")] { (name) }
                        }
                    }
                    button #find type="button" hidden aria-keyshortcuts="Control+K" { "Find" small { " Ctrl-K" } }
                    a.who href="/session" title="You are named so in the audit" aria-current=[("/session" == path).then_some("page")] {
                        (session.by)
                        @if session.role == Role::Viewer { " (may look, not act)" }
                    }
                }
                main #main tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
                div #said role="status" aria-live="polite" {}
                (palette())
            }
        }
    }
}

/// Finds pages, targets, groups and events by their names. The script fills it.
fn palette() -> Markup {
    html! {
        dialog #palette aria-label="Find" {
            label for="palette-text" { "Page, target, group or id of an event" }
            input #palette-text type="text" autocomplete="off" spellcheck="false" role="combobox" aria-expanded="true"
                aria-controls="palette-list" aria-autocomplete="list";
            ul #palette-list role="listbox" aria-label="Results" {}
        }
    }
}

/// A page, or what is shown instead of it.
pub(crate) struct Page(pub(crate) Result<Markup, Problem>);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        match self.0 {
            Ok(markup) => markup.into_response(),
            Err(problem) => {
                let session = Session { by: String::new(), role: Role::Viewer };
                let markup = page(&session, "", problem.title(), alert(&problem));
                (problem.status(), markup).into_response()
            }
        }
    }
}

/// An error in the middle of a page.
pub(crate) fn alert(problem: &Problem) -> Markup {
    html! { p.alert role="alert" { strong { (problem.title()) } " " (problem.detail()) } }
}

/// A fragment that htmx swaps in.
pub(crate) fn fragment(result: Result<Markup, Problem>) -> Response {
    match result {
        Ok(markup) => markup.into_response(),
        // htmx shows whatever its status; 422 would be logged as an error by browsers all the same.
        Err(problem) => (StatusCode::OK, alert(&problem)).into_response(),
    }
}
