//! Tools that plan what a person may do. None of them does it: `operate` computes the plan, and the answer has the command and the page that would act.

use std::time::Duration;

use anyhow::bail;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::schemars::{self, JsonSchema};
use rmcp::{tool, tool_router};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use towpath_operate::dlq::bulk::{Action as LettersAction, Bulk};
use towpath_operate::dlq::one;
use towpath_operate::dlq::redrive::{Limits, Plan};
use towpath_operate::groups::Action;
use towpath_operate::hold::Asked;
use towpath_operate::known::Known;
use towpath_operate::{json, status};
use towpath_types::clock::Clock;

use crate::Server;
use crate::answer::shape;
use crate::asked::{LetterFilter, note};
use crate::command::{Command, page, segment, with_query};

/// Which letters to send back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Redrive {
    /// Conditions that a letter must meet. At least one, unless there is an id.
    #[serde(default)]
    filter: LetterFilter,
    /// An id of the one letter, or the beginning of it.
    id: Option<String>,
    /// Whether they are webhooks that ingest refused, and no dead letters.
    #[serde(default)]
    refused: bool,
    /// Why, for the person who decides and for the audit.
    note: String,
    /// How many letters a second go back at most.
    #[schemars(range(min = 1))]
    per_second: Option<u32>,
    /// Stop once more letters than this could not be sent back, or died again.
    max_failures: Option<u64>,
}

/// Which letters to delete.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Drop {
    /// Conditions that a letter must meet. At least one, unless there is an id.
    #[serde(default)]
    filter: LetterFilter,
    /// An id of the one letter, or the beginning of it.
    id: Option<String>,
    /// Whether they are webhooks that ingest refused, and no dead letters.
    #[serde(default)]
    refused: bool,
    /// Why, for the person who decides and for the audit.
    note: String,
}

/// Which target to put on hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Hold {
    /// The target's name.
    target: String,
    /// Why, as `towpath status` shows it.
    reason: String,
    /// How long the hold lasts at most; without it, until somebody resumes the target.
    #[schemars(range(min = 1))]
    length_seconds: Option<u64>,
}

/// What to do to which group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GroupAction {
    /// The group's whole name.
    group: String,
    /// What.
    action: OnGroup,
    /// Why, for the person who decides and for the audit.
    note: String,
}

/// What can be done to a group.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OnGroup {
    /// Retry its head now.
    Retry,
    /// Move its head to the dead-letter queue.
    DeadLetter,
    /// Move its head and all behind it to the dead-letter queue. Its route must park.
    Park,
}

impl From<OnGroup> for Action {
    fn from(action: OnGroup) -> Action {
        match action {
            OnGroup::Retry => Action::Retry,
            OnGroup::DeadLetter => Action::DeadLetter,
            OnGroup::Park => Action::Park,
        }
    }
}

/// What would be done, and how a person does it.
#[derive(Serialize)]
struct Proposal<T> {
    /// What it is about, in the shape of `--json`.
    #[serde(flatten)]
    about: T,
    /// What happens, also to those behind.
    consequence: String,
    /// Always false: nothing was done.
    done: bool,
    /// The command; absent if it would have characters that nobody sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// The page of the console, if a console runs.
    console: String,
}

/// A plan for letters.
#[derive(Serialize)]
struct Letters<'a> {
    plan: json::Plan<'a>,
}

/// A group to act on.
#[derive(Serialize)]
struct OneGroup<'a> {
    group: json::Group<'a>,
}

#[tool_router(router = proposal_tools, vis = "pub(crate)")]
impl Server {
    /// Plans a redrive: how many letters and groups would go back to the queue, why they died, what is parked behind them and goes along, and which targets
    /// are on hold. Nothing is done. Returns the command and the page with which a person may do it.
    #[tool]
    async fn propose_redrive(&self, Parameters(asked): Parameters<Redrive>) -> CallToolResult {
        let Redrive { filter, id, refused, note, per_second, max_failures } = asked;
        let limits = Limits { per_second: per_second.map(f64::from), max_failures };
        self.answer(self.letters_plan(LettersAction::Redrive, filter, id, refused, note, limits)).await
    }

    /// Plans a drop: how many letters would be deleted, of how many groups, and why they died. Nothing is done. Returns the command and the page with which a
    /// person may do it.
    #[tool]
    async fn propose_drop(&self, Parameters(asked): Parameters<Drop>) -> CallToolResult {
        let Drop { filter, id, refused, note } = asked;
        self.answer(self.letters_plan(LettersAction::Drop, filter, id, refused, note, Limits::default())).await
    }

    /// Plans a hold of a target: its state now, and what would happen. Nothing is done. Returns the command and the page with which a person may do it.
    #[tool]
    async fn propose_hold(&self, Parameters(asked): Parameters<Hold>) -> CallToolResult {
        self.answer(self.hold_plan(asked)).await
    }

    /// Plans what to do about a group that waits: the group, what would happen to its head, and to those behind it. Nothing is done. Returns the command and
    /// the page with which a person may do it.
    #[tool]
    async fn propose_group_action(&self, Parameters(asked): Parameters<GroupAction>) -> CallToolResult {
        self.answer(self.group_plan(asked)).await
    }

    async fn letters_plan(
        &self,
        action: LettersAction,
        filter: LetterFilter,
        id: Option<String>,
        refused: bool,
        why: String,
        limits: Limits,
    ) -> anyhow::Result<Value> {
        if limits.per_second == Some(0.0) {
            bail!("per_second is a number from 1");
        }
        if id.as_deref() == Some("") {
            bail!("an empty id names every letter: give an id, or leave it out");
        }
        let note = note(&why)?.to_owned();
        let now = Clock::wall().now();
        let conditions = filter.conditions(now)?;
        // One letter, by its whole id: the beginning of one might name others too, also later ones.
        let id = match id {
            Some(id) => Some(self.whole_id(refused, &id).await?),
            None => None,
        };
        let ids: Vec<String> = id.iter().cloned().collect();
        let mut bulk = Bulk { action, conditions, ids, limits, note };
        // Checked before the filter has a time, which would make one of none.
        bulk.is_about_something()?;
        if id.is_none() {
            // Letters that arrive later are not part of the plan.
            bulk.conditions.until = Some(bulk.conditions.until.map_or(now, |until| until.min(now)));
        }
        let mut letters = self.all_letters(refused).await?;
        let result = bulk.plan(&self.found, &mut *letters).await;
        letters.release().await;
        let plan = result?;
        if plan.letters == 0 {
            bail!("no letter matches: there is nothing to propose");
        }
        let command = self.letters_command(&bulk, id.as_deref(), refused);
        let console = page(&self.settings.console, &letters_path(&bulk, id.as_deref(), refused));
        let consequence = of_letters(action, &plan);
        let about = shape(&Letters { plan: json::Plan::of(&plan) })?;
        proposal(about, consequence, command, console)
    }

    async fn whole_id(&self, refused: bool, id: &str) -> anyhow::Result<String> {
        let mut letters = self.all_letters(refused).await?;
        let letter = one(&mut *letters, id).await;
        letters.release().await;
        Ok(letter?.id.into())
    }

    fn letters_command(&self, bulk: &Bulk, id: Option<&str>, refused: bool) -> Command {
        let words = match bulk.action {
            LettersAction::Redrive => "dlq redrive",
            LettersAction::Drop => "dlq drop",
        };
        let mut command = Command::new(words);
        for (name, value) in conditions(bulk) {
            command = command.option(name, Some(value));
        }
        let Limits { per_second, max_failures } = bulk.limits;
        let command = command
            .option("rate", per_second.map(|rate| format!("{rate}/s")))
            .option("max-failures", max_failures.map(|most| most.to_string()))
            .option("note", Some(&bulk.note))
            .quoted(if refused { " --refused" } else { "" })
            .quoted(&self.settings.options);
        match id {
            Some(id) => command.argument(id),
            None => command,
        }
    }

    async fn hold_plan(&self, asked: Hold) -> anyhow::Result<Value> {
        let Hold { target, reason, length_seconds } = asked;
        let reason = note(&reason)?.to_owned();
        let Asked { reason, length } = Asked::new(reason, length_seconds.map(Duration::from_secs))?;
        let mut targets = status::targets(&self.found).await?;
        Known::new("target", targets.targets.iter().map(|known| known.name.clone())).check(&target)?;
        targets.targets.retain(|known| known.name == target);
        let until =
            length.map_or("until somebody resumes it".to_owned(), |length| format!("for {} s", length.as_secs()));
        let consequence = format!(
            "Nothing is sent to the target {until}. Its messages wait, in order in each group, for up to 13 days. Running hosts notice within 10 seconds."
        );
        let command = Command::new("hold")
            .option("reason", Some(&reason))
            .option("for", length.map(|length| format!("{}s", length.as_secs())))
            .quoted(&self.settings.options)
            .argument(&target);
        let about = shape(&json::Targets::of(&targets))?;
        proposal(about, consequence, command, page(&self.settings.console, "/"))
    }

    async fn group_plan(&self, asked: GroupAction) -> anyhow::Result<Value> {
        let GroupAction { group, action, note: why } = asked;
        let why = note(&why)?;
        let action = Action::from(action);
        let group = self.waiting_group(group).await?;
        action.check(&self.found, &group)?;
        let name = group.head.group.as_str();
        let command = Command::new(&format!("group {}", action.as_str()))
            .option("head", Some(group.message_id().as_str()))
            .option("note", Some(why))
            .quoted(&self.settings.options)
            .argument(name);
        // Browsers take `.` and `..` for steps in a path, however they are written.
        let path = match name {
            "." | ".." => with_query("/groups", [("begins", name.to_owned())]),
            name => format!("/groups/{}", segment(name)),
        };
        let about = shape(&OneGroup { group: json::Group::of(&group) })?;
        proposal(about, action.consequence(&group), command, page(&self.settings.console, &path))
    }
}

fn proposal(about: Value, consequence: String, command: Command, console: String) -> anyhow::Result<Value> {
    let command = command.shown();
    Ok(serde_json::to_value(Proposal { about, consequence, done: false, command, console })?)
}

/// The conditions as the command line and the console name them.
fn conditions(bulk: &Bulk) -> Vec<(&'static str, String)> {
    let conditions = &bulk.conditions;
    let named = [
        ("route", conditions.route.clone()),
        ("group", conditions.group.clone()),
        ("reason", conditions.reason.clone()),
        ("status", conditions.status.map(|status| status.to_string())),
        ("since", conditions.since.map(|since| since.to_string())),
        ("until", conditions.until.map(|until| until.to_string())),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn letters_path(bulk: &Bulk, id: Option<&str>, refused: bool) -> String {
    let list = if refused { "/refused" } else { "/letters" };
    match id {
        Some(id) => format!("{list}/{}", segment(id)),
        None => with_query(list, conditions(bulk)),
    }
}

fn of_letters(action: LettersAction, plan: &Plan) -> String {
    let (letters, groups) = (count(plan.letters, "letter"), count(plan.groups as u64, "group"));
    if action == LettersAction::Drop {
        return format!(
            "{letters} of {groups} would be deleted. Letters that are parked behind them stay. The audit keeps each whole letter."
        );
    }
    let mut text =
        format!("{letters} of {groups} would go back to the queue, in order in each group, and be delivered again.");
    if plan.parked_along > 0 {
        text.push_str(&format!(" {} parked behind them would go back too.", count(plan.parked_along, "letter")));
    }
    if !plan.held_targets.is_empty() {
        text.push_str(" They would wait for the targets that are on hold.");
    }
    text
}

/// A number and its noun: `1 letter`, `2 letters`.
fn count(amount: u64, noun: &str) -> String {
    let plural = if amount == 1 { "" } else { "s" };
    format!("{amount} {noun}{plural}")
}
