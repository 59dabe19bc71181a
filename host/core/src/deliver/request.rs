//! From a plugin's request to one that can be sent: everything that can be wrong with it is found here.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::Target;
use crate::config::Secret;
use crate::message::Message;
use crate::verdict::{self, Payload, Request};

/// Headers that belong to the connection or to the host. Source of the first group: RFC 9110 section
/// 7.6.1 and RFC 9112.
const FORBIDDEN: [&str; 15] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
    "content-length",
    "webhook-timestamp",
    "webhook-id",
    "user-agent",
];

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The longest idempotency key.
const MAX_KEY: usize = 255;

/// What a plugin may use.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The targets it may name: those that it describes.
    pub targets: &'a [String],
    /// The secrets it may put into headers, by name.
    pub secrets: &'a BTreeMap<String, Secret>,
}

/// What is wrong with a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The config has no such target.
    #[error("there is no target {0:?} in the config")]
    UnknownTarget(String),
    /// The plugin does not list the target.
    #[error("the target {0:?} is not among those that the plugin describes")]
    UndescribedTarget(String),
    /// No method that the host makes.
    #[error("the method {0:?} is not one of GET, POST, PUT, PATCH and DELETE")]
    Method(String),
    /// No path, or one that leaves its base.
    #[error(
        "the path {0:?} must start with a single /, stay below the target's URL and hold no space or control character"
    )]
    Path(String),
    /// No header name.
    #[error("{0:?} is no header name")]
    HeaderName(String),
    /// A header of the connection, the host or the target's auth.
    #[error("the header {0:?} is set by the host and not by a plugin")]
    ForbiddenHeader(String),
    /// A newline, for example.
    #[error("the value of the header {0:?} has characters that no header can have")]
    HeaderValue(String),
    /// The plugin may not use the secret.
    #[error("the secret {0:?} is not among the secrets of the plugin's table in the config")]
    Secret(String),
    /// No key.
    #[error("an idempotency key has 1–{MAX_KEY} visible characters")]
    IdempotencyKey,
    /// The target's own secret cannot be sent.
    #[error("the secret of the target {0:?} has characters that no header can have")]
    Auth(String),
}

/// A request that was checked.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) target: Arc<Target>,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    used: Vec<Used>,
}

/// A secret in a header, as it was when the request was prepared.
#[derive(Debug)]
struct Used {
    header: HeaderName,
    scheme: &'static str,
    secret: Secret,
    seen: Arc<str>,
}

impl Used {
    fn new(header: HeaderName, scheme: &'static str, secret: &Secret) -> Used {
        Used { header, scheme, secret: secret.clone(), seen: secret.expose() }
    }

    /// The header's value, marked as sensitive; `None` if the secret has characters that no header can have.
    fn value(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{}{}", self.scheme, self.seen)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Prepared {
    pub(super) fn new(
        targets: &BTreeMap<String, Arc<Target>>,
        position: usize,
        request: Request,
        message: &Message,
        grant: &Grant<'_>,
    ) -> Result<Prepared, BadRequest> {
        let Request { target, method, path, headers, body, idempotency_key } = request;
        if !grant.targets.contains(&target) {
            return Err(BadRequest::UndescribedTarget(target));
        }
        let target = Arc::clone(targets.get(&target).ok_or(BadRequest::UnknownTarget(target))?);
        let method = parse_method(&method)?;
        let url = join(&target.url, &path).ok_or(BadRequest::Path(path))?;
        let mut all = HeaderMap::with_capacity(headers.len() + 5);
        let mut used = Vec::new();
        for (name, value) in headers {
            let (name, value) = plugin_header(&target, name, value, grant, &mut used)?;
            all.append(name, value);
        }
        let inherited = message.header("content-type").filter(|_| body == Payload::Unchanged);
        if let Some(content_type) = inherited.and_then(|value| HeaderValue::from_bytes(value).ok()) {
            all.entry(header::CONTENT_TYPE).or_insert(content_type);
        }
        let key = idempotency_key.unwrap_or_else(|| format!("{}/{position}", message.id));
        all.insert(IDEMPOTENCY_KEY, key_value(&key)?);
        // Queue ids are always visible ASCII.
        let id =
            HeaderValue::from_str(message.id.as_str()).map_err(|_| BadRequest::HeaderValue("webhook-id".into()))?;
        all.insert("webhook-id", id);
        if let Some(auth) = &target.auth {
            let secret = Used::new(auth.header_name().clone(), auth.scheme(), auth.secret());
            all.insert(auth.header_name(), secret.value().ok_or_else(|| BadRequest::Auth(target.name.clone()))?);
            used.push(secret);
        }
        let body = match body {
            Payload::Unchanged => Bytes::copy_from_slice(&message.body),
            Payload::Bytes(bytes) => bytes,
            Payload::Empty => Bytes::new(),
        };
        Ok(Prepared { target, method, url, headers: all, body, used })
    }

    /// After a 401: puts in the secrets that were rotated since the request was prepared. Whether there are any.
    pub(super) async fn renew(&mut self) -> bool {
        let mut renewed = false;
        for used in &mut self.used {
            if !used.secret.is_renewed(&used.seen).await {
                continue;
            }
            let old = used.value();
            used.seen = used.secret.expose();
            let Some(new) = used.value() else { continue };
            for (_, value) in self.headers.iter_mut().filter(|(name, _)| **name == used.header) {
                if Some(&*value) == old.as_ref() {
                    *value = new.clone();
                    renewed = true;
                }
            }
        }
        renewed
    }
}

fn parse_method(method: &str) -> Result<Method, BadRequest> {
    match method {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(BadRequest::Method(method.to_owned())),
    }
}

/// Appends path and query to a base URL; `None` if the result would not lie below the base.
fn join(base: &Url, path: &str) -> Option<Url> {
    let (only_path, _) = path.split_once('?').unwrap_or((path, ""));
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#');
    let dotted = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    let below = path.starts_with('/') && !path.starts_with("//") && !only_path.split('/').any(dotted);
    if !plain || !below {
        return None;
    }
    let joined: Url = format!("{}{path}", base.as_str().trim_end_matches('/')).parse().ok()?;
    let authority = |url: &Url| (url.scheme() == base.scheme(), url.port() == base.port(), url.host() == base.host());
    (authority(&joined) == (true, true, true)).then_some(joined)
}

fn plugin_header(
    target: &Target,
    name: String,
    value: verdict::HeaderValue,
    grant: &Grant<'_>,
    used: &mut Vec<Used>,
) -> Result<(HeaderName, HeaderValue), BadRequest> {
    let Ok(parsed) = HeaderName::try_from(name.as_str()) else {
        return Err(BadRequest::HeaderName(name));
    };
    let auth = target.auth.as_ref().is_some_and(|auth| *auth.header_name() == parsed);
    if auth || parsed.as_str() == IDEMPOTENCY_KEY || FORBIDDEN.contains(&parsed.as_str()) {
        return Err(BadRequest::ForbiddenHeader(name));
    }
    let value = match value {
        verdict::HeaderValue::Text(text) => HeaderValue::from_bytes(text.as_bytes()).ok(),
        verdict::HeaderValue::Secret(secret) => {
            let secret = grant.secrets.get(&secret).ok_or(BadRequest::Secret(secret))?;
            let secret = Used::new(parsed.clone(), "", secret);
            let value = secret.value();
            used.push(secret);
            value
        }
    };
    Ok((parsed, value.ok_or(BadRequest::HeaderValue(name))?))
}

fn key_value(key: &str) -> Result<HeaderValue, BadRequest> {
    let fits = !key.is_empty() && key.len() <= MAX_KEY && key.bytes().all(|byte| byte.is_ascii_graphic());
    HeaderValue::from_str(key).ok().filter(|_| fits).ok_or(BadRequest::IdempotencyKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_its_base() {
        let cases = [
            ("https://sss.test/api", "/t?x=1&y=%20", Some("https://sss.test/api/t?x=1&y=%20")),
            ("https://sss.test/api/", "/t", Some("https://sss.test/api/t")),
            ("https://sss.test", "/", Some("https://sss.test/")),
            ("https://sss.test", "/a?to=../b", Some("https://sss.test/a?to=../b")),
            ("https://sss.test", "t", None),
            ("https://sss.test", "", None),
            ("https://sss.test", "//evil.test/", None),
            ("https://sss.test/api", "/../admin", None),
            ("https://sss.test/api", "/%2E%2e/admin", None),
            ("https://sss.test/api", "/a\\..\\b", None),
            ("https://sss.test/api", "/a b", None),
            ("https://sss.test/api", "/a\r\nx: y", None),
            ("https://sss.test/api", "/a#b", None),
            ("https://sss.test", "@evil.test/", None),
        ];
        for (base, path, expected) in cases {
            let joined = join(&base.parse().expect(base), path);
            assert_eq!(joined.as_ref().map(Url::as_str), expected, "{base} + {path:?}");
        }
    }
}
