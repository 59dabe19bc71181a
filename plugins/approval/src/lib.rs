//! Approval progress of a workflow SaaS: submitted, step approved, completed, rejected, withdrawn.
//!
//! Every event becomes the state of one approval in SSS: `PUT /approvals/{workflow id}/progress`.

use serde::{Deserialize, Serialize};
use towpath_plugin::{Mapped, Message, Plugin, Request, log, reject, segment, skip};

towpath_plugin::export!(Approval);

struct Approval;

/// The event as the SaaS sends it. What is not read here may change as it likes.
#[derive(Deserialize)]
struct Event {
    event: String,
    occurred_at: String,
    workflow: Workflow,
    #[serde(default)]
    step: Option<Step>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Workflow {
    id: String,
    title: String,
    #[serde(default)]
    applicant: Option<Person>,
    #[serde(default)]
    amount: Option<Amount>,
}

#[derive(Deserialize)]
struct Step {
    number: u32,
    of: u32,
    approver: Person,
}

#[derive(Deserialize)]
struct Person {
    id: String,
}

#[derive(Deserialize, Serialize)]
struct Amount {
    value: i64,
    currency: String,
}

/// What SSS is told.
#[derive(Serialize)]
struct Progress<'a> {
    status: &'a str,
    title: &'a str,
    at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    applicant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<&'a Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approver: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    team: Option<String>,
}

impl Plugin for Approval {
    type Config = Config;
    const TARGETS: &'static [&'static str] = &["sss"];

    fn transform(message: &Message, config: &Config) -> Mapped {
        let event: Event = message.json()?;
        let status = match event.event.as_str() {
            "approval.submitted" => "pending",
            "approval.step_approved" => "in-progress",
            "approval.completed" => "approved",
            "approval.rejected" => "rejected",
            "approval.withdrawn" => "withdrawn",
            other => return Err(skip("not-for-sss", format!("nothing is done for {other:?}"))),
        };
        let path = format!("/approvals/{}/progress", segment(&event.workflow.id)?);
        if status == "in-progress" && event.step.is_none() {
            return Err(reject("no-step", "an approved step without the step"));
        }
        let progress = Progress {
            status,
            title: &event.workflow.title,
            at: &event.occurred_at,
            applicant: event.workflow.applicant.as_ref().map(|person| person.id.as_str()),
            amount: event.workflow.amount.as_ref(),
            step: event.step.as_ref().map(|step| format!("{}/{}", step.number, step.of)),
            approver: event.step.as_ref().map(|step| step.approver.id.as_str()),
            reason: event.reason.as_deref(),
            team: config.team.as_deref(),
        };
        log::debug("approval mapped", &[("status", status)]);
        Ok(vec![Request::put("sss", path).json(&progress)?])
    }
}
