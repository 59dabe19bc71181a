//! Tools that show what happened to events.

use anyhow::{Context as _, bail};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::schemars::{self, JsonSchema};
use rmcp::{tool, tool_router};
use serde::Deserialize;
use serde_json::Value;
use towpath_operate::audit::Audit;
use towpath_operate::json;
use towpath_operate::story::Filter;
use towpath_operate::timeline::{Sources, Timeline};
use towpath_types::outcome::OUTCOMES;

use crate::Server;
use crate::answer::{shape, webhook};
use crate::asked::rows;

/// The tool that shows a body.
pub(crate) const BODY: &str = "event_body";

/// Which lines of the story.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Lines {
    /// The group; a star at the end matches anything.
    group: Option<String>,
    /// The route's path.
    route: Option<String>,
    /// The plugin.
    plugin: Option<String>,
    /// A target that was called, or for which the event was held.
    target: Option<String>,
    /// The outcome of the pass, such as delivered; the error for an unknown one lists all.
    outcome: Option<String>,
    /// Only failures.
    failed: bool,
    /// An id of the event, or its beginning.
    id: Option<String>,
    /// How many lines, the last ones, 1 to 100; 20 without it.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u16>,
}

impl Lines {
    fn filter(self) -> anyhow::Result<Filter> {
        let Lines { group, route, plugin, target, outcome, failed, id, .. } = self;
        if let Some(unknown) = outcome.as_deref().filter(|outcome| !OUTCOMES.contains(outcome)) {
            bail!("no outcome is called {unknown:?}: give one of {}", OUTCOMES.join(", "));
        }
        Ok(Filter { group, route, plugin, target, outcome, failed, id })
    }
}

/// One event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneEvent {
    /// An id of the event, or its beginning: at least 8 characters.
    id: String,
    /// Whether to search the archive too, which takes longer.
    #[serde(default)]
    archive: bool,
}

/// One event, wherever it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BodyOf {
    /// An id of the event, or its beginning: at least 8 characters.
    id: String,
}

#[tool_router(router = event_tools, vis = "pub(crate)")]
impl Server {
    /// Searches what hosts did with events: the last lines of the story that match, oldest first, of its last 8 MiB. As `towpath tail --json` prints them.
    #[tool]
    async fn events(&self, Parameters(asked): Parameters<Lines>) -> CallToolResult {
        self.answer(async {
            let lines = rows(asked.limit)?;
            let entries = self.live.recent(&asked.filter()?, lines).await?;
            shape(&entries.iter().map(json::line).collect::<Vec<_>>())
        })
        .await
    }

    /// One event: where it is now, and each step from the front door to its end, with times, attempts and what operators did. Without its content.
    #[tool]
    async fn event(&self, Parameters(asked): Parameters<OneEvent>) -> CallToolResult {
        self.answer(async { shape(&json::Timeline::of(&self.timeline(&asked.id, asked.archive).await?)) }).await
    }

    /// The content of one event from a queue or the archive, as its plugin sees it, without secret values. At most 16 KiB of the body. Each look is written to
    /// the audit.
    #[tool]
    async fn event_body(&self, Parameters(asked): Parameters<BodyOf>) -> CallToolResult {
        self.answer(self.body(asked.id)).await
    }

    async fn body(&self, id: String) -> anyhow::Result<Value> {
        let content = self.timeline(&id, true).await?.content;
        let content =
            content.with_context(|| format!("the content of the event {id} is in no queue and no archive here"))?;
        Audit::of(&self.found).look(&content.message_id, &content.group)?;
        webhook(&json::EventBody::of(&content), true)
    }

    async fn timeline(&self, id: &str, in_archive: bool) -> anyhow::Result<Timeline> {
        let archive = self.archive.as_ref().filter(|_| in_archive);
        let sources = Sources { found: &self.found, story: &self.story, archive };
        let found = Timeline::of(sources, id).await?;
        found.with_context(|| format!("nothing is known of the event {id}"))
    }
}
