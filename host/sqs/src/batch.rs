//! Common to all batches: at most ten entries with distinct ids, and one result for each.

use std::collections::HashSet;

use serde_json::{Value, json};
use towpath_types::queue::MAX_BATCH;

use crate::error::ApiError;

/// Checks the ids of a batch's entries.
pub(crate) fn check<'a>(action: &str, ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), ApiError> {
    if ids.len() == 0 {
        return Err(ApiError::empty_batch(action));
    }
    if ids.len() > MAX_BATCH {
        return Err(ApiError::too_many(ids.len()));
    }
    let mut seen = HashSet::new();
    for id in ids {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if id.is_empty() || id.len() > 80 || !id.chars().all(fits) {
            return Err(ApiError::entry_id());
        }
        if !seen.insert(id) {
            return Err(ApiError::repeated(id));
        }
    }
    Ok(())
}

/// The response with the result of each entry. As in SQS, an empty list is left out.
pub(crate) fn answer(entries: Vec<(String, Result<Value, ApiError>)>) -> Value {
    let mut successful = Vec::new();
    let mut failed = Vec::new();
    for (id, result) in entries {
        match result {
            Ok(Value::Object(mut entry)) => {
                entry.insert("Id".to_owned(), Value::from(id));
                successful.push(Value::Object(entry));
            }
            Ok(_) => successful.push(json!({ "Id": id })),
            Err(error) => failed.push(json!({
                "Id": id, "SenderFault": error.sender, "Code": error.code, "Message": error.message,
            })),
        }
    }
    let lists = [("Successful", successful), ("Failed", failed)].into_iter().filter(|(_, list)| !list.is_empty());
    Value::Object(lists.map(|(name, list)| (name.to_owned(), Value::Array(list))).collect())
}
