//! The plugins of the config, and one of them with its versions and the forms that move its channels.

mod difference;
mod moves;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use maud::{Markup, html};
use towpath_operate::plugins::{Origin, Plugin, Role as Part, Use, Whole};
use towpath_operate::releases::{Version, Versions};

use super::layout::{Page, page};
use super::words::{ago, number, urlencoded};
use crate::Shared;
use crate::access::{Role, Session, Viewer};
use crate::api::plugins::{all, whole};

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/plugins", get(list))
        .route("/plugins/{name}", get(show))
        .route("/plugins/{name}/difference", get(difference::show))
        .route("/plugins/{name}/promote", post(moves::promote))
        .route("/plugins/{name}/rollback", post(moves::rollback))
        .route("/plugins/{name}/pin", post(moves::pin))
}

async fn list(Viewer(session): Viewer, State(console): State<Shared>) -> Page {
    Page(all(&console).await.map(|plugins| page(&session, "/plugins", "Plugins", listing(&plugins))))
}

fn listing(plugins: &[Plugin]) -> Markup {
    html! {
        @if plugins.is_empty() { p { "No config was read, or it has no plugins." } } @else {
            (configured(plugins))
            p { "Builds are what paths and channels mean now: a running host follows a channel within 30 seconds, and a path when it is restarted." }
        }
    }
}

fn configured(plugins: &[Plugin]) -> Markup {
    html! {
        div.table {
            table {
                thead { tr { th { "Plugin" } th { "From" } th { "Build" } th { "Routes" } th { "Passes by build" } th { "As a shadow" } } }
                tbody { @for plugin in plugins { (row(plugin)) } }
            }
        }
        p { small { "Passes are counted in the last 8 MiB of the story; what a shadow said, since this process started." } }
    }
}

fn row(plugin: &Plugin) -> Markup {
    // A candidate such as `crm@candidate` is on the page of its plugin.
    let of = match &plugin.origin {
        Origin::Registry(reference) => reference.name.as_str(),
        Origin::Path(_) => plugin.name.as_str(),
    };
    html! {
        tr {
            td { a href={ "/plugins/" (urlencoded(of)) } { (plugin.name) } }
            td {
                @match &plugin.origin {
                    Origin::Registry(reference) => { "registry, " (reference.tag) }
                    Origin::Path(path) => { code { (path) } }
                }
            }
            td { (build(plugin)) }
            td { @for used in &plugin.uses { div { (routed(used)) } } }
            td {
                @for (digest, passes) in &plugin.passes {
                    div { code { (digest) } " " (number(passes.done)) " done, " (number(passes.other)) " other" }
                }
            }
            td { @if let Some(shadow) = &plugin.shadow { (number(shadow.agreed)) " agreed, " (number(shadow.differed)) " differed" } }
        }
    }
}

fn build(plugin: &Plugin) -> Markup {
    html! {
        @match &plugin.build {
            Ok(build) => {
                @if let Some(version) = &build.version { (version) " " }
                code title=(build.sha256) { (build.short()) }
                @if build.pinned { " pinned" }
            }
            Err(problem) => { strong { "Not loadable: " } (problem) }
        }
    }
}

fn routed(used: &Use) -> Markup {
    html! {
        (used.route)
        @match &used.role {
            Part::Live => {}
            Part::Shadow => { " (shadow)" }
            Part::Canary(share) => { " (canary, " (share) ")" }
        }
    }
}

async fn show(Viewer(session): Viewer, Path(name): Path<String>, State(console): State<Shared>) -> Page {
    let content = whole(&console, &name).await;
    Page(content.map(|found| {
        page(
            &session,
            "",
            &found.name,
            html! { section #plugin aria-label="Plugin" { (content_of(&session, &found)) } },
        )
    }))
}

fn content_of(session: &Session, found: &Whole) -> Markup {
    html! {
        @if !found.configured.is_empty() { h2 { "In the config" } (configured(&found.configured)) }
        @match &found.released {
            Err(problem) => p.note { (problem) }
            Ok(versions) => {
                @if let Some(place) = &found.place { p { "Registry: " code { (place) } } }
                (channels(versions))
                (released(versions))
                (difference::form(&found.name, versions))
                @if session.role < Role::Operator { p.note { "This session may look and not act." } }
                @else { (moves::forms(&found.name, versions)) }
            }
        }
    }
}

fn channels(versions: &Versions) -> Markup {
    html! {
        h2 { "Channels" }
        div.table {
            table {
                thead { tr { th { "Channel" } th { "Version" } th { "Last move" } th { "By" } th { "Before" } } }
                tbody {
                    @for channel in &versions.channels {
                        tr {
                            td { (channel.name) }
                            @if let Some(pointer) = &channel.pointer {
                                td { (pointer.current.version) @if pointer.pinned { " pinned" } }
                                @let last = pointer.moves.last();
                                td { @if let Some(last) = last { (last.how) " " (ago(last.at)) } }
                                td { @if let Some(last) = last { (last.by) } }
                                td { @for before in pointer.previous.iter().rev().take(3) { div { (before.version) } } }
                            } @else { td colspan="4" {} }
                        }
                        @if let Some(problem) = &channel.problem { tr { td colspan="5" { strong { "No host follows it: " } (problem) } } }
                    }
                }
            }
        }
    }
}

fn released(versions: &Versions) -> Markup {
    html! {
        h2 { "Versions" }
        div.table {
            table {
                thead { tr { th { "Version" } th { "Channels" } th { "Published" } th { "By" } th { "Cases" } th { "Commit" } th { "Digest" } } }
                tbody { @for version in versions.rows.iter().rev() { (version_row(version)) } }
            }
        }
        p { "A new build comes with " code { "towpath plugin publish" } ", where its sources are." }
    }
}

fn version_row(version: &Version) -> Markup {
    let start = |text: &str| text.get(..12).unwrap_or(text).to_owned();
    html! {
        tr {
            td { (version.version) }
            td { (version.channels.join(", ")) }
            @match &version.release {
                Some(release) => {
                    td { (ago(release.published_at)) }
                    td { (release.published_by) }
                    td { (release.cases) }
                    td { @if let Some(commit) = &release.commit { code title=(commit) { (start(commit)) } } }
                    td { code title=(release.wasm_sha256) { (start(&release.wasm_sha256)) } }
                }
                None => td colspan="5" { strong { "Not loadable: " } (version.problem.as_deref().unwrap_or_default()) }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
