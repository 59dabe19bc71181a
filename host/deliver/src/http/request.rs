//! Checks a plugin's request and prepares it for sending. Every mistake that a plugin can make is found here.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::auth::{self, AwsCredentials, Sealing, UsedCredentials};
use super::{HttpTarget, path};
use towpath_config::plugin::Grant;
use towpath_config::{Secret, headers};
use towpath_metrics::trace;
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::message::Message;
use towpath_types::verdict::{self, Payload, Request};

/// The longest idempotency key, in characters.
const MAX_KEY: usize = 255;

/// Why a plugin's request is rejected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// The config has no such target.
    #[error("the config has no target {0:?}")]
    UnknownTarget(String),
    /// The plugin's description does not list the target.
    #[error("the target {0:?} is not among the targets in the plugin's description")]
    UndescribedTarget(String),
    #[error("the method {0:?} is not supported: use GET, POST, PUT, PATCH or DELETE")]
    Method(String),
    /// Not a path, or one that leaves the target's URL.
    #[error(
        "the path {0:?} is not allowed: it must be empty or start with a single /, stay below the target's URL and contain no space or control \
        character"
    )]
    Path(String),
    #[error("{0:?} is not a valid header name")]
    HeaderName(String),
    /// A header of the connection, the host, or the target's auth or headers.
    #[error("the header {0:?} is set by the host or the target's table, a plugin must not set it")]
    ForbiddenHeader(String),
    /// A header that could reroute the request behind the target.
    #[error(
        "the header {header:?} can change the path, method, host, client or user of a request behind the target {target:?}: if that \
        is intended, add it to plugin_headers of that target"
    )]
    SteeringHeader { header: String, target: String },
    /// A newline, for example.
    #[error("the value of the header {0:?} contains characters that are invalid in a header")]
    HeaderValue(String),
    /// The config does not give the secret to the plugin.
    #[error("the secret {0:?} is not among the secrets of the plugin's table in the config")]
    Secret(String),
    /// The target does not accept the secret from plugins.
    #[error("the secret {secret:?} is not among the plugin_secrets of the target {target:?}")]
    UnacceptedSecret { secret: String, target: String },
    #[error("an idempotency key must have 1–{MAX_KEY} visible ASCII characters")]
    IdempotencyKey,
}

/// A checked request.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) target: Arc<HttpTarget>,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Headers whose values are secrets, named by the plugin.
    secrets: Vec<(HeaderName, Secret)>,
}

impl Prepared {
    pub(crate) fn new(
        target: Arc<HttpTarget>,
        position: usize,
        request: Request,
        message: &Message,
        grant: &Grant<'_>,
    ) -> Result<Prepared, BadRequest> {
        let Request { method, path, headers, body, idempotency_key, .. } = request;
        let method = parse_method(&method)?;
        let url = path::join(&target.http().url, &path).ok_or(BadRequest::Path(path))?;
        let mut all = HeaderMap::with_capacity(headers.len() + 5);
        let mut secrets = Vec::new();
        for (name, value) in headers {
            match value {
                verdict::HeaderValue::Text(text) => {
                    let header = plugin_header(&target, &name)?;
                    all.append(header, header_value(text.as_bytes(), name)?);
                }
                verdict::HeaderValue::Bytes(bytes) => {
                    let header = plugin_header(&target, &name)?;
                    all.append(header, header_value(&bytes, name)?);
                }
                verdict::HeaderValue::Secret(secret) => {
                    secrets.push((plugin_header(&target, &name)?, plugin_secret(&target, secret, grant)?));
                }
            }
        }
        let inherited = message.webhook.header("content-type").filter(|_| body == Payload::Unchanged);
        if let Some(content_type) = inherited.and_then(|value| HeaderValue::from_bytes(value).ok()) {
            all.entry(header::CONTENT_TYPE).or_insert(content_type);
        }
        let key = idempotency_key.unwrap_or_else(|| format!("{}/{position}", message.id));
        all.insert(headers::IDEMPOTENCY_KEY, key_value(&key)?);
        // Queue ids are always visible ASCII.
        let id =
            HeaderValue::from_str(message.id.as_str()).map_err(|_| BadRequest::HeaderValue("webhook-id".into()))?;
        all.insert("webhook-id", id);
        if let Some(at) = message.replayed_at
            && let Ok(at) = HeaderValue::from_str(&at.to_string())
        {
            all.insert(headers::REPLAYED_AT, at);
        }
        all.extend(target.http().headers.iter().cloned());
        // A plugin that sets `traceparent` replaces all trace headers.
        if !all.contains_key(trace::TRACEPARENT)
            && let Some((parent, state)) =
                trace::told(trace::brought(&message.webhook.headers, message.aws_trace.as_deref()).as_ref())
        {
            let told = [(trace::TRACEPARENT, parent), (trace::TRACESTATE, state)];
            for (name, value) in told.into_iter().filter(|(_, value)| !value.is_empty()) {
                all.extend(HeaderValue::from_str(&value).ok().map(|value| (HeaderName::from_static(name), value)));
            }
        }
        let body = match body {
            Payload::Unchanged => Bytes::from_owner(Shared(Arc::clone(&message.webhook))),
            Payload::Bytes(bytes) => bytes,
            Payload::Empty => Bytes::new(),
        };
        Ok(Prepared { target, method, url, headers: all, body, secrets })
    }

    /// The headers to send now, with authentication. An error says what is missing.
    pub(super) async fn sealed(
        &self,
        now: Timestamp,
        credentials: Option<&AwsCredentials>,
        proof: &mut UsedCredentials,
        limit: Instant,
    ) -> Result<HeaderMap, String> {
        let mut headers = self.headers.clone();
        headers.insert("webhook-timestamp", HeaderValue::from(now.0 / 1000));
        for (name, secret) in &self.secrets {
            headers.append(name, auth::sensitive(&proof.expose(secret))?);
        }
        let Prepared { target, method, url, body, .. } = self;
        let tokens = target.clients.tokens.as_ref();
        let sealing = Sealing { method, url, body, now, tokens, credentials, limit };
        auth::seal(&target.http().auth, &mut headers, &sealing, proof).await?;
        Ok(headers)
    }
}

/// The body of a webhook, without a copy of it.
struct Shared(Arc<Webhook>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0.body
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

/// Parses the name of a header and checks that a plugin may set it.
fn plugin_header(target: &HttpTarget, name: &str) -> Result<HeaderName, BadRequest> {
    let Ok(parsed) = HeaderName::try_from(name) else {
        return Err(BadRequest::HeaderName(name.to_owned()));
    };
    if target.http().sets(&parsed) {
        return Err(BadRequest::ForbiddenHeader(name.to_owned()));
    }
    if headers::steers(&parsed) && !target.http().plugin_headers.contains(&parsed) {
        return Err(BadRequest::SteeringHeader { header: name.to_owned(), target: target.settings.name.clone() });
    }
    Ok(parsed)
}

/// A secret needs both permissions: the plugin's table lists it, and the target accepts it.
fn plugin_secret(target: &HttpTarget, name: String, grant: &Grant<'_>) -> Result<Secret, BadRequest> {
    let Some(secret) = grant.secrets.get(&name) else {
        return Err(BadRequest::Secret(name));
    };
    if !target.http().plugin_secrets.contains(&name) {
        return Err(BadRequest::UnacceptedSecret { secret: name, target: target.settings.name.clone() });
    }
    Ok(secret.clone())
}

fn header_value(bytes: &[u8], name: String) -> Result<HeaderValue, BadRequest> {
    HeaderValue::from_bytes(bytes).map_err(|_| BadRequest::HeaderValue(name))
}

fn key_value(key: &str) -> Result<HeaderValue, BadRequest> {
    let fits = !key.is_empty() && key.len() <= MAX_KEY && key.bytes().all(|byte| byte.is_ascii_graphic());
    HeaderValue::from_str(key).ok().filter(|_| fits).ok_or(BadRequest::IdempotencyKey)
}
