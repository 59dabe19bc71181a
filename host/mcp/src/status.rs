//! Tools that show targets and counts, and who did what.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::schemars::{self, JsonSchema};
use rmcp::{tool, tool_router};
use serde::Deserialize;
use towpath_operate::audit::Audit;
use towpath_operate::json;
use towpath_operate::status::{Wanted, status, targets};

use crate::Server;
use crate::answer::shape;
use crate::asked::rows;

/// What of a status costs more than the rest.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Overview {
    /// List this many groups, those with the most messages first, 1 to 100. Every message that waits is counted for it.
    #[schemars(range(min = 1, max = 100))]
    groups: Option<u16>,
}

/// Which lines of the audit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Older {
    /// The `next` of the page before.
    before: Option<u64>,
    /// How many lines, 1 to 100; 20 without it.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u16>,
}

#[tool_router(router = status_tools, vis = "pub(crate)")]
impl Server {
    /// An overview: the state of each target, and how much waits, is dead-lettered (by route and reason), was refused and is in the archive. As `towpath
    /// status --json`.
    #[tool]
    async fn status(&self, Parameters(asked): Parameters<Overview>) -> CallToolResult {
        self.answer(async {
            let groups = asked.groups.map(|groups| rows(Some(groups))).transpose()?;
            let wanted = Wanted { groups, archive: Some(&self.archive_size) };
            shape(&json::Status::of(&status(&self.found, wanted).await?))
        })
        .await
    }

    /// The targets: ok, held (and why, since when, until when), breaker open, or draining.
    #[tool]
    async fn targets(&self) -> CallToolResult {
        self.answer(async { shape(&json::Targets::of(&targets(&self.found).await?)) }).await
    }

    /// The audit, newest first: who redrove, edited, dropped, held back or looked at what, and why. Without bodies. `next` is the `before` of the next page.
    #[tool]
    async fn audit(&self, Parameters(asked): Parameters<Older>) -> CallToolResult {
        self.answer(async {
            let recent = Audit::of(&self.found).recent(asked.before, rows(asked.limit)?)?;
            shape(&json::AuditPage::of(&recent))
        })
        .await
    }
}
