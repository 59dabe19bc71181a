//! Requests and answers as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;

/// Attributes of a queue as a client sends them.
pub(crate) type Texts = BTreeMap<String, String>;

/// A request with what answers need to know of it.
pub(crate) struct Request {
    /// What the client calls this endpoint.
    pub(crate) host: String,
    /// What the header `X-Amzn-Trace-Id` says.
    pub(crate) trace: Option<String>,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_value(self.body.clone()).map_err(ApiError::malformed)
    }
}

/// An answer as JSON.
pub(crate) fn answer(value: impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value).map_err(ApiError::malformed)
}

/// An answer without content.
pub(crate) fn nothing() -> Result<Value, ApiError> {
    Ok(Value::Object(Default::default()))
}
