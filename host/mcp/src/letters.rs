//! Tools that show dead letters, and what ingest refused.

use anyhow::bail;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::schemars::{self, JsonSchema};
use rmcp::{tool, tool_router};
use serde::Deserialize;
use serde_json::Value;
use towpath_operate::audit::Audit;
use towpath_operate::dlq::filter::Filter;
use towpath_operate::dlq::one;
use towpath_operate::dlq::page::{open, page};
use towpath_operate::json;
use towpath_operate::letters::{Letters, open_after};
use towpath_operate::place::Backend;
use towpath_operate::secret_headers::SecretHeaders;
use towpath_operate::shown::readable;
use towpath_types::clock::Clock;

use crate::Server;
use crate::answer::{shape, webhook};
use crate::asked::{LetterFilter, rows};

/// How many letters are read at a time where all are read.
const AT_A_TIME: usize = 100;

/// Which letters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Page {
    /// Conditions that a letter must meet.
    filter: LetterFilter,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many letters, 1 to 100; 20 without it.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u16>,
}

/// One letter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneLetter {
    /// An id of the letter, or the beginning of one.
    id: String,
    /// Whether it is a webhook that ingest refused, and no dead letter.
    #[serde(default)]
    refused: bool,
}

#[tool_router(router = letter_tools, vis = "pub(crate)")]
impl Server {
    /// Dead letters, oldest first: events that were given up, with the reason and the attempts, without bodies. One look reads at most 2,000 letters: a page
    /// with fewer letters than fit may have a `next` one.
    #[tool]
    async fn dead_letters(&self, Parameters(asked): Parameters<Page>) -> CallToolResult {
        self.answer(self.page_of(asked, false)).await
    }

    /// Webhooks that ingest answered 401 or 422, oldest first, in the shape of dead letters. They are kept for a day.
    #[tool]
    async fn refused(&self, Parameters(asked): Parameters<Page>) -> CallToolResult {
        self.answer(self.page_of(asked, true)).await
    }

    /// One dead letter: the reason, attempts, the plugin's trace and output, and notes of edits. Its body and headers only if the server was started with
    /// them, without secret values.
    #[tool]
    async fn dead_letter(&self, Parameters(asked): Parameters<OneLetter>) -> CallToolResult {
        self.answer(self.letter(asked)).await
    }

    async fn page_of(&self, asked: Page, refused: bool) -> anyhow::Result<Value> {
        self.looks_are_free()?;
        let Page { filter, after, limit } = asked;
        let filter = Filter::new(filter.conditions(Clock::wall().now())?, Vec::new());
        let limit = rows(limit)?;
        let mut letters = open(&self.found.backend, refused, after.as_deref(), limit).await?;
        let result = page(&self.found, &mut *letters, filter, limit, after.is_none()).await;
        letters.release().await;
        shape(&json::LetterPage::of(&result?))
    }

    async fn letter(&self, asked: OneLetter) -> anyhow::Result<Value> {
        if asked.id.is_empty() {
            bail!("an id, or its beginning, is missing");
        }
        let mut letters = self.all_letters(asked.refused).await?;
        let result = one(&mut *letters, &asked.id).await;
        letters.release().await;
        let letter = result?;
        if self.settings.with_bodies {
            Audit::of(&self.found).look(&letter.first_id(), &letter.group)?;
        }
        let secrets = SecretHeaders::of(self.found.config.as_deref()).and(letter.death.secret_header.as_deref());
        webhook(&json::Whole::of(&letter, &secrets, readable), self.settings.with_bodies)
    }

    /// All letters, to be released.
    pub(crate) async fn all_letters(&self, refused: bool) -> anyhow::Result<Box<dyn Letters>> {
        self.looks_are_free()?;
        open_after(&self.found.backend, refused, None, AT_A_TIME).await
    }

    /// Fails where a look is a receive, which changes the queue.
    fn looks_are_free(&self) -> anyhow::Result<()> {
        match &self.found.backend {
            Backend::Local(_) => Ok(()),
            Backend::Sqs { .. } => bail!(
                "on SQS a look at dead letters receives them, which the queue counts, so no tool does it: ask a person to run `towpath dlq` or to open the \
                console"
            ),
        }
    }
}
