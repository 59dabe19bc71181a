//! What a function's answer means for its batch: the contract of `ReportBatchItemFailures`, including the cases that fail the
//! whole batch. Source: "Implementing partial batch responses" in the developer guide of Lambda.

use std::collections::HashSet;

use serde_json::Value;
use towpath_types::queue::MessageId;

/// How an invocation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// With a response.
    Response(String),
    /// With an error.
    Error(String),
    /// It timed out.
    TimedOut,
    /// The process ended.
    Exited,
}

impl Answer {
    /// The messages of the batch that return; an error if the whole batch does, including messages that were processed.
    pub(crate) fn failed(&self, batch: &[MessageId]) -> Result<HashSet<MessageId>, String> {
        let text = match self {
            Answer::Response(text) => text,
            Answer::Error(text) => return Err(format!("the function answered with an error: {text}")),
            Answer::TimedOut => return Err("the function timed out".to_owned()),
            Answer::Exited => return Err("the function's process ended".to_owned()),
        };
        if text.trim().is_empty() {
            return Ok(HashSet::new());
        }
        let response: Value =
            serde_json::from_str(text).map_err(|error| format!("the response is not JSON: {error}"))?;
        let failures = match &response {
            Value::Null => return Ok(HashSet::new()),
            Value::Array(list) if list.is_empty() => return Ok(HashSet::new()),
            Value::Object(object) if object.is_empty() => return Ok(HashSet::new()),
            Value::Object(object) => object.get("batchItemFailures"),
            _ => None,
        };
        match failures {
            None => Err("the response has no key batchItemFailures".to_owned()),
            Some(Value::Null) => Ok(HashSet::new()),
            Some(Value::Array(failures)) => failures.iter().map(|failure| identifier(failure, batch)).collect(),
            Some(_) => Err("batchItemFailures is not a list".to_owned()),
        }
    }
}

fn identifier(failure: &Value, batch: &[MessageId]) -> Result<MessageId, String> {
    let id = failure.get("itemIdentifier").and_then(Value::as_str).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| format!("{failure} has no itemIdentifier"))?;
    let known = batch.iter().find(|known| known.as_str() == id);
    known.cloned().ok_or_else(|| format!("{id:?} is not a message of the batch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_row_by_row() {
        let batch = [MessageId::from("a"), MessageId::from("b")];
        let response = |text: &str| Answer::Response(text.to_owned());
        for text in ["", "null", "{}", "[]", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
            assert_eq!(response(text).failed(&batch), Ok(HashSet::new()), "{text}: all are deleted");
        }
        let one = response(r#"{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}]}"#);
        assert_eq!(one.failed(&batch), Ok(HashSet::from([MessageId::from("b")])));
        for text in [
            "batchItemFailures",
            r#"{"batchItemFailure":[]}"#,
            r#"{"batchItemFailures":{}}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"id":"a"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"z"}]}"#,
            r#"["a"]"#,
            "7",
        ] {
            assert!(response(text).failed(&batch).is_err(), "{text}: all come back");
        }
        for answer in [Answer::Error("x".to_owned()), Answer::TimedOut, Answer::Exited] {
            assert!(answer.failed(&batch).is_err(), "{answer:?}: all come back");
        }
    }
}
