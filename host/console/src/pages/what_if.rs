//! "What would build X say?": letters of a filter, or the last archived events of a route, through another build of their plugin, in the sandbox. Nothing is
//! sent.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use maud::{Markup, html};
use serde::Deserialize;
use towpath_operate::builds::{Build, Builds};
use towpath_operate::dlq::diff::Row;
use towpath_operate::dlq::what_if::{MOST, Said};
use towpath_operate::replay::last;
use towpath_types::queue::MessageId;

use super::diff::{diff, pretty};
use super::layout::{Page, fragment, page};
use super::overview::urlencoded;
use super::words::{ago, count};
use crate::access::Operator;
use crate::asked::Asked;
use crate::jobs::Jobs;
use crate::what_if::{asked_of, asked_of_last};
use crate::{Console, Problem, Shared};

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
    Router::new().route("/what-if", get(form).post(run)).route("/what-if/events", post(run_last))
}

async fn form(Operator(session): Operator, State(console): State<Shared>, about: axum::extract::Query<About>) -> Page {
    let shown = || -> Result<Markup, Problem> {
        let filter = Asked::read(&about.filter)?;
        let builds = match console.builds() {
            Some(folder) => Some(Builds::of(folder).list()?),
            None => None,
        };
        let routes = routes(&console);
        let content = content(&filter, about.refused, builds.as_deref(), &routes);
        Ok(page(&session, "/what-if", "What would another build say?", content))
    };
    Page(shown())
}

/// The routes with archived events that can be run: none without an archive.
fn routes(console: &Console) -> Vec<&str> {
    let config = console.found.config.as_deref().filter(|_| console.archive.is_some());
    config.map(|config| config.routes.iter().map(|route| route.path.as_str()).collect()).unwrap_or_default()
}

fn content(filter: &Asked, refused: bool, builds: Option<&[Build]>, routes: &[&str]) -> Markup {
    let list = if refused { "/refused" } else { "/letters" };
    let query = filter.query();
    html! {
        p { "It runs letters, or events of the past, through the build that the config names and through another one, in the sandbox, and lists those to which they say something else. Nothing is sent, and nothing is looked up. At most " (MOST) " are run." }
        @match builds {
            None => p.note { "The config names no folder with builds: set " code { "[console] builds" } "." }
            Some([]) => p.note { "The folder that the config names has no builds: .wasm files, or folders with a plugin.wasm." }
            Some(builds) => {
                h2 { "Letters" }
                @if query.is_empty() {
                    p.note { "Choose letters first: set a filter in the list of " a href=(list) { "letters" } ", and come back from there." }
                } @else {
                    p { a href={ (list) "?" (query) } { code { (query) } } }
                    (fields(&query, refused, builds))
                }
                @if query.is_empty() {
                    h2 { "Events of the past" }
                    @if routes.is_empty() {
                        p.note { "There is no archive here, so no events of the past can be run." }
                    } @else { (fields_of_last(builds, routes)) }
                }
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
            (choice(builds))
            label { "The plugin's name in the config (empty: the build's own)" input name="plugin" autocomplete="off"; }
            div { button.primary type="submit" { "Run" } }
        }
    }
}

fn choice(builds: &[Build]) -> Markup {
    html! {
        fieldset {
            legend { "Build" }
            @for (number, build) in builds.iter().enumerate() {
                div {
                    input type="radio" name="build" required value=(build.name) id={ "build-" (number) };
                    " " label for={ "build-" (number) } { (build.name) ", built " (ago(build.built_at)) }
                }
            }
        }
    }
}

fn fields_of_last(builds: &[Build], routes: &[&str]) -> Markup {
    html! {
        form.act hx-post="/what-if/events" hx-target="#said-of-it" {
            label { "Route" select name="route" { @for route in routes { option value=(route) { (route) } } } }
            label { "How many of its last events" input name="last" type="number" min="1" max=(last::MOST) value="100" required; }
            (choice(builds))
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

/// Which events of the past to run.
#[derive(Deserialize)]
struct RunLast {
    route: String,
    last: usize,
    build: String,
    #[serde(default)]
    plugin: String,
}

async fn run_last(
    Operator(session): Operator,
    State(console): State<Shared>,
    Extension(jobs): Extension<Jobs>,
    run: Result<Form<RunLast>, FormRejection>,
) -> Response {
    let shown = async {
        let Form(RunLast { route, last, build, plugin }) = run?;
        let question = last::Question { route, last, build: build.clone(), plugin: Some(plugin) };
        let said = asked_of_last(&console, &session, &jobs, question).await?;
        Ok(said_of_last(&build, &said))
    };
    fragment(shown.await)
}

fn said_of_last(build: &str, said: &last::Said) -> Markup {
    let last::Said { compared, rows } = said;
    html! {
        h2 { (count(compared.differ, "event")) " of " (compared.events) " would be told something else" }
        @if compared.other > 0 { p { (count(compared.other, "event")) " went to other plugins than " code { (compared.plugin) } "." } }
        @if compared.left_out > 0 { p { (count(compared.left_out, "event")) " cannot be run: parts of the bodies are gone, or they cannot be read." } }
        @if compared.damaged > 0 { p { (count(compared.damaged, "damaged record")) " of the archive were skipped." } }
        @for row in rows {
            section {
                h3 { (event(&row.message_id)) " · " (row.group.as_str()) " · " (row.difference) }
                (diff(&pretty(&row.now), &pretty(&row.new)))
            }
        }
        @if compared.differ > rows.len() as u64 { p { "The first " (rows.len()) " are shown; " code { "towpath replay --plugin " (build) " --plan" } " shows all." } }
    }
}

fn event(id: &MessageId) -> Markup {
    html! { a href={ "/events/" (urlencoded(id.as_str())) "?archive=true" } { (id.as_str().get(..8).unwrap_or(id.as_str())) } }
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
