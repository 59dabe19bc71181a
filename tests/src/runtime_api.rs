//! The built functions, driven over the Lambda Runtime API.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use towpath_proof::runtime_api;

pub use towpath_proof::runtime_api::Answer;

use crate::binary::binary;

/// The running function. It is ended when it is dropped.
pub struct Function(runtime_api::Function);

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
    pub async fn spawn_logging(command: Command, log: impl Into<Stdio>) -> Function {
        Function(runtime_api::Function::spawn(command, log).await.unwrap())
    }

    /// Waits until it asks for its first event, and tells when that was.
    pub async fn ready(&mut self) -> Instant {
        self.0.ready().await.unwrap()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The command that starts it, as Lambda would.
    pub fn command(config: &Path, sqs: &str) -> Command {
        let mut command = Command::new(binary("towpath-lambda"));
        Function::prepare(&mut command, config, sqs);
        command
    }

    /// Gives a command the environment that Lambda gives a function.
    pub fn prepare(command: &mut Command, config: &Path, sqs: &str) {
        command.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1").env("AWS_ENDPOINT_URL_SQS", sqs);
        command.envs(runtime_api::environment(config));
    }

    /// Invokes it and waits for its answer.
    pub async fn invoke(&mut self, event: &Value, limit: Duration) -> Answer {
        self.invoke_timed(event, limit).await.0
    }

    /// Invokes it; also tells how long before the deadline it answered.
    pub async fn invoke_timed(&mut self, event: &Value, limit: Duration) -> (Answer, Duration) {
        self.0.invoke(event.clone(), limit).await.unwrap()
    }
}
