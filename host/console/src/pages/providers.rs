//! The senders that are known, and one of them with a route to paste.

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::providers::{self, Listed, Shown};
use towpath_operate::trial::{Said, Tested};

use super::layout::{Page, fragment, page};
use super::words::urlencoded;
use crate::Shared;
use crate::access::{Operator, Role, Session, Viewer};
use crate::api::providers::{Search, found, tested};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/providers", get(list))
        .route("/providers/{name}", get(show))
        .route("/providers/{name}/test", post(test))
}

async fn list(Viewer(session): Viewer, Query(query): Query<Search>) -> Page {
    let listed = providers::list(Some(&query.search));
    Page(Ok(page(&session, "/providers", "Providers", listing(&query, &listed))))
}

fn listing(query: &Search, listed: &[Listed]) -> Markup {
    html! {
        p { "Senders whose signatures, keys and handshakes are known. A route names one as " code { "provider" } "." }
        form.filter method="get" action="/providers" {
            label { "Name or title" input type="search" name="search" value=(query.search); }
            button { "Filter" }
        }
        @if listed.is_empty() { p { "No provider has this text in its name or title." } } @else {
            div.table {
                table {
                    thead { tr { th { "Name" } th { "Title" } th { "Proof" } th { "Handshake" } th { "Splits" } th { "Confidence" } } }
                    tbody { @for provider in listed { (row(provider)) } }
                }
            }
        }
    }
}

fn row(provider: &Listed) -> Markup {
    let yes = |is: bool| if is { "yes" } else { "no" };
    html! {
        tr {
            td { a href={ "/providers/" (urlencoded(provider.name)) } { (provider.name) } }
            td { (provider.title) }
            td { (provider.proof) }
            td { (yes(provider.handshake)) }
            td { (yes(provider.split)) }
            td { (provider.confidence.as_str()) }
        }
    }
}

async fn show(Viewer(session): Viewer, Path(name): Path<String>) -> Page {
    Page(found(&name).map(|shown| page(&session, "", &shown.listed.title, whole(&session, &shown))))
}

fn whole(session: &Session, shown: &Shown) -> Markup {
    let (learned, given): (Vec<_>, Vec<_>) = shown.secrets.iter().partition(|secret| secret.learned);
    html! {
        p { "Documentation: " a href=(shown.doc) rel="noreferrer" { (shown.doc) } }
        h2 { "The route" }
        p { "Put it into the config. Values in angle brackets and the plugin are yours." }
        pre #route tabindex="0" { (shown.route) }
        p { button type="button" data-copy="#route" { "Copy" } }
        @if !shown.parameters.is_empty() {
            h2 { "Put in" }
            dl { @for text in &shown.parameters { dt { code { (text.name) } } dd { (text.about) } } }
        }
        @if !given.is_empty() {
            h2 { "Set in the environment of the hosts" }
            dl { @for secret in &given { dt { code { (secret.variable) } } dd { (secret.about) } } }
        }
        @if !learned.is_empty() {
            h2 { "Learned by the route, once " code { "towpath secret arm" } " has armed it" }
            dl { @for secret in &learned { dt { code { (secret.name) } } dd { (secret.about) } } }
        }
        h2 { "At the provider, for the URL " code { (shown.url) } }
        ol { @for step in &shown.setup { li { (step) } } }
        h2 { "Send a test" }
        @if session.role < Role::Operator { p.note { "This session may look and not act." } } @else { (form(shown.listed.name)) }
        p { "The same on the command line, from nothing:" }
        pre tabindex="0" { @for command in &shown.next { (command) "\n" } }
        h2 { "Good to know" }
        ul { @for fact in shown.facts() { li { (fact) } } }
    }
}

/// What to send.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    path: String,
    #[serde(default)]
    send: bool,
}

fn form(name: &str) -> Markup {
    html! {
        form.act hx-post={ "/providers/" (urlencoded(name)) "/test" } hx-target="find .result" hx-swap="innerHTML" hx-disabled-elt="find button" {
            p {
                "It sends handshakes, and webhooks that must be refused, to the ingest of the config on this machine, and checks its answers. Nothing \
                of that is delivered. A signed sample is stored and delivered like any event; if the plugin does not know it, it becomes a dead letter."
            }
            label { "Path of one route (empty: all routes of this provider)" input name="path" autocomplete="off"; }
            label.check { input type="checkbox" name="send" value="true"; " Send a signed sample too" }
            div { button.primary type="submit" { "Send a test" } }
            div.result aria-live="polite" {}
        }
    }
}

async fn test(
    Operator(session): Operator,
    Path(name): Path<String>,
    State(console): State<Shared>,
    sent: Result<Form<Sent>, FormRejection>,
) -> Response {
    let work = async {
        let Form(sent) = sent?;
        let path = Some(sent.path.trim()).filter(|path| !path.is_empty());
        tested(&console, &session, &name, path, sent.send).await.map(|tested| answers(&tested))
    };
    fragment(work.await)
}

fn answers(tested: &Tested) -> Markup {
    let said = |said: &Option<Said>| said.as_ref().map_or("-".to_owned(), |said| said.status.to_string());
    html! {
        p { "Ingest: " code { (tested.ingest) } }
        table {
            thead { tr { th { "Path" } th { "Request" } th { "Expected" } th { "Answered" } th { "Result" } th {} } }
            tbody {
                @for row in &tested.requests {
                    tr {
                        td { (row.path) }
                        td { (row.request.as_str()) }
                        td { (said(&row.expected)) }
                        td { (said(&row.answered)) }
                        td { (row.result.as_str()) }
                        td { @if let Some(detail) = &row.detail { (detail) } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use crate::Role;
    use crate::trying::Trying;

    #[tokio::test]
    async fn a_provider_is_shown_with_its_route_and_what_it_needs() {
        let trying = Trying::as_role(Role::Viewer).await;
        let listed = trying.get("/api/v1/providers?search=GITHUB").await.json();
        assert!(listed.as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "github")), "{listed}");
        let shown = trying.get("/api/v1/providers/github").await.json();
        assert!(shown["route"].as_str().is_some_and(|route| route.contains("provider = \"github\"")), "{shown}");
        assert!(shown["secrets"][0]["variable"].is_string() && shown["setup"][0].is_string(), "{shown}");
        let page = trying.get("/providers/github").await;
        assert_eq!(page.status, StatusCode::OK);
        for text in ["provider = &quot;github&quot;", "TOWPATH_SECRET_GITHUB", "towpath provider test github"] {
            assert!(page.text.contains(text), "{text}: {}", page.text);
        }
        let list = trying.get("/providers").await.text;
        assert!(list.contains("/providers/github") && list.contains(r#"data-key="s" aria-current="page""#), "{list}");
    }

    #[tokio::test]
    async fn every_provider_has_a_page() {
        let trying = Trying::as_role(Role::Viewer).await;
        for provider in towpath_operate::providers::list(None) {
            let page = trying.get(&format!("/providers/{}", provider.name)).await;
            assert_eq!(page.status, StatusCode::OK, "{}", provider.name);
        }
    }

    #[tokio::test]
    async fn a_provider_that_nobody_knows_is_not_found_and_its_name_is_escaped() {
        let trying = Trying::as_role(Role::Viewer).await;
        let name = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
        for path in [format!("/providers/{name}"), "/api/v1/providers/githup".to_owned()] {
            let answered = trying.get(&path).await;
            assert_eq!(answered.status, StatusCode::NOT_FOUND, "{path}");
            assert!(!answered.text.contains("<script>alert"), "{}", answered.text);
        }
        let search = trying.get(&format!("/providers?search={name}")).await.text;
        assert!(search.contains("No provider has") && !search.contains("<script>alert"), "{search}");
    }

    #[tokio::test]
    async fn a_test_needs_a_route_of_the_provider_and_somebody_who_may_act() {
        let trying = Trying::new().await;
        let answered = trying.json("/api/v1/providers/github/test", serde_json::json!({})).await;
        assert_eq!(answered.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answered.text);
        assert!(answered.text.contains("has the provider"), "{}", answered.text);
        let page = trying.form("/providers/github/test", "path=&send=true").await.text;
        assert!(page.contains("role=\"alert\"") && page.contains("has the provider"), "{page}");
        let answered = trying.json("/api/v1/providers/githup/test", serde_json::json!({})).await;
        assert_eq!(answered.status, StatusCode::NOT_FOUND);
        let trying = Trying::as_role(Role::Viewer).await;
        assert!(!trying.get("/providers/github").await.text.contains("hx-post"));
        let answered = trying.form("/providers/github/test", "send=true").await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN);
    }
}
