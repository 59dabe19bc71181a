//! What page and API share of "what would build X say?".

use towpath_operate::audit::Audit;
use towpath_operate::dlq::what_if::{Question, Said, ask};
use towpath_types::clock::Clock;

use crate::access::Session;
use crate::asked::Asked;
use crate::dead::{looks_are_free, problem};
use crate::jobs::Jobs;
use crate::{Console, Problem};

/// Runs the letters of a filter through this build. What they say may show parts of bodies, so each row is a look.
pub(crate) async fn asked_of(
    console: &Console,
    session: &Session,
    jobs: &Jobs,
    filter: &Asked,
    build: &str,
    plugin: Option<String>,
) -> Result<Said, Problem> {
    looks_are_free(&console.found)?;
    let folder = console.builds();
    let folder = folder.ok_or_else(|| Problem::conflict("the config names no folder with builds: [console] builds"))?;
    let conditions = filter.conditions(Clock::wall().now())?;
    let ids = filter.ids();
    if filter.query().is_empty() {
        return Err(Problem::bad_request("no letters selected: give an id, or a filter such as a reason"));
    }
    let alone = jobs.trial()?;
    let plugin = plugin.filter(|plugin| !plugin.trim().is_empty());
    let question = Question { build: build.to_owned(), plugin, conditions, ids, refused: filter.refused };
    let said = ask(&console.found, folder, question, alone).await.map_err(problem)?;
    let audit = Audit::of(&console.acting(session));
    for row in &said.rows {
        audit.look(&row.message_id, &row.group.as_str().into())?;
    }
    Ok(said)
}
