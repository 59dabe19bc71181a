//! The Lambda Runtime API as a function sees it: `next`, `response`, `error`, `init/error`.
//! Source: AWS Lambda, "Using the Lambda runtime API for custom runtimes".

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What a function answered: its response, or its error.
pub type Answer = Result<Value, String>;

struct Api {
    events: Mutex<mpsc::Receiver<(Value, u64)>>,
    answers: mpsc::Sender<Answer>,
    asked: watch::Sender<Option<Instant>>,
}

/// A running function. Dropping it kills the process.
#[derive(Debug)]
pub struct Function {
    process: Child,
    events: mpsc::Sender<(Value, u64)>,
    answers: mpsc::Receiver<Answer>,
    asked: watch::Receiver<Option<Instant>>,
    _server: JoinSet<()>,
}

impl Function {
    /// Starts a function in any language; `log` gets its standard output.
    pub async fn spawn(mut command: Command, log: impl Into<Stdio>) -> anyhow::Result<Function> {
        let (events, receiver) = mpsc::channel(1);
        let (sender, answers) = mpsc::channel(1);
        let (asks, asked) = watch::channel(None);
        let api = Arc::new(Api { events: Mutex::new(receiver), answers: sender, asked: asks });
        let invocation = "/2018-06-01/runtime/invocation";
        let router = Router::new()
            .route(&format!("{invocation}/next"), get(next))
            .route(&format!("{invocation}/{{id}}/response"), post(response))
            .route(&format!("{invocation}/{{id}}/error"), post(error))
            .route("/2018-06-01/runtime/init/error", post(error))
            .layer(DefaultBodyLimit::disable())
            .with_state(api);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("starting the Runtime API")?;
        let address = listener.local_addr().context("starting the Runtime API")?;
        let mut server = JoinSet::new();
        server.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        command.env("AWS_LAMBDA_RUNTIME_API", address.to_string()).stdout(log).stderr(Stdio::null());
        let process = command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Function { process, events, answers, asked, _server: server })
    }

    /// Waits until it asks for its first event; returns when that was.
    pub async fn ready(&mut self) -> anyhow::Result<Instant> {
        let asked = self.asked.wait_for(Option::is_some).await.context("waiting for the function")?;
        asked.context("the function did not ask for an event")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Invokes it and waits for its answer; also returns the time left until the deadline.
    pub async fn invoke(&mut self, event: Value, limit: Duration) -> anyhow::Result<(Answer, Duration)> {
        let deadline = now() + u64::try_from(limit.as_millis())?;
        self.events.send((event, deadline)).await.context("invoking the function")?;
        let answer = self.answers.recv().await.context("the function gave no answer")?;
        Ok((answer, Duration::from_millis(deadline.saturating_sub(now()))))
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The environment that Lambda gives a function, and the config of a host.
pub fn environment(config: &Path) -> Vec<(&'static str, OsString)> {
    let mut all = vec![("TOWPATH_CONFIG", config.into())];
    let fixed = [
        ("AWS_LAMBDA_FUNCTION_NAME", "towpath"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "towpath"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "1"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ];
    all.extend(fixed.map(|(name, value)| (name, value.into())));
    all
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    api.asked.send_if_modified(|asked| asked.is_none().then(|| *asked = Some(Instant::now())).is_some());
    let Some((event, deadline)) = api.events.lock().await.recv().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:towpath".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event.to_string()).into_response()
}

async fn response(State(api): State<Arc<Api>>, body: String) -> StatusCode {
    let answer = serde_json::from_str(&body).map_err(|error| format!("not JSON: {error}: {body}"));
    // The caller may be gone.
    let _ = api.answers.send(answer).await;
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Arc<Api>>, body: String) -> StatusCode {
    let _ = api.answers.send(Err(body)).await;
    StatusCode::ACCEPTED
}
