//! What page and API share of "what would build X say?".

use std::path::Path;

use towpath_operate::audit::Audit;
use towpath_operate::dlq::what_if::{Question, Said, ask};
use towpath_operate::replay::last;
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
    let folder = folder(console)?;
    let conditions = filter.conditions(Clock::wall().now())?;
    let ids = filter.ids();
    if filter.query().is_empty() {
        return Err(Problem::bad_request("no letters selected: give an id, or a filter such as a reason"));
    }
    let alone = jobs.trial()?;
    let plugin = named(plugin);
    let question = Question { build: build.to_owned(), plugin, conditions, ids, refused: filter.refused };
    let said = ask(&console.found, folder, question, alone).await.map_err(problem)?;
    let audit = Audit::of(&console.acting(session));
    for row in &said.rows {
        audit.look(&row.message_id, &row.group.as_str().into())?;
    }
    Ok(said)
}

/// Runs the last archived events of a route through this build. Each row is a look too.
pub(crate) async fn asked_of_last(
    console: &Console,
    session: &Session,
    jobs: &Jobs,
    question: last::Question,
) -> Result<last::Said, Problem> {
    let folder = folder(console)?;
    let archive = console.archive.as_ref();
    let archive =
        archive.ok_or_else(|| Problem::conflict("there is no archive on this machine with events of the past"))?;
    if !(1..=last::MOST).contains(&question.last) {
        return Err(Problem::bad_request(format!("run 1 to {} events, not {}", last::MOST, question.last)));
    }
    let alone = jobs.trial()?;
    let question = last::Question { plugin: named(question.plugin), ..question };
    let said = last::ask(&console.found, archive, folder, question, alone).await?;
    let audit = Audit::of(&console.acting(session));
    for row in &said.rows {
        audit.look(&row.message_id, &row.group)?;
    }
    Ok(said)
}

fn folder(console: &Console) -> Result<&Path, Problem> {
    console.builds().ok_or_else(|| Problem::conflict("the config names no folder with builds: [console] builds"))
}

/// The name that somebody gave; a field that is left empty gives none.
fn named(plugin: Option<String>) -> Option<String> {
    plugin.filter(|plugin| !plugin.trim().is_empty())
}
