//! Answers as API Gateway and function URLs take them from a function: one form for both payload versions.

use std::collections::BTreeMap;

use axum::body::to_bytes;
use axum::http::Method;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    /// The answer to a request of this method.
    pub(crate) async fn of(response: Response, method: &Method) -> Result<Answer, axum::Error> {
        let (parts, body) = response.into_parts();
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &parts.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            headers
                .entry(name.to_string())
                .and_modify(|own| {
                    own.push_str(", ");
                    own.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        }
        let body = to_bytes(body, usize::MAX).await?;
        // RFC 9110 section 9.3.2: the answer to HEAD has no content.
        let body = if *method == Method::HEAD { Vec::new() } else { body.to_vec() };
        let (body, is_base64_encoded) = match String::from_utf8(body) {
            Ok(text) => (text, false),
            Err(bytes) => (BASE64.encode(bytes.as_bytes()), true),
        };
        Ok(Answer { status_code: parts.status.as_u16(), headers, body, is_base64_encoded })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_has_status_headers_and_text() {
        let response = (StatusCode::CREATED, [("x-a", "1"), ("content-type", "text/plain")], "hello").into_response();
        let answer = Answer::of(response, &Method::POST).await.unwrap();
        let json = serde_json::to_string(&answer).unwrap();
        let expected = r#"{"statusCode":201,"headers":{"content-type":"text/plain","x-a":"1"},"body":"hello","isBase64Encoded":false}"#;
        assert_eq!(json, expected);
    }

    #[tokio::test]
    async fn what_is_no_text_is_base64_and_a_repeated_header_is_joined() {
        let mut response = vec![0xff_u8, 0].into_response();
        response.headers_mut().append("allow", "GET".parse().unwrap());
        response.headers_mut().append("allow", "PUT".parse().unwrap());
        let answer = Answer::of(response, &Method::GET).await.unwrap();
        assert_eq!((answer.body.as_str(), answer.is_base64_encoded), ("/wA=", true));
        assert_eq!(answer.headers["allow"], "GET, PUT");
    }

    #[tokio::test]
    async fn the_answer_to_head_has_no_body() {
        let answer = Answer::of("hello".into_response(), &Method::HEAD).await.unwrap();
        assert_eq!((answer.status_code, answer.body.as_str()), (200, ""));
    }
}
