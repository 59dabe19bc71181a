//! Tools that show which groups wait, and why.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::schemars::{self, JsonSchema};
use rmcp::{tool, tool_router};
use serde::Deserialize;
use towpath_operate::groups::{Cursor, Group, GroupError, Wanted, list, show};
use towpath_operate::json;
use towpath_types::queue::GroupId;

use crate::Server;
use crate::answer::shape;
use crate::asked::rows;

/// Which groups.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Groups {
    /// Only groups that begin with this, by name. Without it all groups: those whose head waits come first.
    begins: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many groups, 1 to 100; 20 without it.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u16>,
}

/// One group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneGroup {
    /// The group's whole name.
    group: String,
}

#[tool_router(router = group_tools, vis = "pub(crate)")]
impl Server {
    /// Groups that wait: the head of each, since when, how often it was tried, when it is tried next, its last pass, and how many wait behind it. Only of a
    /// local store: SQS does not tell.
    #[tool]
    async fn groups(&self, Parameters(asked): Parameters<Groups>) -> CallToolResult {
        self.answer(async {
            let after = asked.after.as_deref().map(str::parse::<Cursor>).transpose()?;
            let wanted = Wanted { begins: asked.begins, after, limit: rows(asked.limit)? };
            let page = list(&self.found, wanted).await?.ok_or(GroupError::OnSqs)?;
            shape(&json::Groups::of(&page))
        })
        .await
    }

    /// One group: why its head waits, its last pass, and how many wait behind it.
    #[tool]
    async fn group(&self, Parameters(asked): Parameters<OneGroup>) -> CallToolResult {
        self.answer(async { shape(&json::Group::of(&self.waiting_group(asked.group).await?)) }).await
    }

    /// A group that waits.
    pub(crate) async fn waiting_group(&self, group: String) -> anyhow::Result<Group> {
        let group = GroupId::from(group);
        let found = show(&self.found, &group).await?;
        found.ok_or_else(|| GroupError::Nothing(group).into())
    }
}
