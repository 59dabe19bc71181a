//! "What would build X say?": letters of a filter through another build of their plugin, in the sandbox. Nothing is sent.

use axum::extract::{Form, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::builds::{Build, Builds};
use towpath_operate::dlq::diff::Row;
use towpath_operate::dlq::what_if::{MOST, Said};

use super::diff::{diff, pretty};
use super::layout::{Page, fragment, page};
use super::overview::urlencoded;
use super::words::{ago, count};
use crate::access::Operator;
use crate::asked::Asked;
use crate::jobs::Jobs;
use crate::what_if::asked_of;
use crate::{Problem, Shared};

/// How many letters that differ are shown.
const SHOWN: usize = 50;

/// The letters that a page is about, as the query of their list.
#[derive(Deserialize)]
struct About {
    #[serde(default)]
    filter: String,
    #[serde(default)]
    refused: bool,
}

/// What to run.
#[derive(Deserialize)]
struct Run {
    filter: String,
    #[serde(default)]
    refused: bool,
    build: String,
    #[serde(default)]
    plugin: String,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/what-if", get(form).post(run))
}

async fn form(Operator(session): Operator, State(console): State<Shared>, about: axum::extract::Query<About>) -> Page {
    let shown = || -> Result<Markup, Problem> {
        let filter = Asked::read(&about.filter)?;
        let builds = match console.builds() {
            Some(folder) => Some(Builds::of(folder).list()?),
            None => None,
        };
        let content = content(&filter, about.refused, builds.as_deref());
        Ok(page(&session, "/what-if", "What would another build say?", content))
    };
    Page(shown())
}

fn content(filter: &Asked, refused: bool, builds: Option<&[Build]>) -> Markup {
    let list = if refused { "/refused" } else { "/letters" };
    let query = filter.query();
    html! {
        p { "It runs letters through the build that the config names and through another one, in the sandbox, and lists those to which they say something else. Nothing is sent, and nothing is looked up. At most " (MOST) " letters are run." }
        @if query.is_empty() {
            p.note { "Choose letters first: set a filter in the list of " a href=(list) { "letters" } ", and come back from there." }
        } @else {
            p { "Letters: " a href={ (list) "?" (query) } { code { (query) } } }
            @match builds {
                None => p.note { "The config names no folder with builds: set " code { "[console] builds" } "." }
                Some([]) => p.note { "The folder that the config names has no builds: .wasm files, or folders with a plugin.wasm." }
                Some(builds) => (fields(&query, refused, builds))
            }
        }
        div #said-of-it aria-live="polite" {}
    }
}

fn fields(query: &str, refused: bool, builds: &[Build]) -> Markup {
    html! {
        form.act hx-post="/what-if" hx-target="#said-of-it" {
            input type="hidden" name="filter" value=(query);
            @if refused { input type="hidden" name="refused" value="true"; }
            fieldset {
                legend { "Build" }
                @for (number, build) in builds.iter().enumerate() {
                    div {
                        input type="radio" name="build" required value=(build.name) id={ "build-" (number) };
                        " " label for={ "build-" (number) } { (build.name) ", built " (ago(build.built_at)) }
                    }
                }
            }
            label { "The plugin's name in the config (empty: the build's own)" input name="plugin" autocomplete="off"; }
            div { button.primary type="submit" { "Run" } }
        }
    }
}

async fn run(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(jobs): Extension<Jobs>,
    Form(run): Form<Run>,
) -> Response {
    let shown = async {
        let filter = Asked::read(&run.filter)?.among(run.refused);
        let said = asked_of(&console, &session, &jobs, &filter, &run.build, Some(run.plugin)).await?;
        Ok(said_of_it(&filter, &run.build, &said))
    };
    fragment(shown.await)
}

fn said_of_it(filter: &Asked, build: &str, said: &Said) -> Markup {
    let list = if filter.refused { "/refused" } else { "/letters" };
    html! {
        h2 { (count(said.rows.len() as u64, "letter")) " of " (said.letters) " would be told something else" }
        p {
            "The new build would deliver " (count(said.delivered as u64, "letter")) "."
            @if said.more { " Only the first " (MOST) " were run." }
        }
        @for row in said.rows.iter().take(SHOWN) { (differing(list, row)) }
        @if said.rows.len() > SHOWN { p { "The first " (SHOWN) " are shown; " code { "towpath dlq diff" } " shows all." } }
        @if !said.rows.is_empty() {
            h2 { "To redrive with it" }
            p { "Publish the build, and then redrive these letters: " a href={ (list) "?" (filter.query()) } { "their list" } " has the button." }
            pre tabindex="0" { "towpath plugin publish " (build) }
        }
    }
}

fn differing(list: &str, row: &Row) -> Markup {
    let now = row.now.as_ref().map(pretty).unwrap_or_default();
    html! {
        section {
            h3 {
                a href={ (list) "/" (urlencoded(row.message_id.as_str())) } { (row.message_id.as_str().get(..8).unwrap_or(row.message_id.as_str())) }
                " · " (row.group) " · " (row.reason)
            }
            (diff(&now, &pretty(&row.new)))
        }
    }
}
