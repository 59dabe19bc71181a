//! Is the handshake answered as its sender wants it, and is nothing stored?

use serde_json::Value;
use tempfile::TempDir;
use towpath_config::{LearnedStore, SecretFolder, Stored};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;

use super::Verdict;
use super::case::Case;
use super::publisher::Publisher;
use super::server::{Answered, Front, Request};

pub(super) fn judge(case: &Case) -> Verdict {
    if case.kind() != "handshake" {
        return Verdict::NotRun("no handshake");
    }
    let folder = TempDir::new().unwrap();
    let config = match case.read_config_in(folder.path()) {
        Ok(config) => config,
        Err(mistakes) => return Verdict::Failed(format!("{mistakes:?}")),
    };
    let name = config.routes.iter().find_map(|route| route.verify.as_ref()?.secret_names().next().map(str::to_owned));
    let secrets = SecretFolder::of_store(&config.queue.store);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wrong = runtime.block_on(async {
        if let (Some(_), Some(name)) = (case.learned(), &name) {
            let open = Stored { secret: None, armed_until: Some(Timestamp(case.arrives_at.0 + 60_000)) };
            secrets.replace(name, None, &open.text()).await.unwrap();
        }
        let front = Front::of(config, case.arrives_at, Publisher::of(&case.published).await).await;
        let answered = front.ask(&request(case)).await;
        let mut wrong = compare(case, &answered);
        wrong.extend(calls(case, &front.publisher));
        if let (Some(brought), Some(name)) = (case.learned(), &name) {
            let kept = LearnedStore::read(&secrets, name).await.unwrap().map(|kept| kept.text);
            if kept.as_deref() != Some(brought) {
                wrong.push(format!("it keeps {kept:?}, and must keep {brought:?}"));
            }
        }
        let stored = front.stored().await.len();
        // A test event is an event: the sender wants no other answer to it.
        let may_store = case.outcome() == "accepted";
        if stored > 0 && !may_store {
            wrong.push(format!("{stored} messages are stored"));
        }
        wrong
    });
    if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed(wrong.join("; ")) }
}

fn request(case: &Case) -> Request<'_> {
    let Webhook { method, query, headers, body, .. } = &case.webhook;
    let separator = if query.is_empty() { "" } else { "?" };
    Request { method, target: format!("/hooks/{}{separator}{query}", case.provider), headers, body }
}

/// What of the answer the sender does not want.
fn compare(case: &Case, answered: &Answered) -> Vec<String> {
    let mut wrong = Vec::new();
    let status = answered.status;
    let is_expected = match case.outcome() {
        "answered" | "accepted" => (200..300).contains(&status),
        "refused" => [400, 401, 403].contains(&status),
        _ => false,
    };
    if !is_expected {
        wrong.push(format!("it is {}, and is answered {status}: {}", case.outcome(), answered.body));
    }
    if let Some(expected) = case.expect.get("status").filter(|expected| **expected != status) {
        wrong.push(format!("the status is {status}, and must be {expected}"));
    }
    if let Some(expected) = case.expect.get("body").filter(|expected| **expected != *answered.body) {
        wrong.push(format!("the body is {:?}, and must be {expected}", answered.body));
    }
    let json = || serde_json::from_str(&answered.body).unwrap_or(Value::Null);
    if let Some(expected) = case.expect.get("json").filter(|expected| **expected != json()) {
        wrong.push(format!("the body is {:?}, and must be {expected}", answered.body));
    }
    let headers = case.expect.get("headers").and_then(Value::as_object).into_iter().flatten();
    for (name, expected) in headers {
        let actual = answered.header(name);
        if actual != expected.as_str() {
            wrong.push(format!("the header {name} is {actual:?}, and must be {expected}"));
        }
    }
    wrong
}

fn calls(case: &Case, publisher: &Publisher) -> Option<String> {
    let expected = case.expect.get("calls").and_then(Value::as_array).into_iter().flatten();
    let pair =
        |call: &Value| (call["method"].as_str().unwrap().parse().unwrap(), call["url"].as_str().unwrap().to_owned());
    let expected: Vec<_> = expected.map(pair).collect();
    let called = publisher.called();
    (called != expected).then(|| format!("it called {called:?}, and must call {expected:?}"))
}
