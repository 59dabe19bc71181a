//! Dead letters, and what ingest turned away: lists whose filters are the URL.

mod act;
mod edit;
mod letter;
mod sqs;
mod views;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Extension, Router};
use maud::{Markup, html};
use towpath_operate::dlq::filter::Filter;
use towpath_operate::dlq::page::{self, Standing, page as look};
use towpath_operate::letters::Letter;
use towpath_operate::place::Backend;
use towpath_operate::views::{View, Views};
use towpath_types::clock::Clock;

use super::layout::{Page, page};
use super::overview::urlencoded;
use super::words::{ago, count, number};
use crate::access::{Role, Session, Viewer};
use crate::asked::Asked;
use crate::dead::{MOST_BYTES, released};
use crate::jobs::Jobs;
use crate::{Problem, Shared};

/// How much of a detail a row shows.
const DETAIL: usize = 120;

/// Which queue a page is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    /// Dead letters.
    Dead,
    /// What ingest turned away.
    Refused,
}

impl Which {
    fn is_refused(self) -> bool {
        self == Which::Refused
    }

    fn path(self) -> &'static str {
        match self {
            Which::Dead => "/letters",
            Which::Refused => "/refused",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Which::Dead => "Dead letters",
            Which::Refused => "Refused at ingest",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Which::Dead => "Messages that were given up. They wait here until somebody redrives or drops them.",
            Which::Refused => {
                "Webhooks that ingest answered 401 or 422. They are kept for a day; a redrive stores one as if it had been accepted."
            }
        }
    }

    /// The page of a letter.
    fn to(self, letter: &Letter) -> String {
        let at = Some(letter.sequence()).filter(|at| !at.is_empty()).map(|at| format!("?at={at}")).unwrap_or_default();
        format!("{}/{}{at}", self.path(), urlencoded(letter.id.as_str()))
    }

    /// The page that runs the letters of a filter through another build.
    fn what_if(self, query: &str) -> String {
        let refused = if self.is_refused() { "&refused=true" } else { "" };
        format!("/what-if?filter={}{refused}", urlencoded(query))
    }

    /// The list of a filter.
    fn list(self, query: &str) -> String {
        if query.is_empty() { self.path().to_owned() } else { format!("{}?{query}", self.path()) }
    }
}

pub(super) fn router() -> Router<Shared> {
    of(Which::Dead)
        .merge(of(Which::Refused))
        .route("/jobs/{id}", get(act::show))
        .route("/jobs/{id}/cancel", post(act::cancel))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
}

fn of(which: Which) -> Router<Shared> {
    let path = which.path();
    Router::new()
        .route(path, get(list))
        .route(&format!("{path}/plan"), post(act::plan))
        .route(&format!("{path}/act"), post(act::start))
        .route(&format!("{path}/receive"), post(sqs::receive))
        .route(&format!("{path}/{{id}}/receive"), post(sqs::receive_letter))
        .route(&format!("{path}/views"), post(views::save))
        .route(&format!("{path}/views/remove"), post(views::remove))
        .route(&format!("{path}/{{id}}"), get(letter::show))
        .route(&format!("{path}/{{id}}/body"), get(letter::body))
        .route(&format!("{path}/{{id}}/edit"), get(edit::form).post(edit::save))
        .route(&format!("{path}/{{id}}/preview"), post(edit::preview))
        .layer(Extension(which))
}

/// Everything that a list shows.
struct Shown {
    which: Which,
    asked: Asked,
    page: page::Page,
    standing: Vec<Standing>,
    views: Vec<View>,
    running: Option<Markup>,
}

async fn list(
    Viewer(session): Viewer,
    State(console): State<Shared>,
    Extension(which): Extension<Which>,
    Extension(jobs): Extension<Jobs>,
    asked: Result<Asked, Problem>,
) -> Page {
    let running = jobs.running().map(|job| act::job(&session, &job));
    if let Backend::Sqs { .. } = console.found.backend {
        let content = asked.map(|asked| sqs::list(&session, which, &asked, running));
        return Page(content.map(|content| page(&session, which.path(), which.title(), content)));
    }
    let shown = shown(&console, which, asked, running).await;
    Page(shown.map(|shown| page(&session, which.path(), which.title(), content(&session, &shown))))
}

async fn shown(
    console: &Shared,
    which: Which,
    asked: Result<Asked, Problem>,
    running: Option<Markup>,
) -> Result<Shown, Problem> {
    let asked = asked?;
    let found = &console.found;
    let filter = Filter::new(asked.conditions(Clock::wall().now())?, asked.ids());
    let limit = asked.limit()?;
    let from_start = asked.after().is_none();
    let mut letters = page::open(&found.backend, which.is_refused(), asked.after(), limit).await?;
    let result = look(found, &mut *letters, filter, limit, from_start).await;
    let page = released(letters, result).await?;
    let standing = page::standing(&found.backend, which.is_refused()).await?.unwrap_or_default();
    // Views are an aid: a file that cannot be read must not hide the letters.
    let mut views = Views::of(found).read().unwrap_or_default();
    views.retain(|view| view.refused == which.is_refused());
    Ok(Shown { which, asked, page, standing, views, running })
}

fn content(session: &Session, shown: &Shown) -> Markup {
    let Shown { which, asked, page, standing, views, running } = shown;
    html! {
        p { (which.about()) }
        @if let Some(job) = running { (job) }
        (counts(*which, standing))
        (filter(*which, asked))
        (views::section(session, *which, asked, views))
        (actions(session, *which, asked))
        (looked(*which, asked, page))
        (table(*which, &page.letters))
        @if let Some(next) = &page.next {
            p { a.button rel="next" href=(which.list(&asked.behind(next))) { "Go on" } }
        }
    }
}

/// Counts by route and reason, each a link to its letters. No filter has only those without a route, as the store's last row is too.
fn counts(which: Which, standing: &[Standing]) -> Markup {
    if standing.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "By route and reason" }
            table {
                thead { tr { th { "Route" } th { "Reason" } th { "Letters" } } }
                tbody {
                    @for row in standing {
                        tr {
                            td { (row.route.as_deref().unwrap_or("–")) }
                            td { (row.reason) }
                            td {
                                @if let Some(route) = &row.route {
                                    a href=(which.list(&Asked::of_kind(route, &row.reason).query())) { (number(row.letters)) }
                                } @else { (number(row.letters)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn filter(which: Which, asked: &Asked) -> Markup {
    let label = |name: &str| match name {
        "route" => ("Route", "crm"),
        "group" => ("Group", "crm/42, or crm/*"),
        "reason" => ("Reason", "refused"),
        "status" => ("Status", "422"),
        "since" => ("Since", "2h, or 2026-03-02T09:15:00Z"),
        "until" => ("Until", "30d"),
        _ => ("Text in the body", ""),
    };
    html! {
        form.filter method="get" action=(which.path()) role="search" {
            @for (name, value) in asked.fields() {
                @let (text, example) = label(name);
                label { (text) input name=(name) value=[value.as_deref()] placeholder=(example) autocomplete="off"; }
            }
            button type="submit" { "Filter" }
            a.button href=(which.path()) { "Clear" }
        }
    }
}

/// Buttons for all letters of the filter, and the place where their plan appears.
fn actions(session: &Session, which: Which, asked: &Asked) -> Markup {
    let query = asked.query();
    html! {
        @if session.role == Role::Operator && !query.is_empty() {
            form hx-post={ (which.path()) "/plan" } hx-target="#plan" {
                input type="hidden" name="filter" value=(query);
                button type="submit" name="action" value="redrive" { "Redrive all of this filter…" }
                " "
                button.danger type="submit" name="action" value="drop" { "Drop all of this filter…" }
                " "
                a.button href=(which.what_if(&query)) { "What would another build say?" }
            }
        } @else if session.role == Role::Operator {
            p { "Set a filter to redrive or drop many letters at once." }
        }
        div #plan aria-live="polite" {}
    }
}

/// How much was read, where that is not all.
fn looked(which: Which, asked: &Asked, page: &page::Page) -> Markup {
    let found = page.letters.len() as u64;
    html! {
        p {
            (count(found, "letter"))
            @if page.next.is_some() || asked.after().is_some() || found < page.looked_at {
                " here; looked at " (number(page.looked_at)) " of about " (number(page.all))
            }
            @if asked.after().is_some() { ". " a href=(which.list(&asked.query())) { "From the start" } }
        }
    }
}

fn table(which: Which, letters: &[Letter]) -> Markup {
    if letters.is_empty() {
        return html! {};
    }
    html! {
        table {
            thead { tr { th { "Letter" } th { "Given up" } th { "Route" } th { "Group" } th { "Reason" } th { "Detail" } } }
            tbody { @for letter in letters { (row(which, letter)) } }
        }
    }
}

fn row(which: Which, letter: &Letter) -> Markup {
    let death = &letter.death;
    html! {
        tr {
            td { a href=(which.to(letter)) { (short(&death.id)) } }
            td { (ago(death.failed_at)) }
            td { (death.route.as_deref().unwrap_or("–")) }
            td { a href=(which.list(&Asked::of_group(letter.group.as_str()).query())) { (letter.group) } }
            td { (death.reason) @if let Some(status) = death.status { " " (status) } }
            td { (clipped(&death.detail)) }
        }
    }
}

/// The beginning of an id, long enough to name it.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn clipped(text: &str) -> String {
    let mut clipped: String = text.chars().take(DETAIL).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests;
