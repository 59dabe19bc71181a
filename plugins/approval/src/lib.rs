//! Approval progress of a workflow SaaS: submitted, step approved, completed, rejected, withdrawn.
//!
//! Every event becomes the state of one approval in SSS: `PUT /approvals/{workflow id}/progress`.

use exports::towpath::plugin::{metadata, transform};
use serde::{Deserialize, Serialize};
use towpath::plugin::types::{Header, HeaderValue, Message, Payload, Reason, Request, Verdict};
use towpath::plugin::{config, log};

wit_bindgen::generate!({ path: "../../wit/1.0.0", world: "transformer" });
export!(Approval);

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

impl transform::Guest for Approval {
    fn transform(message: Message) -> Result<Verdict, Reason> {
        let event: Event = match serde_json::from_slice(&message.body) {
            Ok(event) => event,
            Err(error) => return Ok(Verdict::Reject(reason("malformed", &error.to_string()))),
        };
        let status = match event.event.as_str() {
            "approval.submitted" => "pending",
            "approval.step_approved" => "in-progress",
            "approval.completed" => "approved",
            "approval.rejected" => "rejected",
            "approval.withdrawn" => "withdrawn",
            other => return Ok(Verdict::Skip(reason("not-for-sss", &format!("nothing is done for {other:?}")))),
        };
        let id = &event.workflow.id;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Ok(Verdict::Reject(reason("bad-id", "the workflow id has characters that no id has")));
        }
        if status == "in-progress" && event.step.is_none() {
            return Ok(Verdict::Reject(reason("no-step", "an approved step without the step")));
        }
        let config: Config = serde_json::from_str(&config::document()).map_err(|e| reason("config", &e.to_string()))?;
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
        log::write(log::Level::Debug, "approval mapped", &[("status".to_owned(), status.to_owned())]);
        let body = serde_json::to_vec(&progress).map_err(|error| reason("json", &error.to_string()))?;
        Ok(Verdict::Deliver(vec![Request {
            target: "sss".to_owned(),
            method: "PUT".to_owned(),
            path: format!("/approvals/{id}/progress"),
            headers: vec![Header {
                name: "content-type".to_owned(),
                value: HeaderValue::Text("application/json".to_owned()),
            }],
            body: Payload::Bytes(body),
            idempotency_key: None,
            ext: Vec::new(),
        }]))
    }
}

impl metadata::Guest for Approval {
    fn describe() -> metadata::Description {
        metadata::Description {
            name: "approval".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "approval progress of a workflow SaaS to SSS".to_owned(),
            targets: vec!["sss".to_owned()],
            ext: Vec::new(),
        }
    }

    fn check_config() -> Vec<metadata::Problem> {
        match serde_json::from_str::<Config>(&config::document()) {
            Ok(_) => Vec::new(),
            Err(error) => vec![metadata::Problem { at: "/".to_owned(), message: error.to_string() }],
        }
    }
}

fn reason(code: &str, message: &str) -> Reason {
    Reason { code: code.to_owned(), message: message.to_owned(), ext: Vec::new() }
}
