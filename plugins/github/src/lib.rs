//! GitHub's webhooks: issues and pull requests become tasks in SSS, pushes to the default branch notes.
//!
//! The event's name is in the header `x-github-event`. Format: GitHub's "Webhook events and payloads".

use exports::towpath::plugin::{metadata, transform};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use towpath::plugin::config;
use towpath::plugin::types::{Header, HeaderValue, Message, Payload, Reason, Request, Verdict};

wit_bindgen::generate!({ path: "../../wit/1.0.0", world: "transformer" });
export!(GitHub);

struct GitHub;

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    #[serde(default)]
    default_branch: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Issues {
    action: String,
    issue: Item,
    repository: Repository,
}

#[derive(Deserialize)]
struct PullRequest {
    action: String,
    pull_request: Item,
    repository: Repository,
}

#[derive(Deserialize)]
struct Item {
    number: u64,
    title: String,
    html_url: String,
    user: User,
    #[serde(default)]
    merged: bool,
}

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    after: String,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    commits: Vec<Value>,
    pusher: Pusher,
    repository: Repository,
}

#[derive(Deserialize)]
struct Pusher {
    name: String,
}

impl transform::Guest for GitHub {
    fn transform(message: Message) -> Result<Verdict, Reason> {
        let Some((_, event)) = message.headers.iter().find(|(name, _)| name == "x-github-event") else {
            return Ok(reject("no-event", "the header x-github-event is missing"));
        };
        Ok(match event.as_slice() {
            b"issues" => read(&message).map_or_else(|verdict| verdict, issues),
            b"pull_request" => read(&message).map_or_else(|verdict| verdict, pull_request),
            b"push" => read(&message).map_or_else(|verdict| verdict, push),
            b"ping" => skip("ping", "GitHub says hello"),
            other => skip("not-for-sss", &format!("nothing is done for {:?}", String::from_utf8_lossy(other))),
        })
    }
}

fn issues(event: Issues) -> Verdict {
    let status = match event.action.as_str() {
        "opened" | "reopened" => "open",
        "closed" => "done",
        other => return skip("quiet-action", &format!("nothing is done for an issue that is {other}")),
    };
    task("issue", status, &event.issue, &event.repository)
}

fn pull_request(event: PullRequest) -> Verdict {
    let status = match (event.action.as_str(), event.pull_request.merged) {
        ("opened" | "reopened" | "ready_for_review", _) => "open",
        ("closed", true) => "done",
        ("closed", false) => "dropped",
        (other, _) => return skip("quiet-action", &format!("nothing is done for a pull request that is {other}")),
    };
    task("pull-request", status, &event.pull_request, &event.repository)
}

fn task(kind: &str, status: &str, item: &Item, repository: &Repository) -> Verdict {
    if !is_repository(&repository.full_name) {
        return reject("bad-id", "the repository's name has characters that no name has");
    }
    let body = json!({
        "source": "github",
        "kind": kind,
        "key": format!("{}#{}", repository.full_name, item.number),
        "status": status,
        "title": item.title,
        "url": item.html_url,
        "reporter": item.user.login,
    });
    deliver("PUT", &format!("/tasks/github/{}/{kind}/{}", repository.full_name, item.number), &body)
}

/// `owner/name`: it becomes part of a path.
fn is_repository(name: &str) -> bool {
    let fits = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    name.split('/').count() == 2 && name.split('/').all(|part| !matches!(part, "" | "." | "..") && fits(part))
}

fn push(event: Push) -> Verdict {
    let branch = event.reference.strip_prefix("refs/heads/").unwrap_or(&event.reference);
    if event.deleted || branch != event.repository.default_branch {
        return skip("quiet-branch", &format!("only pushes to the default branch count, not to {branch}"));
    }
    let body = json!({
        "repository": event.repository.full_name,
        "branch": branch,
        "head": event.after,
        "commits": event.commits.len(),
        "by": event.pusher.name,
    });
    deliver("POST", "/notes", &body)
}

fn read<T: DeserializeOwned>(message: &Message) -> Result<T, Verdict> {
    serde_json::from_slice(&message.body).map_err(|error| reject("malformed", &error.to_string()))
}

fn deliver(method: &str, path: &str, body: &Value) -> Verdict {
    let header = Header { name: "content-type".to_owned(), value: HeaderValue::Text("application/json".to_owned()) };
    Verdict::Deliver(vec![Request {
        target: "sss".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        headers: vec![header],
        body: Payload::Bytes(body.to_string().into_bytes()),
        idempotency_key: None,
        ext: Vec::new(),
    }])
}

fn skip(code: &str, message: &str) -> Verdict {
    Verdict::Skip(reason(code, message))
}

fn reject(code: &str, message: &str) -> Verdict {
    Verdict::Reject(reason(code, message))
}

fn reason(code: &str, message: &str) -> Reason {
    Reason { code: code.to_owned(), message: message.to_owned(), ext: Vec::new() }
}

impl metadata::Guest for GitHub {
    fn describe() -> metadata::Description {
        metadata::Description {
            name: "github".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "GitHub issues, pull requests and pushes to SSS tasks and notes".to_owned(),
            targets: vec!["sss".to_owned()],
            ext: Vec::new(),
        }
    }

    fn check_config() -> Vec<metadata::Problem> {
        match config::document().as_str() {
            "{}" => Vec::new(),
            _ => vec![metadata::Problem {
                at: "/".to_owned(),
                message: "this plugin has nothing to configure".to_owned(),
            }],
        }
    }
}
