//! JSON requests and responses.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;

/// Attributes of a queue as a client sends them.
pub(crate) type Texts = BTreeMap<String, String>;

/// A request, with the headers that actions need.
pub(crate) struct Request {
    /// The `Host` header: the address that the client uses for this endpoint.
    pub(crate) host: String,
    /// The `X-Amzn-Trace-Id` header.
    pub(crate) trace: Option<String>,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_value(self.body.clone()).map_err(ApiError::malformed)
    }
}

/// A response as JSON.
pub(crate) fn answer(value: impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value).map_err(ApiError::malformed)
}

/// An empty response.
pub(crate) fn nothing() -> Result<Value, ApiError> {
    Ok(Value::Object(Default::default()))
}
