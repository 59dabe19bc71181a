//! The HTTP router: checks the token, then calls the action that the request names.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{self, DefaultBodyLimit, FromRequest as _, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::error::{AWS_JSON, ApiError};
use crate::request::Request;

/// The longest request: a batch of 1 MiB in which every character is escaped.
pub(crate) const MAX_REQUEST: usize = 8 * 1024 * 1024;

/// The router. An action is a POST to any path, with the action's name in a header. Every response, also an error, has a
/// unique request id.
pub fn router(endpoint: Arc<Endpoint>) -> Router {
    Router::new()
        .route("/", get(hint).post(act))
        .fallback(act)
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(map_response(with_request_id))
        .with_state(endpoint)
}

async fn with_request_id(mut response: Response) -> Response {
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

async fn hint() -> &'static str {
    "Towpath's SQS endpoint. For example:\n  aws sqs list-queues --endpoint-url http://HOST:PORT --region us-east-1\n"
}

async fn act(State(endpoint): State<Arc<Endpoint>>, request: extract::Request) -> Response {
    // Checked before the body is read, so that a client without the token cannot use memory.
    if endpoint.token.as_ref().is_some_and(|token| !token.is(shown_token(request.headers()))) {
        return ApiError::no_token().into_response();
    }
    let headers = request.headers().clone();
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return ApiError::too_large(MAX_REQUEST).into_response();
        }
        Err(rejection) => return ApiError::malformed(rejection.body_text()).into_response(),
    };
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let Some(action) = target.strip_prefix("AmazonSQS.") else {
        return ApiError::no_action().into_response();
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let host = text("host").unwrap_or_else(|| "localhost".to_owned());
    let trace = text("x-amzn-trace-id").filter(|trace| !trace.is_empty());
    let body = if body.is_empty() { Ok(Value::Object(Default::default())) } else { serde_json::from_slice(&body) };
    let answer = match body {
        Ok(mut body) => {
            without_nulls(&mut body);
            dispatch(&endpoint, action, Request { host, trace, body }).await
        }
        Err(error) => Err(ApiError::malformed(error)),
    };
    match answer {
        Ok(answer) => ([(header::CONTENT_TYPE, AWS_JSON)], Json(answer)).into_response(),
        Err(error) => error.into_response(),
    }
}

/// Removes fields that are `null`: they count as missing.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// The client's token: the access key id of an AWS signature, or a bearer token.
fn shown_token(headers: &HeaderMap) -> &[u8] {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = shown.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next());
    signed.or_else(|| shown.strip_prefix("Bearer ")).unwrap_or_default().as_bytes()
}

async fn dispatch(endpoint: &Endpoint, action: &str, request: Request) -> Result<Value, ApiError> {
    match action {
        "CreateQueue" => endpoint.create_queue(&request).await,
        "DeleteQueue" => endpoint.delete_queue(&request).await,
        "GetQueueUrl" => endpoint.get_queue_url(&request).await,
        "ListQueues" => endpoint.list_queues(&request).await,
        "GetQueueAttributes" => endpoint.get_queue_attributes(&request).await,
        "SetQueueAttributes" => endpoint.set_queue_attributes(&request).await,
        "PurgeQueue" => endpoint.purge_queue(&request).await,
        "ListDeadLetterSourceQueues" => endpoint.list_dead_letter_source_queues(&request).await,
        "TagQueue" => endpoint.tag_queue(&request).await,
        "UntagQueue" => endpoint.untag_queue(&request).await,
        "ListQueueTags" => endpoint.list_queue_tags(&request).await,
        "SendMessage" => endpoint.send_message(&request).await,
        "SendMessageBatch" => endpoint.send_message_batch(&request).await,
        "ReceiveMessage" => endpoint.receive_message(&request).await,
        "DeleteMessage" => endpoint.delete_message(&request).await,
        "DeleteMessageBatch" => endpoint.delete_message_batch(&request).await,
        "ChangeMessageVisibility" => endpoint.change_visibility(&request).await,
        "ChangeMessageVisibilityBatch" => endpoint.change_visibility_batch(&request).await,
        "StartMessageMoveTask" => endpoint.start_move(&request).await,
        "ListMessageMoveTasks" => endpoint.list_moves(&request).await,
        "CancelMessageMoveTask" => endpoint.cancel_move(&request).await,
        other => Err(ApiError::unknown_action(other)),
    }
}
