//! Building requests.

use serde::Serialize;

use crate::bindings::towpath::plugin::types::{Header, HeaderValue, Payload};
use crate::{Request, Stop, fail, reject};

impl Request {
    /// A request without a body: `method` is `GET`, `POST`, `PUT`, `PATCH` or `DELETE`, `target` the name of a target of
    /// the config, `path` begins with `/`.
    pub fn new(method: &str, target: &str, path: impl Into<String>) -> Request {
        Request {
            target: target.to_owned(),
            method: method.to_owned(),
            path: path.into(),
            headers: Vec::new(),
            body: Payload::Empty,
            idempotency_key: None,
            ext: Vec::new(),
        }
    }

    /// `POST`.
    pub fn post(target: &str, path: impl Into<String>) -> Request {
        Request::new("POST", target, path)
    }

    /// `PUT`.
    pub fn put(target: &str, path: impl Into<String>) -> Request {
        Request::new("PUT", target, path)
    }

    /// `PATCH`.
    pub fn patch(target: &str, path: impl Into<String>) -> Request {
        Request::new("PATCH", target, path)
    }

    /// `DELETE`.
    pub fn delete(target: &str, path: impl Into<String>) -> Request {
        Request::new("DELETE", target, path)
    }

    /// With this as a JSON body, and its `content-type`.
    pub fn json(self, body: &impl Serialize) -> Result<Request, Stop> {
        let bytes = serde_json::to_vec(body).map_err(|error| fail("json", error.to_string()))?;
        Ok(self.body("application/json", bytes))
    }

    /// With this body of this `content-type`.
    pub fn body(self, content_type: &str, bytes: impl Into<Vec<u8>>) -> Request {
        Request { body: Payload::Bytes(bytes.into()), ..self }.header("content-type", content_type)
    }

    /// With the message's body as it was received, and this `content-type`.
    pub fn unchanged(self, content_type: &str) -> Request {
        Request { body: Payload::Unchanged, ..self }.header("content-type", content_type)
    }

    /// With one more header. Those that the host sets itself (`webhook-id`, `idempotency-key`, `host`, the target's
    /// auth …) are refused as `bad-request`.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Request {
        self.headers.push(Header { name: name.to_owned(), value: HeaderValue::Text(value.into()) });
        self
    }

    /// With one more header, whose value is the secret of this name: the host puts it in. The plugin's table of the
    /// config must list the name under `secrets`.
    pub fn secret_header(mut self, name: &str, secret: &str) -> Request {
        self.headers.push(Header { name: name.to_owned(), value: HeaderValue::Secret(secret.to_owned()) });
        self
    }

    /// With this idempotency key instead of the message id and the position of the request. It must not depend on
    /// anything but the message.
    pub fn idempotency_key(self, key: impl Into<String>) -> Request {
        Request { idempotency_key: Some(key.into()), ..self }
    }
}

/// An id from outside as one segment of a path: letters, digits, `-`, `_`, `.` and `~`, not `.` or `..`. Anything else
/// is rejected as `bad-id`, so that no id can name another path.
pub fn segment(id: &str) -> Result<&str, Stop> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    match id {
        "" | "." | ".." => Err(reject("bad-id", "the id is empty, or a path")),
        _ if id.bytes().all(fits) => Ok(id),
        _ => Err(reject("bad-id", "the id has characters that no id has")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_becomes_a_segment_of_a_path() {
        for id in ["7", "wf-2201", "a_b.c~d"] {
            assert_eq!(segment(id).ok(), Some(id));
        }
        for id in ["", ".", "..", "a/b", "a b", "a?b", "a#b", "%2e", "ä", "a\n"] {
            assert!(matches!(segment(id), Err(Stop::Reject(reason)) if reason.code == "bad-id"), "{id:?}");
        }
    }

    #[test]
    fn a_request_is_built_in_any_order() {
        let request = Request::put("sss", "/a").header("x-a", "1").json(&[1, 2]).expect("JSON").idempotency_key("k");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/a"));
        let names: Vec<&str> = request.headers.iter().map(|header| header.name.as_str()).collect();
        assert_eq!(names, ["x-a", "content-type"]);
        assert!(matches!(request.body, Payload::Bytes(bytes) if bytes == b"[1,2]"));
        assert_eq!(request.idempotency_key.as_deref(), Some("k"));
    }
}
