use std::path::Path as FilePath;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;
use towpath_config::{Config, Secrets};
use towpath_operate::place::{Backend, Found};
use towpath_operate::queues::Queues;
use towpath_operate::story::StoryPlace;
use towpath_types::queue::{NewMessage, Queue as _, Receive};

use super::*;
use crate::{Access, Console};

const CONFIG: &str = "
[[route]]
path = 'crm'
group = '{json:/id}'
plugin = 'p'
on_dead_letter = 'park'
[plugin.p]
path = 'p'
";

struct Setup {
    folder: TempDir,
    queues: Queues,
    router: axum::Router,
}

async fn setup(role: Role) -> Setup {
    let folder = TempDir::new().expect("folder");
    let queues = Queues::open(folder.path()).await.expect("store");
    let config = Config::parse(CONFIG, FilePath::new("towpath.toml"), &Secrets::placeholders()).expect("config");
    let found = Found::new(Backend::Local(Box::new(queues.clone())), Some(config));
    let store = Some(folder.path().to_owned());
    let story = StoryPlace { config: "towpath.toml".into(), config_was_named: false, store, file: None, logs: None };
    let console = Console::new(found, story, tokio_util::sync::CancellationToken::new());
    let session = Session { by: "ada".to_owned(), role };
    let router = crate::router(console, Access::by_token("token".to_owned(), session));
    Setup { folder, queues, router }
}

impl Setup {
    async fn send(&self, group: &str, bodies: &[&str]) {
        for body in bodies {
            let dedup_id = Some((*body).into());
            let body = (*body).into();
            let message = NewMessage { group: group.into(), dedup_id, body, attributes: Default::default() };
            self.queues.events.send(message).await.expect("send");
        }
    }

    /// What a host does that fails: it releases what it received for a while.
    async fn fail(&self) {
        let received = self.queues.events.receive(Receive::default()).await.expect("receive");
        let wait = Duration::from_secs(600);
        let released: Vec<_> = received.into_iter().rev().map(|message| (message.handle, wait)).collect();
        for result in self.queues.events.release(&released).await {
            result.expect("released");
        }
    }

    async fn ask(&self, method: &str, path: &str, kind: &str, body: String) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).header("authorization", "Bearer token");
        let request = request.header("host", "127.0.0.1").header("x-towpath-console", "1").header("content-type", kind);
        let request = request.body(Body::from(body)).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        self.ask("GET", path, "text/plain", String::new()).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, text) = self.ask("POST", path, "application/json", body.to_string()).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn left(&self) -> usize {
        self.queues.events.browse(None, 1_000).await.expect("browse").len()
    }
}

const HOSTILE: [&str; 6] = ["<script>alert(1)</script>", "a/b/../c", "50%off", "line%0abreak", "..", "\"'&?#;=+"];

#[tokio::test]
async fn a_page_of_groups_escapes_their_names_and_links_each() {
    let setup = setup(Role::Operator).await;
    for group in HOSTILE {
        setup.send(group, &[group]).await;
    }
    let (status, text) = setup.get("/groups").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(!text.contains("<script>alert") && text.contains("&lt;script&gt;alert(1)"), "{text}");
    for group in HOSTILE {
        let path = group_link(group);
        assert!(text.contains(&path.replace('&', "&amp;")), "{group}: {path}");
        let (status, text) = setup.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{group}: {text}");
        assert!(!text.contains("<script>alert"), "{text}");
        let path = format!("/api/v1/groups/{}", urlencoded(group));
        let (status, text) = setup.get(&path).await;
        let shown: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &shown["group"], &shown["state"]), (StatusCode::OK, &json!(group), &json!("ready")));
    }
}

#[tokio::test]
async fn the_overview_lists_groups_that_are_stuck_first_and_links_each() {
    let setup = setup(Role::Viewer).await;
    setup.send("stuck", &["1"]).await;
    setup.fail().await;
    setup.send("busy", &["2", "3", "4"]).await;
    setup.send("..", &["5"]).await;
    let (status, text) = setup.get("/").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let at = |words: &str| text.find(words).expect(words);
    assert!(at(r#"href="/groups/stuck""#) < at(r#"href="/groups/busy""#), "{text}");
    at(r#"href="/groups?begins=..""#);
}

#[tokio::test]
async fn the_api_counts_the_messages_of_groups_only_for_who_wants_that() {
    let setup = setup(Role::Viewer).await;
    setup.send("a", &["1"]).await;
    setup.send("b", &["2", "3"]).await;
    let groups = async |query: &str| {
        let (_, text) = setup.get(&format!("/api/v1/status{query}")).await;
        serde_json::from_str::<Value>(&text).expect("JSON").get("groups").cloned()
    };
    assert_eq!(groups("").await, None);
    let one = groups("?groups=1").await.expect("groups");
    assert_eq!(
        (one.as_array().map(Vec::len), &one[0]["group"], &one[0]["messages"]),
        (Some(1), &json!("b"), &json!(2))
    );
    assert_eq!(setup.get("/api/v1/status?group=1").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_have_cursors_and_the_last_one_has_none() {
    let setup = setup(Role::Viewer).await;
    for group in ["a", "b", "c"] {
        setup.send(group, &[group]).await;
    }
    let mut names = Vec::new();
    let mut path = "/api/v1/groups?limit=2".to_owned();
    for _ in 0..2 {
        let (_, text) = setup.get(&path).await;
        let page: Value = serde_json::from_str(&text).expect("JSON");
        let groups = page["groups"].as_array().expect("groups").clone();
        names.extend(groups.into_iter().map(|group| group["group"].as_str().unwrap_or_default().to_owned()));
        path = format!("/api/v1/groups?limit=2&after={}", page["next"].as_str().unwrap_or_default());
    }
    assert_eq!(names, ["a", "b", "c"]);
    assert!(path.ends_with("after="), "{path}");
    let (status, _) = setup.get("/api/v1/groups?after=nonsense").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_operator_dead_letters_the_head_that_they_saw_and_no_other() {
    let setup = setup(Role::Operator).await;
    setup.send("g", &["1", "2"]).await;
    setup.fail().await;
    let (_, text) = setup.get("/api/v1/groups/g").await;
    let group: Value = serde_json::from_str(&text).expect("JSON");
    let act = json!({ "head": group["head"]["queue_id"], "note": "why <not>" });
    let (status, problem) =
        setup.post("/api/v1/groups/g/dead-letter", json!({ "head": group["head"]["queue_id"], "note": "" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    let (status, done) = setup.post("/api/v1/groups/g/dead-letter", act.clone()).await;
    assert_eq!((status, &done["messages"], &done["action"]), (StatusCode::OK, &json!(1), &json!("dead-letter")));
    assert_eq!(setup.left().await, 1);
    let (status, problem) = setup.post("/api/v1/groups/g/dead-letter", act).await;
    assert_eq!((status, setup.left().await), (StatusCode::CONFLICT, 1), "{problem}");
    let audit = std::fs::read_to_string(setup.folder.path().join("audit.jsonl")).expect("an audit");
    assert!(audit.contains(r#""by":"ada","action":"dead-letter""#), "{audit}");
}

#[tokio::test]
async fn a_head_in_flight_is_a_conflict_and_a_group_that_is_gone_is_not_found() {
    let setup = setup(Role::Operator).await;
    setup.send("g", &["1"]).await;
    let received = setup.queues.events.receive(Receive::default()).await.expect("receive");
    let act = json!({ "head": received[0].id.as_str(), "note": "now" });
    for action in ["retry", "dead-letter", "park"] {
        let (status, problem) = setup.post(&format!("/api/v1/groups/g/{action}"), act.clone()).await;
        assert_eq!(status, StatusCode::CONFLICT, "{action}: {problem}");
        let (status, _) = setup.post(&format!("/api/v1/groups/none/{action}"), act.clone()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{action}");
    }
    let (status, _) = setup.post("/api/v1/groups/g/destroy", act).await;
    assert_eq!((status, setup.left().await), (StatusCode::NOT_FOUND, 1));
    let (status, _) = setup.post("/api/v1/groups/g/retry", json!([])).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_page_says_what_happens_to_those_behind_and_a_viewer_gets_no_forms() {
    let setup = setup(Role::Operator).await;
    setup.send("g", &["1", "2", "3"]).await;
    setup.fail().await;
    let (_, text) = setup.get("/groups/g").await;
    assert!(text.contains("2 events behind it") && text.contains(r#"hx-post="/groups/g/park""#), "{text}");
    let head = setup.queues.events.browse(None, 1).await.expect("browse").remove(0).id;
    let form = format!("head={head}&note=stop");
    let (status, text) = setup.ask("POST", "/groups/g/park", "application/x-www-form-urlencoded", form).await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("3 events parked, in order.") && text.contains("Nothing of the group waits now"), "{text}");
    assert_eq!(setup.left().await, 0);
}

#[tokio::test]
async fn a_viewer_may_not_act() {
    let setup = setup(Role::Viewer).await;
    setup.send("g", &["1"]).await;
    let (_, text) = setup.get("/groups/g").await;
    assert!(!text.contains("hx-post") && text.contains("may look and not act"), "{text}");
    let head = setup.queues.events.browse(None, 1).await.expect("browse").remove(0).id;
    let (status, _) = setup.post("/api/v1/groups/g/retry", json!({ "head": head.as_str(), "note": "now" })).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let form = format!("head={head}&note=now");
    let (status, _) = setup.ask("POST", "/groups/g/retry", "application/x-www-form-urlencoded", form).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}
