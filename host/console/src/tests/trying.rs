//! A console over a store of its own, for tests.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use towpath_config::{Config, Secrets};
use towpath_operate::history::History;
use towpath_operate::place::{Backend, Found};
use towpath_operate::queues::{Queues, STORY};
use towpath_operate::releases::Releases;
use towpath_operate::story::StoryPlace;

use crate::{Access, Console, Role, Session, router};

/// A target, and a route to it.
const CONFIG: &str = "[[route]]\npath = 'crm'\ngroup = 'crm/{json:/id}'\nplugin = 'p'\n[plugin.p]\npath = 'p'\n[target.sss]\nurl = 'https://sss.test'\n[archive]\nfolder = 'archive'\n[console]\nbuilds = 'builds'\n";

pub(crate) struct Trying {
    pub(crate) folder: TempDir,
    pub(crate) queues: Queues,
    /// Cancelled when the process stops.
    pub(crate) stop: CancellationToken,
    router: Router,
}

/// What a request was answered with.
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).expect("JSON")
    }
}

impl Trying {
    pub(crate) async fn new() -> Trying {
        Trying::as_role(Role::Operator).await
    }

    pub(crate) async fn as_role(role: Role) -> Trying {
        let folder = TempDir::new().expect("a folder");
        std::fs::create_dir(folder.path().join("builds")).expect("made");
        Trying::over(folder, role, CONFIG, Releases::None).await
    }

    /// A console over a store in this folder.
    pub(crate) async fn over(folder: TempDir, role: Role, text: &str, releases: Releases) -> Trying {
        let queues = Queues::open(folder.path()).await.expect("a store");
        let file = folder.path().join("towpath.toml");
        std::fs::write(&file, text).expect("written");
        let config = Config::parse(text, &file, &Secrets::placeholders()).expect("a config");
        let story = StoryPlace {
            config: file,
            config_was_named: true,
            store: None,
            file: Some(folder.path().join(STORY)),
            logs: None,
        };
        let stop = CancellationToken::new();
        let found = Found::new(Backend::Local(Box::new(queues.clone())), Some(config));
        let history = Some(History::default().into());
        let console = Console { history, releases, ..Console::new(found, story, stop.clone()) };
        let session = Session { by: "ann".to_owned(), role };
        let router = router(console, Access::by_token("token".to_owned(), session));
        Trying { folder, queues, stop, router }
    }

    /// Appends lines to the story.
    pub(crate) fn tell(&self, lines: &[serde_json::Value]) {
        use std::io::Write as _;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join(STORY));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.answered(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    pub(crate) async fn form(&self, path: &str, form: &str) -> Answered {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.answered(request.body(form.to_owned().into()).expect("a request")).await
    }

    pub(crate) async fn json(&self, path: &str, body: serde_json::Value) -> Answered {
        let request = Request::post(path).header("content-type", "application/json");
        self.answered(request.body(body.to_string().into()).expect("a request")).await
    }

    pub(crate) async fn answered(&self, request: Request<Body>) -> Answered {
        let (status, headers, body) = self.begun(request).await;
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answered { status, headers, text: String::from_utf8(bytes.into()).expect("text") }
    }

    /// The answer to a request, whose body may go on for ever.
    pub(crate) async fn begun(&self, mut request: Request<Body>) -> (StatusCode, HeaderMap, Body) {
        let headers = request.headers_mut();
        headers.insert("authorization", "Bearer token".parse().expect("a value"));
        headers.insert("x-towpath-console", "1".parse().expect("a value"));
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body)
    }
}

/// The line of a pass.
pub(crate) fn pass(id: &str, outcome: &str, detail: &str) -> serde_json::Value {
    serde_json::json!({
        "timestamp": "2026-03-02T09:15:01.250Z", "level": "INFO", "target": "towpath.story",
        "fields": { "message": "pass", "outcome": outcome, "decision": "retry", "reason": detail },
        "span": { "message_id": id, "group": "crm/7", "route": "crm", "plugin": "p" },
    })
}
