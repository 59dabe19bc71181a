//! GitHub's webhooks: issues and pull requests become tasks in SSS, pushes to the default branch notes.
//!
//! The event's name is in the header `x-github-event`. Format: GitHub's "Webhook events and payloads".

use serde::Deserialize;
use towpath_plugin::serde_json::{Value, json};
use towpath_plugin::{Mapped, Message, NoConfig, Plugin, Request, reject, segment, skip};

towpath_plugin::export!(GitHub);

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

impl Plugin for GitHub {
    type Config = NoConfig;
    const TARGETS: &'static [&'static str] = &["sss"];

    fn transform(message: &Message, _: &NoConfig) -> Mapped {
        match message.header("x-github-event") {
            Some("issues") => issues(&message.json()?),
            Some("pull_request") => pull_request(&message.json()?),
            Some("push") => push(&message.json()?),
            Some("ping") => Err(skip("ping", "GitHub says hello")),
            Some(other) => Err(skip("not-for-sss", format!("nothing is done for {other:?}"))),
            None => Err(reject("no-event", "the header x-github-event is missing")),
        }
    }
}

fn issues(event: &Issues) -> Mapped {
    let status = match event.action.as_str() {
        "opened" | "reopened" => "open",
        "closed" => "done",
        other => return Err(skip("quiet-action", format!("nothing is done for an issue that is {other}"))),
    };
    task("issue", status, &event.issue, &event.repository)
}

fn pull_request(event: &PullRequest) -> Mapped {
    let status = match (event.action.as_str(), event.pull_request.merged) {
        ("opened" | "reopened" | "ready_for_review", _) => "open",
        ("closed", true) => "done",
        ("closed", false) => "dropped",
        (other, _) => return Err(skip("quiet-action", format!("nothing is done for a pull request that is {other}"))),
    };
    task("pull-request", status, &event.pull_request, &event.repository)
}

fn task(kind: &str, status: &str, item: &Item, repository: &Repository) -> Mapped {
    let Some((owner, name)) = repository.full_name.split_once('/') else {
        return Err(reject("bad-id", "the repository's name is not owner/name"));
    };
    let path = format!("/tasks/github/{}/{}/{kind}/{}", segment(owner)?, segment(name)?, item.number);
    let body = json!({
        "source": "github",
        "kind": kind,
        "key": format!("{}#{}", repository.full_name, item.number),
        "status": status,
        "title": item.title,
        "url": item.html_url,
        "reporter": item.user.login,
    });
    Ok(vec![Request::put("sss", path).json(&body)?])
}

fn push(event: &Push) -> Mapped {
    let branch = event.reference.strip_prefix("refs/heads/").unwrap_or(&event.reference);
    if event.deleted || branch != event.repository.default_branch {
        return Err(skip("quiet-branch", format!("only pushes to the default branch count, not to {branch}")));
    }
    let body = json!({
        "repository": event.repository.full_name,
        "branch": branch,
        "head": event.after,
        "commits": event.commits.len(),
        "by": event.pusher.name,
    });
    Ok(vec![Request::post("sss", "/notes").json(&body)?])
}
