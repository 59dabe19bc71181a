//! Errors with the codes and wording of SQS, in the format of AWS JSON 1.0.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use towpath_local::StoreError;
use towpath_local::limits::Wrong;
use towpath_types::queue::QueueError;

/// AWS's code for unknown credentials.
const NO_TOKEN: &str = "InvalidClientTokenId";

/// AWS's code for a resource that does not exist, other than the queue of the request.
const NO_RESOURCE: &str = "ResourceNotFoundException";

/// SQS's code for a queue that was purged less than 60 seconds ago.
const PURGED: &str = "AWS.SimpleQueueService.PurgeQueueInProgress";

/// AWS's code for a request that is too long.
const TOO_LARGE: &str = "RequestEntityTooLarge";

/// SQS's code for a malformed receipt handle.
const NO_HANDLE: &str = "ReceiptHandleIsInvalid";

/// AWS's code for a request that names no action.
const NO_ACTION: &str = "UnknownOperationException";

/// The media type of every response.
pub(crate) const AWS_JSON: &str = "application/x-amz-json-1.0";

/// An error as a client sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ApiError {
    /// The name of the error shape in the JSON protocol.
    shape: &'static str,
    /// The code in the older query protocol, which SDKs still report.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Whether the client is at fault.
    pub(crate) sender: bool,
}

impl ApiError {
    fn sender(shape: &'static str, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { shape, code, message: message.into(), sender: true }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::sender("InvalidParameterValueException", "InvalidParameterValue", message)
    }

    /// `Value 11 for parameter X is invalid. Reason: …`
    pub(crate) fn value(parameter: &str, value: impl std::fmt::Display, reason: &str) -> ApiError {
        ApiError::invalid(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
    }

    pub(crate) fn missing(parameter: &str) -> ApiError {
        let message = format!("The request must contain the parameter {parameter}.");
        ApiError::sender("MissingRequiredParameterException", "MissingParameter", message)
    }

    pub(crate) fn no_queue() -> ApiError {
        let code = "AWS.SimpleQueueService.NonExistentQueue";
        ApiError::sender("QueueDoesNotExist", code, "The specified queue does not exist.")
    }

    pub(crate) fn queue_exists(attribute: &str) -> ApiError {
        let message =
            format!("A queue already exists with the same name and a different value for attribute {attribute}");
        ApiError::sender("QueueNameExists", "QueueAlreadyExists", message)
    }

    pub(crate) fn attribute_name(name: &str) -> ApiError {
        ApiError::sender("InvalidAttributeName", "InvalidAttributeName", format!("Unknown Attribute {name}."))
    }

    pub(crate) fn attribute_value(name: &str) -> ApiError {
        let message = format!("Invalid value for the parameter {name}.");
        ApiError::sender("InvalidAttributeValue", "InvalidAttributeValue", message)
    }

    /// `Invalid value for the parameter X. Reason: …`
    pub(crate) fn attribute_reason(name: &str, reason: &str) -> ApiError {
        let message = format!("Invalid value for the parameter {name}. Reason: {reason}");
        ApiError::sender("InvalidAttributeValue", "InvalidAttributeValue", message)
    }

    pub(crate) fn only_fifo(name: &str) -> ApiError {
        let message = format!("You can specify the {name} only when FifoQueue is set to true.");
        ApiError::sender("InvalidAttributeName", "InvalidAttributeName", message)
    }

    pub(crate) fn two_encryptions() -> ApiError {
        let message = "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.";
        ApiError::sender("InvalidAttributeName", "InvalidAttributeName", message)
    }

    pub(crate) fn queue_deleted_recently() -> ApiError {
        let message =
            "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
        ApiError::sender("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently", message)
    }

    pub(crate) fn purged_recently(name: &str) -> ApiError {
        let message = format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
        ApiError::sender("PurgeQueueInProgress", PURGED, message)
    }

    pub(crate) fn too_large(most: usize) -> ApiError {
        ApiError::sender(TOO_LARGE, TOO_LARGE, format!("A request cannot be longer than {most} bytes."))
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> ApiError {
        ApiError::sender("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", message)
    }

    pub(crate) fn unknown_action(action: &str) -> ApiError {
        let message = format!("The action {action} is not valid for this endpoint.");
        ApiError::sender("InvalidAction", "InvalidAction", message)
    }

    pub(crate) fn no_action() -> ApiError {
        let message = "The request has no X-Amz-Target header, like one of the older query protocol: this endpoint \
            speaks AWS JSON 1.0, as every SDK since 2024 does.";
        ApiError::sender(NO_ACTION, NO_ACTION, message)
    }

    pub(crate) fn no_token() -> ApiError {
        let message = "The security token included in the request is invalid: set the access key id, or bearer token, to \
            the secret sqs-endpoint, which is TOWPATH_SECRET_SQS_ENDPOINT or what `towpath dev` printed when it started.";
        ApiError::sender(NO_TOKEN, NO_TOKEN, message)
    }

    pub(crate) fn malformed(problem: impl std::fmt::Display) -> ApiError {
        ApiError::sender("SerializationException", "MalformedInput", format!("The request cannot be read: {problem}"))
    }

    pub(crate) fn no_resource(parameter: &str) -> ApiError {
        let message = format!("The resource that you specified for the {parameter} parameter doesn't exist.");
        ApiError::sender(NO_RESOURCE, NO_RESOURCE, message)
    }

    pub(crate) fn no_task() -> ApiError {
        ApiError::sender(NO_RESOURCE, NO_RESOURCE, "Task does not exist.")
    }

    pub(crate) fn empty_batch(action: &str) -> ApiError {
        let message = format!("There should be at least one {action}RequestEntry in the request.");
        ApiError::sender("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", message)
    }

    pub(crate) fn too_many(count: usize) -> ApiError {
        let message = format!("Maximum number of entries per request are 10. You have sent {count}.");
        let code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
        ApiError::sender("TooManyEntriesInBatchRequest", code, message)
    }

    pub(crate) fn repeated(id: &str) -> ApiError {
        let code = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
        ApiError::sender("BatchEntryIdsNotDistinct", code, format!("Id {id} repeated."))
    }

    pub(crate) fn entry_id() -> ApiError {
        let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
        ApiError::sender("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", message)
    }

    pub(crate) fn batch_too_long(size: usize, most: usize) -> ApiError {
        let message = format!("Batch requests cannot be longer than {most} bytes. You have sent {size} bytes.");
        ApiError::sender("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", message)
    }

    /// The error for one entry of a batch. SQS words some of them differently than for a single message.
    pub(crate) fn of_entry(wrong: Wrong) -> ApiError {
        match wrong {
            Wrong::TooLong { most } => ApiError::invalid(format!(
                "One or more parameters cannot be validated. Reason: Message must be shorter than {most} bytes."
            )),
            Wrong::NoBody => ApiError::sender("EmptyValue", "EmptyValue", wrong.to_string()),
            wrong => wrong.into(),
        }
    }

    /// The error of a queue for this receipt handle.
    pub(crate) fn of_handle(error: QueueError, handle: &str) -> ApiError {
        match error {
            QueueError::HandleExpired => ApiError::value("ReceiptHandle", handle, "The receipt handle has expired."),
            QueueError::NotInFlight => ApiError::value(
                "ReceiptHandle",
                handle,
                "Message does not exist or is not available for visibility timeout change.",
            ),
            QueueError::HandleInvalid => {
                let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
                ApiError::sender(NO_HANDLE, NO_HANDLE, message)
            }
            other => other.into(),
        }
    }
}

impl From<Wrong> for ApiError {
    fn from(wrong: Wrong) -> ApiError {
        let shape = match wrong.code() {
            "MissingParameter" => "MissingRequiredParameterException",
            "InvalidMessageContents" => "InvalidMessageContents",
            _ => "InvalidParameterValueException",
        };
        ApiError::sender(shape, wrong.code(), wrong.to_string())
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> ApiError {
        match error {
            QueueError::Invalid(message) | QueueError::TooLong { said: message, .. } => ApiError::invalid(message),
            QueueError::NoSuchQueue { .. } => ApiError::no_queue(),
            error => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                let message = format!("{error}{cause}");
                ApiError { shape: "ServiceUnavailable", code: "ServiceUnavailable", message, sender: false }
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        if let StoreError::Queue(error) = error {
            return error.into();
        }
        ApiError { shape: "ServiceUnavailable", code: "ServiceUnavailable", message: error.to_string(), sender: false }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, fault) = match (self.sender, self.code) {
            (true, NO_TOKEN | PURGED) => (StatusCode::FORBIDDEN, "Sender"),
            (true, TOO_LARGE) => (StatusCode::PAYLOAD_TOO_LARGE, "Sender"),
            (true, NO_RESOURCE | NO_HANDLE | NO_ACTION) => (StatusCode::NOT_FOUND, "Sender"),
            (true, _) => (StatusCode::BAD_REQUEST, "Sender"),
            (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "Receiver"),
        };
        let namespace =
            if self.shape.ends_with("Exception") { "com.amazon.coral.service" } else { "com.amazonaws.sqs" };
        let body = json!({ "__type": format!("{namespace}#{}", self.shape), "message": self.message });
        let code = [("x-amzn-query-error", format!("{};{fault}", self.code))];
        (status, code, [(CONTENT_TYPE, AWS_JSON)], Json(body)).into_response()
    }
}
