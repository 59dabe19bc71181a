//! What pages and the API of letters share: opening a queue of letters, finding one, and what its errors mean.

use towpath_operate::audit::Audit;
use towpath_operate::dlq::bulk::{Action, Bulk, BulkError};
use towpath_operate::dlq::redrive::{Limits, Plan};
use towpath_operate::dlq::{NoSuchLetter, one};
use towpath_operate::letters::{EditedMeanwhile, Letter, Letters, open_after};
use towpath_operate::place::{Backend, Found};
use towpath_types::clock::Clock;

use crate::Problem;
use crate::asked::Asked;

/// The largest request: a body of 1 MiB, escaped.
pub(crate) const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How many letters are read at a time where all are read.
pub(crate) const PAGE: usize = 100;

/// What looking at letters on SQS costs.
pub(crate) const RECEIVES: &str = "On SQS, looking at dead letters receives them: each receive counts towards the queue's maxReceiveCount, and for \
    its time nobody else sees them. At most ten letters of a group are seen";

/// Opens the letters behind a cursor. Hand them to [`released`] with what came of them.
pub(crate) async fn opened(
    found: &Found,
    refused: bool,
    cursor: Option<&str>,
    page: usize,
) -> Result<Box<dyn Letters>, Problem> {
    Ok(open_after(&found.backend, refused, cursor, page).await?)
}

/// The result of a work on letters, which are released however it ended.
pub(crate) async fn released<T>(mut letters: Box<dyn Letters>, result: anyhow::Result<T>) -> Result<T, Problem> {
    letters.release().await;
    result.map_err(problem)
}

/// The one letter with an id that begins so. With its cursor it is found at once.
pub(crate) async fn find(found: &Found, refused: bool, id: &str, at: Option<&str>) -> Result<Letter, Problem> {
    if let Some(before) = before(at) {
        let mut letters = open_after(&found.backend, refused, Some(&before), 1).await?;
        let there = letters.next().await?.into_iter().find(|letter| letter.named(id));
        if let Some(letter) = there.filter(|letter| at == Some(letter.sequence())) {
            return Ok(letter);
        }
    }
    let mut letters = opened(found, refused, None, PAGE).await?;
    let result = one(&mut *letters, id).await;
    released(letters, result).await
}

/// The cursor before a letter, from which a search for it starts.
pub(crate) fn before(at: Option<&str>) -> Option<String> {
    at?.parse::<u64>().ok().map(|at| at.saturating_sub(1).to_string())
}

/// Fails where a look is a receive.
pub(crate) fn looks_are_free(found: &Found) -> Result<(), Problem> {
    match &found.backend {
        Backend::Local(_) => Ok(()),
        Backend::Sqs { .. } => Err(Problem::conflict(format!(
            "{RECEIVES}. The page does it on a click, and `towpath dlq` on the command line"
        ))),
    }
}

/// Writes a look at a letter's body to the audit. Without that the body is not shown.
pub(crate) fn look(acting: &Found, letter: &Letter) -> Result<(), Problem> {
    Ok(Audit::of(acting).look(&letter.first_id(), &letter.group)?)
}

/// The problem that an error of letters is.
pub(crate) fn problem(error: anyhow::Error) -> Problem {
    if let Some(edited) = error.downcast_ref::<EditedMeanwhile>() {
        return Problem::conflict(edited.to_string());
    }
    match (error.downcast_ref::<BulkError>(), error.downcast_ref::<NoSuchLetter>()) {
        (Some(changed @ (BulkError::Changed { .. } | BulkError::Others(_))), _) => {
            Problem::conflict(changed.to_string())
        }
        (Some(other), _) => Problem::bad_request(other.to_string()),
        (None, Some(NoSuchLetter(id))) => Problem::not_found(format!("there is no letter {id} here any more")),
        (None, None) => error.into(),
    }
}

/// What would be done to all letters of a filter, and the filter with times instead of ages. Those that arrive later are not part of the plan.
pub(crate) async fn planned(
    found: &Found,
    refused: bool,
    action: Action,
    filter: &Asked,
) -> Result<(Plan, Asked), Problem> {
    let now = Clock::wall().now();
    // Checked before the filter has a time, which would make one of none.
    approved(action, filter, String::new(), Limits::default())?.is_about_something().map_err(problem)?;
    let fixed = filter.fixed(now)?;
    let bulk = approved(action, &fixed, String::new(), Limits::default())?;
    let mut letters = opened(found, refused, None, PAGE).await?;
    let result = bulk.plan(found, &mut *letters).await;
    Ok((released(letters, result).await?, fixed))
}

/// What is asked for, as `operate` takes it.
pub(crate) fn approved(action: Action, filter: &Asked, note: String, limits: Limits) -> Result<Bulk, Problem> {
    if limits.per_second.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
        return Err(Problem::bad_request("a rate is more than 0 letters per second"));
    }
    let conditions = filter.conditions(Clock::wall().now())?;
    Ok(Bulk { action, conditions, ids: filter.ids(), limits, note })
}
