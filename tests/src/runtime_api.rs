//! The Lambda Runtime API as a function sees it: `next`, `response`, `error`, `init/error`.
//! Source: AWS Lambda, "Using the Lambda runtime API for custom runtimes".

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::binary::binary;
use axum::Router;
use axum::extract::State;
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

/// The running function. It is ended when it is dropped.
pub struct Function {
    process: Child,
    events: mpsc::Sender<(Value, u64)>,
    answers: mpsc::Receiver<Answer>,
    asked: watch::Receiver<Option<Instant>>,
    _server: JoinSet<()>,
}

impl Function {
    /// Starts `bootstrap` with this config.
    pub async fn start(config: &Path, sqs: &str) -> Function {
        Function::spawn(Function::command(config, sqs)).await
    }

    /// Starts a function by a command of any language.
    pub async fn spawn(command: Command) -> Function {
        Function::spawn_logging(command, Stdio::null()).await
    }

    /// The same, with its log.
    pub async fn spawn_logging(mut command: Command, log: impl Into<Stdio>) -> Function {
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
            .with_state(api);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let process = command
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Function { process, events, answers, asked, _server: server }
    }

    /// Waits until it asks for its first event, and tells when that was.
    pub async fn ready(&mut self) -> Instant {
        let asked = self.asked.wait_for(Option::is_some).await.unwrap();
        asked.unwrap()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The command that starts it, as Lambda would.
    pub fn command(config: &Path, sqs: &str) -> Command {
        let mut command = Command::new(binary("towpath-lambda"));
        Function::prepare(&mut command, config, sqs);
        command
    }

    /// Gives a command the environment that Lambda gives a function.
    pub fn prepare(command: &mut Command, config: &Path, sqs: &str) {
        command
            .env("TOWPATH_CONFIG", config)
            .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
            .env("AWS_LAMBDA_FUNCTION_NAME", "towpath")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "towpath")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "1")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_ENDPOINT_URL_SQS", sqs);
    }

    /// Invokes it and waits for its answer.
    pub async fn invoke(&mut self, event: &Value, limit: Duration) -> Answer {
        self.invoke_timed(event, limit).await.0
    }

    /// Invokes it; also tells how long before the deadline it answered.
    pub async fn invoke_timed(&mut self, event: &Value, limit: Duration) -> (Answer, Duration) {
        let deadline = now() + u64::try_from(limit.as_millis()).unwrap();
        self.events.send((event.clone(), deadline)).await.unwrap();
        let answer = self.answers.recv().await.unwrap();
        (answer, Duration::from_millis(deadline.saturating_sub(now())))
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
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
    api.answers.send(answer).await.unwrap();
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Arc<Api>>, body: String) -> StatusCode {
    api.answers.send(Err(body)).await.unwrap();
    StatusCode::ACCEPTED
}
