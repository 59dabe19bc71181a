//! Sends the story as server-sent events, which a browser takes at its own speed.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;
use towpath_operate::live::{Position, Update, Watcher};
use towpath_operate::story::{Entry, Filter};
use towpath_types::outcome::OUTCOMES;

use crate::access::{Proof, Streams};
use crate::{Problem, Shared};

/// How often a stream without lines proves that both ends are there.
const ALIVE: Duration = Duration::from_secs(15);

/// How many of the last lines are shown, unless the request says so, and at most.
const LINES: usize = 100;
const MOST_LINES: usize = 1_000;

/// Which lines to show. Empty values select everything.
#[derive(Clone, Deserialize, Default, Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Asked {
    /// Its group; a star at the end matches anything.
    pub(crate) group: String,
    /// Its route.
    pub(crate) route: String,
    /// Its plugin.
    pub(crate) plugin: String,
    /// A target that it called or was held for.
    pub(crate) target: String,
    /// Its outcome.
    pub(crate) outcome: String,
    /// Only failures.
    pub(crate) failed: bool,
    /// An id of a message, or its beginning.
    pub(crate) id: String,
    /// How many of the last lines to begin with; 100 without it, at most 1,000.
    pub(crate) lines: Option<usize>,
    /// Whether to go on, as a stream of server-sent events; true without it.
    pub(crate) follow: Option<bool>,
    /// The position after which to go on: the id of the last event.
    pub(crate) after: String,
}

impl Asked {
    /// The filter. Fails for an outcome that does not exist.
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        if !self.outcome.is_empty() && !OUTCOMES.contains(&self.outcome.as_str()) {
            let outcomes = OUTCOMES.join(", ");
            return Err(Problem::bad_request(format!(
                "no outcome is called {:?}: give one of {outcomes}",
                self.outcome
            )));
        }
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(Filter {
            group: given(&self.group),
            route: given(&self.route),
            plugin: given(&self.plugin),
            target: given(&self.target),
            outcome: given(&self.outcome),
            failed: self.failed,
            id: given(&self.id),
        })
    }

    pub(crate) fn lines(&self) -> usize {
        self.lines.unwrap_or(LINES).min(MOST_LINES)
    }

    /// The query that selects the same lines.
    pub(crate) fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let Asked { group, route, plugin, target, outcome, id, .. } = self;
        let fields = [
            ("group", group),
            ("route", route),
            ("plugin", plugin),
            ("target", target),
            ("outcome", outcome),
            ("id", id),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        if self.failed {
            query.append_pair("failed", "true");
        }
        query.finish()
    }
}

/// Follows the story, each line in this form. The id of an event is the position after it: browsers that lose the connection send it back.
/// A browser's stream ends with its session.
pub(crate) fn follow(
    console: &Shared,
    proof: &Proof,
    asked: &Asked,
    headers: &HeaderMap,
    show: fn(&Entry) -> String,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = Position::read(last.unwrap_or(&asked.after));
    let streams = match proof {
        Proof::Cookie(streams) => Some(streams.clone()),
        Proof::Bearer | Proof::Proxy => None,
    };
    let seat = streams.as_ref().map(Streams::seat).transpose()?;
    let ended = async move {
        match streams {
            Some(streams) => streams.ended().await,
            None => std::future::pending().await,
        }
    };
    let watcher = console.live.watch(asked.filter()?, asked.lines(), after)?;
    let updates = stream::unfold((watcher, seat), async |(mut watcher, seat): (Watcher, _)| {
        let update = watcher.next().await?;
        Some((update, (watcher, seat)))
    });
    let events = updates.take_until(ended).flat_map(move |update| stream::iter(events(update, show)));
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response();
    // nginx buffers answers otherwise.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn events(update: Update, show: fn(&Entry) -> String) -> Vec<Result<Event, Infallible>> {
    let Update { restarted, problem, skipped, entries, position } = update;
    let mut events = Vec::new();
    if restarted {
        events.push(Event::default().event("restarted").data("{}"));
    }
    if let Some(problem) = problem {
        events.push(Event::default().event("problem").data(json!({ "detail": problem }).to_string()));
    }
    if skipped > 0 {
        events.push(Event::default().event("skipped").data(json!({ "lines": skipped }).to_string()));
    }
    events.extend(entries.iter().map(|entry| Event::default().event("line").data(show(entry))));
    events.push(Event::default().event("position").id(position.to_string()).data(position.to_string()));
    events.into_iter().map(Ok).collect()
}

#[cfg(test)]
#[path = "stream/tests.rs"]
mod tests;
