//! `StartMessageMoveTask`, `ListMessageMoveTasks` and `CancelMessageMoveTask`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use towpath_local::{LocalQueue, MAX_MOVES_PER_SECOND, MoveError, MoveStatus, MoveTask};
use towpath_types::queue::{Queue as _, QueueError};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::names;
use crate::numbers::number;
use crate::request::{Request, answer};

/// The most tasks in a list. Source: the `ListMessageMoveTasks` API.
const MAX_RESULTS: i64 = 10;

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Start {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct List {
    source_arn: Option<String>,
    max_results: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Cancel {
    task_handle: Option<String>,
}

/// The content of a task handle: the task's UUID and its source queue.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskHandle {
    task_id: String,
    source_arn: String,
}

impl Endpoint {
    async fn queue_of(&self, parameter: &str, arn: Option<&str>) -> Result<LocalQueue, ApiError> {
        let arn = arn.ok_or_else(|| ApiError::missing(parameter))?;
        let name =
            names::of_arn(arn).ok_or_else(|| ApiError::value(parameter, arn, "It is not the ARN of a queue."))?;
        let none = || ApiError::no_resource(parameter);
        let queue = self.store.find(name).await?.ok_or_else(none)?;
        match queue.current_settings().await {
            Ok(_) => Ok(queue),
            Err(QueueError::NoSuchQueue { .. }) => Err(none()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn start_move(&self, request: &Request) -> Result<Value, ApiError> {
        let start: Start = request.read()?;
        let source = self.queue_of("SourceArn", start.source_arn.as_deref()).await?;
        self.not_in_use(&source, "use towpath dlq redrive, which keeps an audit")?;
        let destination = match &start.destination_arn {
            Some(arn) => Some(self.queue_of("DestinationArn", Some(arn)).await?),
            None => None,
        };
        let rate = start.max_number_of_messages_per_second;
        let reason = "Must be between 1 and 500, if provided.";
        let per_second = number("MaxNumberOfMessagesPerSecond", rate, 1, i64::from(MAX_MOVES_PER_SECOND), reason)?;
        let per_second = per_second.and_then(|rate| u32::try_from(rate).ok());
        let task = self.store.start_move(&source, destination.as_ref(), per_second).await?;
        self.go_on(task.id);
        answer(json!({ "TaskHandle": handle(&task, source.name()) }))
    }

    pub(crate) async fn list_moves(&self, request: &Request) -> Result<Value, ApiError> {
        let list: List = request.read()?;
        let source = self.queue_of("SourceArn", list.source_arn.as_deref()).await?;
        let reason = "Must be between 1 and 10, if provided.";
        let most = number("MaxResults", list.max_results, 1, MAX_RESULTS, reason)?.unwrap_or(1);
        let tasks = self.store.moves(&source, usize::try_from(most).unwrap_or(1)).await?;
        let results: Vec<Value> = tasks.iter().map(|task| describe(task, source.name())).collect();
        answer(json!({ "Results": results }))
    }

    pub(crate) async fn cancel_move(&self, request: &Request) -> Result<Value, ApiError> {
        let text = request.read::<Cancel>()?.task_handle.ok_or_else(|| ApiError::missing("TaskHandle"))?;
        let bytes = BASE64.decode(&text).unwrap_or_default();
        let Ok(TaskHandle { task_id, source_arn }) = serde_json::from_slice(&bytes) else {
            return Err(ApiError::invalid("Value for parameter TaskHandle is invalid."));
        };
        let source = self.queue_of("SourceArn", Some(&source_arn)).await?;
        let moved = self.store.cancel_move(&source, &task_id).await?;
        answer(json!({ "ApproximateNumberOfMessagesMoved": moved }))
    }
}

fn handle(task: &MoveTask, source: &str) -> String {
    let handle = TaskHandle { task_id: task.handle.clone(), source_arn: names::arn(source) };
    BASE64.encode(serde_json::to_vec(&handle).unwrap_or_default())
}

fn describe(task: &MoveTask, source: &str) -> Value {
    let mut result = Map::from_iter([
        ("Status".to_owned(), json!(task.status.as_str())),
        ("SourceArn".to_owned(), json!(names::arn(source))),
        ("ApproximateNumberOfMessagesMoved".to_owned(), json!(task.moved)),
        ("ApproximateNumberOfMessagesToMove".to_owned(), json!(task.to_move)),
        ("StartedTimestamp".to_owned(), json!(task.started_at.0)),
    ]);
    if let Some(per_second) = task.per_second {
        result.insert("MaxNumberOfMessagesPerSecond".to_owned(), json!(per_second));
    }
    if let Some(destination) = &task.destination {
        result.insert("DestinationArn".to_owned(), json!(names::arn(destination)));
    }
    if let Some(failure) = &task.failure {
        result.insert("FailureReason".to_owned(), json!(failure));
    }
    // Only a running task can be cancelled.
    if task.status == MoveStatus::Running {
        result.insert("TaskHandle".to_owned(), json!(handle(task, source)));
    }
    Value::Object(result)
}

impl From<MoveError> for ApiError {
    fn from(error: MoveError) -> ApiError {
        match error {
            MoveError::Queue(error) => error.into(),
            MoveError::Running(_) => ApiError::invalid(
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            ),
            MoveError::NotDeadLetterQueue(_) => {
                ApiError::invalid("Source queue must be configured as a Dead Letter Queue.")
            }
            MoveError::OntoItself(_) => ApiError::invalid("Source queue and destination queue must not be the same."),
            MoveError::OtherType(_) => {
                ApiError::invalid("Source queue and destination queue must be of the same type.")
            }
            MoveError::NoSuchTask => ApiError::no_task(),
            MoveError::NotActive => ApiError::unsupported("Only active tasks can be cancelled."),
        }
    }
}
