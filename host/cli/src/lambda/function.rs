//! One function process and the Runtime API that it talks to.
//! Source: "Using the Lambda runtime API for custom runtimes" in the developer guide of Lambda.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use towpath_compose::endpoint as sqs;
use towpath_compose::server::{Guard, serve};
use towpath_types::clock::Clock;

use super::FunctionConfig;
use super::answer::Answer;
use crate::output::{MAX_RELAYED, Output};

/// How long a function may take to start. Source: Lambda's limit for the init phase.
const INIT: Duration = Duration::from_secs(10);

/// How long to wait for the log of a process that ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A message of the function.
enum Said {
    /// It is ready for an invocation.
    Next,
    /// It cannot start.
    InitError(String),
    /// Its answer to the invocation with this id.
    Answer(String, Answer),
}

/// One invocation, as handed to the function.
struct Invocation {
    id: String,
    event: String,
    deadline_ms: u64,
}

struct Api {
    invocations: Mutex<mpsc::Receiver<Invocation>>,
    said: mpsc::UnboundedSender<Said>,
}

/// A running function. Dropping it kills the process.
pub(super) struct Function {
    process: Child,
    invocations: mpsc::Sender<Invocation>,
    said: mpsc::UnboundedReceiver<Said>,
    /// The tasks that relay its log.
    logs: JoinSet<()>,
    _server: JoinSet<()>,
}

impl Function {
    /// Starts the function and waits until it is ready; the inner error says why it is not.
    pub(super) async fn start(bootstrap: &Path, config: &FunctionConfig) -> anyhow::Result<Result<Function, String>> {
        let (invocations, receiver) = mpsc::channel(1);
        let (sender, said) = mpsc::unbounded_channel();
        let api = Arc::new(Api { invocations: Mutex::new(receiver), said: sender });
        // Other users of this machine reach the port and could answer for the function, so the path is secret.
        let base = format!("/{}", uuid::Uuid::new_v4().simple());
        let invocation = format!("{base}/2018-06-01/runtime/invocation");
        let router = Router::new()
            .route(&format!("{invocation}/next"), get(next))
            .route(&format!("{invocation}/{{id}}/response"), post(response))
            .route(&format!("{invocation}/{{id}}/error"), post(error))
            .route(&format!("{base}/2018-06-01/runtime/init/error"), post(init_error))
            .layer(axum::extract::DefaultBodyLimit::max(8 * 1024 * 1024))
            .with_state(api);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("starting the Runtime API")?;
        let address = listener.local_addr().context("starting the Runtime API")?;
        let mut server = JoinSet::new();
        server.spawn(serve(listener, router, Guard::default(), CancellationToken::new()));
        let mut process = Command::new(bootstrap)
            .env("TOWPATH_CONFIG", config.file())
            .env(sqs::VARIABLE, &*config.token().expose())
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{address}{base}"))
            .env("AWS_LAMBDA_FUNCTION_NAME", "towpath")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/towpath")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "dev")
            .env("AWS_REGION", towpath_sqs::REGION)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}: `cargo build -p towpath-lambda` builds it", bootstrap.display()))?;
        let mut logs = JoinSet::new();
        process.stdout.take().into_iter().for_each(|log| drop(logs.spawn(relay(log))));
        process.stderr.take().into_iter().for_each(|log| drop(logs.spawn(relay(log))));
        let mut function = Function { process, invocations, said, logs, _server: server };
        let ready = tokio::select! {
            said = function.said.recv() => match said {
                Some(Said::InitError(problem)) => Err(problem),
                _ => Ok(()),
            },
            status = function.process.wait() => Err(match status {
                Ok(status) => format!("its process exited before it was ready ({status}): see its log above"),
                Err(error) => error.to_string(),
            }),
            () = tokio::time::sleep(INIT) => Err(format!("it was not ready within {} s", INIT.as_secs())),
        };
        if ready.is_err() {
            function.logged().await;
        }
        Ok(ready.map(|()| function))
    }

    /// Invokes the function. After a timeout or an exit, start a new one.
    pub(super) async fn invoke(&mut self, event: &Value, limit: Duration) -> Answer {
        let id = uuid::Uuid::new_v4().to_string();
        let deadline_ms = (Clock::wall().now() + limit).0;
        let invocation = Invocation { id: id.clone(), event: event.to_string(), deadline_ms };
        if self.invocations.send(invocation).await.is_err() {
            return Answer::Exited;
        }
        let answered = async {
            loop {
                tokio::select! {
                    // An answer before the exit counts.
                    biased;
                    said = self.said.recv() => match said {
                        Some(Said::Answer(of, answer)) if of == id => return answer,
                        Some(_) => {}
                        None => return Answer::Exited,
                    },
                    _ = self.process.wait() => return Answer::Exited,
                }
            }
        };
        let answer = timeout(limit, answered).await.unwrap_or(Answer::TimedOut);
        if answer == Answer::Exited {
            self.logged().await;
        }
        answer
    }

    /// Waits for the rest of the log of a process that ended; a child of it may keep the pipe open.
    async fn logged(&mut self) {
        let all = async { while self.logs.join_next().await.is_some() {} };
        let _ = timeout(LAST_WORDS, all).await;
    }
}

/// Relays a function's log, line by line. It is untrusted text.
async fn relay(log: impl AsyncRead + Unpin) {
    let output = Output::new(false);
    let mut log = BufReader::new(log);
    let mut line = Vec::new();
    while (&mut log).take(MAX_RELAYED).read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        output.relayed(&line);
        line.clear();
    }
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    // The receiver ends with the function.
    let _ = api.said.send(Said::Next);
    let Some(invocation) = api.invocations.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let arn = format!("arn:aws:lambda:{}:000000000000:function:towpath", towpath_sqs::REGION);
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.id),
        ("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, invocation.event).into_response()
}

async fn response(State(api): State<Arc<Api>>, UrlPath(id): UrlPath<String>, body: String) -> StatusCode {
    let _ = api.said.send(Said::Answer(id, Answer::Response(body)));
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Arc<Api>>, UrlPath(id): UrlPath<String>, body: String) -> StatusCode {
    let _ = api.said.send(Said::Answer(id, Answer::Error(body)));
    StatusCode::ACCEPTED
}

async fn init_error(State(api): State<Arc<Api>>, body: String) -> StatusCode {
    let _ = api.said.send(Said::InitError(body));
    StatusCode::ACCEPTED
}
