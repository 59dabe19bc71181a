//! What differs between two releases.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use towpath_operate::releases::{Compared, Side, Versions, missing};

use super::super::layout::{Page, page};
use super::super::words::{number, urlencoded};
use crate::Shared;
use crate::access::Viewer;
use crate::api::plugins::{Sides, compared};

/// A line of the table: its name, and what it says of a release.
type Fact = (&'static str, fn(&Side) -> String);

/// The form that chooses two versions.
pub(super) fn form(name: &str, versions: &Versions) -> Markup {
    let loadable: Vec<&str> =
        versions.rows.iter().rev().filter(|row| row.release.is_some()).map(|row| row.version.as_str()).collect();
    html! {
        @if let [newest, older @ ..] = loadable.as_slice() {
            @if !older.is_empty() {
                form.filter method="get" action={ "/plugins/" (urlencoded(name)) "/difference" } {
                    label { "Compare" select name="old" { @for version in older { option { (version) } } } }
                    label { "with" select name="new" { option { (newest) } @for version in older { option { (version) } } } }
                    button { "Show differences" }
                }
            }
        }
    }
}

pub(super) async fn show(
    Viewer(session): Viewer,
    Path(name): Path<String>,
    State(console): State<Shared>,
    Query(sides): Query<Sides>,
) -> Page {
    let compared = compared(&console, &name, &sides).await;
    Page(compared.map(|compared| {
        let title = format!("{name}: {} and {}", compared.old.release.version, compared.new.release.version);
        page(&session, "", &title, content(&name, &compared))
    }))
}

fn content(name: &str, compared: &Compared) -> Markup {
    let Compared { old, new } = compared;
    let is_same = old.release.wasm_sha256 == new.release.wasm_sha256;
    let facts: [Fact; 6] = [
        ("Contract", |side| side.release.contract.clone()),
        ("Own version", |side| side.release.description.version.clone()),
        ("Cases that it passed", |side| side.release.cases.to_string()),
        ("Size, bytes", |side| number(side.bytes)),
        ("Commit", |side| side.release.commit.clone().unwrap_or_default()),
        ("Digest", |side| side.release.wasm_sha256.clone()),
    ];
    html! {
        p { a href={ "/plugins/" (urlencoded(name)) } { "All versions of " (name) } }
        @if is_same { p.note { "Both have the same component: only how it was compiled or published differs." } }
        table {
            thead { tr { th {} th { (old.release.version) } th { (new.release.version) } } }
            tbody {
                @for (what, of) in facts {
                    @let (before, after) = (of(old), of(new));
                    tr {
                        th { (what) }
                        @if before == after { td { (before) } td { "the same" } } @else { td { del { (before) } } td { ins { (after) } } }
                    }
                }
            }
        }
        (names("Targets that it may use", &old.release.description.targets, &new.release.description.targets))
        (names("Imports", &old.imports, &new.imports))
        (names("Exports", &old.exports, &new.exports))
        h2 { "What it says to events" }
        p {
            "Run letters through a build under " a href="/what-if" { "What would another build say?" } ", or recorded events with "
            code { "towpath plugin diff" } "."
        }
    }
}

fn names(what: &str, old: &[String], new: &[String]) -> Markup {
    let (added, removed) = (missing(new, old), missing(old, new));
    html! {
        h2 { (what) }
        @if added.is_empty() && removed.is_empty() { p { "The same: " (new.join(", ")) } } @else {
            ul {
                @for name in removed { li { del { (name) } " removed" } }
                @for name in added { li { ins { (name) } " added" } }
            }
        }
    }
}
