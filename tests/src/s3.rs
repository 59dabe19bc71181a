//! As much of S3 as holds, registries and archives need: objects that are read, listed, and written under conditions. It keeps
//! nothing. Source: the `GetObject`, `PutObject` and `ListObjectsV2` APIs of S3.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::server::Server;

/// Names on a page of a list without a delimiter, so that a few objects have several pages.
const PAGE: usize = 3;

struct Object {
    version: u64,
    bytes: Bytes,
    /// `LastModified`.
    written: String,
}

#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, Object>>,
    /// The paths of objects that were read, in order.
    read: Mutex<Vec<String>>,
    /// What fails, `ListObjectsV2` or `GetObject`, with which code and message.
    failing: Mutex<Option<[&'static str; 3]>>,
}

/// The server. It ends when it is dropped.
pub struct S3Server {
    /// Its URL.
    pub url: String,
    shared: Arc<Shared>,
    server: Server,
}

impl S3Server {
    /// Starts one.
    pub async fn start() -> S3Server {
        let shared = Arc::<Shared>::default();
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&shared))).await;
        S3Server { url: server.url.clone(), shared, server }
    }

    /// A client of it.
    pub fn client(&self) -> aws_sdk_s3::Client {
        client_of(&self.url)
    }

    /// The paths of its objects.
    pub fn paths(&self) -> Vec<String> {
        self.shared.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Puts an object there, written at this time (RFC 3339).
    pub fn put(&self, path: &str, bytes: impl Into<Bytes>, written: &str) {
        let object = Object { version: 1, bytes: bytes.into(), written: written.to_owned() };
        self.shared.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    /// The paths of the objects that were read since the last call, sorted.
    pub fn take_read(&self) -> Vec<String> {
        let mut read = std::mem::take(&mut *self.shared.read.lock().unwrap());
        read.sort();
        read
    }

    /// From now on this API is denied with this message.
    pub fn deny(&self, api: &'static str, message: &'static str) {
        self.fail(api, "AccessDenied", message);
    }

    /// From now on this API fails with this code and message.
    pub fn fail(&self, api: &'static str, code: &'static str, message: &'static str) {
        *self.shared.failing.lock().unwrap() = Some([api, code, message]);
    }

    /// Ends it: from now on connections to its address are refused.
    pub async fn stop(&mut self) {
        self.server.stop().await;
    }
}

/// A client of a server at this URL.
pub fn client_of(url: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("x", "x", None, None, "test"))
        .endpoint_url(url)
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut objects = shared.objects.lock().unwrap();
    let path = uri.path().to_owned();
    let found = objects.get(&path).map(|object| (object.version, object.bytes.clone()));
    let tag = |version: u64| format!("\"{version:x}\"");
    let lists = uri.query().is_some_and(|query| query.contains("list-type=2"));
    let api = if lists { "ListObjectsV2" } else { "GetObject" };
    if let Some([failing, code, message]) = *shared.failing.lock().unwrap()
        && method == Method::GET
        && failing == api
    {
        return error(StatusCode::FORBIDDEN, code, message);
    }
    match method {
        Method::GET if lists => list(&objects, &uri),
        Method::GET => match found {
            Some((version, bytes)) => {
                shared.read.lock().unwrap().push(path);
                ([("etag", tag(version))], bytes).into_response()
            }
            None => error(StatusCode::NOT_FOUND, "NoSuchKey", "NoSuchKey"),
        },
        Method::PUT => {
            let condition = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let current = found.map(|(version, _)| version);
            let fits = condition("if-match").is_none_or(|wanted| current.map(tag) == Some(wanted))
                && (condition("if-none-match").is_none() || current.is_none());
            if !fits {
                return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", "PreconditionFailed");
            }
            let version = current.unwrap_or_default() + 1;
            let bytes = unchunked(&headers, body);
            objects.insert(path, Object { version, bytes, written: "2026-01-01T00:00:00.000Z".to_owned() });
            ([("etag", tag(version))], "").into_response()
        }
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "MethodNotAllowed"),
    }
}

/// With a delimiter one page with the names directly below the prefix; without it a page of everything below it, behind `start-after` or the
/// page before.
fn list(objects: &BTreeMap<String, Object>, uri: &Uri) -> Response {
    let bucket = format!("/{}/", uri.path().trim_matches('/'));
    let parameter = |wanted: &str| {
        let parameters = uri.query().unwrap().split('&').filter_map(|pair| pair.split_once('='));
        let mut values = parameters.filter(|(name, _)| *name == wanted).map(|(_, value)| value.replace("%2F", "/"));
        values.next_back()
    };
    let prefix = parameter("prefix").unwrap_or_default();
    let below = objects.iter().filter_map(|(path, object)| Some((path.strip_prefix(&bucket)?, object)));
    let below = below.filter(|(name, _)| name.starts_with(&prefix));
    let (entries, next) = if parameter("delimiter").is_some() {
        let below = below.map(|(name, _)| name.strip_prefix(&prefix).unwrap());
        let names: std::collections::BTreeSet<&str> =
            below.map(|rest| rest.split_inclusive('/').next().unwrap_or_default()).collect();
        let entry = |name: &&str| {
            if name.ends_with('/') {
                format!("<CommonPrefixes><Prefix>{prefix}{name}</Prefix></CommonPrefixes>")
            } else {
                format!("<Contents><Key>{prefix}{name}</Key></Contents>")
            }
        };
        (names.iter().map(entry).collect::<String>(), None)
    } else {
        let after = parameter("continuation-token").or(parameter("start-after")).unwrap_or_default();
        let most = parameter("max-keys").map_or(PAGE, |most| most.parse().unwrap());
        let mut rest = below.filter(|(name, _)| *name > after.as_str()).peekable();
        let mut page = String::new();
        let mut last = "";
        for (name, Object { bytes, written, .. }) in rest.by_ref().take(most) {
            let size = bytes.len();
            page += &format!(
                "<Contents><Key>{name}</Key><LastModified>{written}</LastModified><Size>{size}</Size></Contents>"
            );
            last = name;
        }
        (page, rest.peek().is_some().then(|| last.to_owned()))
    };
    let next = next.map_or("<IsTruncated>false</IsTruncated>".to_owned(), |token| {
        format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")
    });
    let body = format!("<?xml version=\"1.0\"?><ListBucketResult>{next}{entries}</ListBucketResult>");
    ([("content-type", "application/xml")], body).into_response()
}

/// The SDK sends a body in one signed chunk with its checksum behind it.
fn unchunked(headers: &HeaderMap, body: Bytes) -> Bytes {
    if !headers.get("content-encoding").is_some_and(|encoding| encoding.as_bytes().starts_with(b"aws-chunked")) {
        return body;
    }
    let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
    let size = std::str::from_utf8(&body[..end]).unwrap().split(';').next().unwrap().to_owned();
    let size = usize::from_str_radix(&size, 16).unwrap();
    body.slice(end + 2..end + 2 + size)
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    (status, [("content-type", "application/xml")], body).into_response()
}
