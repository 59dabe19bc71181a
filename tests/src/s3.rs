//! As much of S3 as holds and registries need: objects that are read, listed, and written under conditions. It keeps
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

type Objects = Arc<Mutex<BTreeMap<String, (u64, Bytes)>>>;

/// The server. It ends when it is dropped.
pub struct S3Server {
    /// Its URL.
    pub url: String,
    objects: Objects,
    server: Server,
}

impl S3Server {
    /// Starts one.
    pub async fn start() -> S3Server {
        let objects = Objects::default();
        let server = Server::start(Router::new().fallback(answer).with_state(Arc::clone(&objects))).await;
        S3Server { url: server.url.clone(), objects, server }
    }

    /// A client of it.
    pub fn client(&self) -> aws_sdk_s3::Client {
        client_of(&self.url)
    }

    /// The paths of its objects.
    pub fn paths(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
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

async fn answer(State(objects): State<Objects>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut objects = objects.lock().unwrap();
    let path = uri.path().to_owned();
    let found = objects.get(&path).map(|(version, bytes)| (*version, bytes.clone()));
    let tag = |version: u64| format!("\"{version:x}\"");
    match method {
        Method::GET if uri.query().is_some_and(|query| query.contains("list-type=2")) => list(&objects, &uri),
        Method::GET => match found {
            Some((version, bytes)) => ([("etag", tag(version))], bytes).into_response(),
            None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
        },
        Method::PUT => {
            let condition = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let current = found.map(|(version, _)| version);
            let fits = condition("if-match").is_none_or(|wanted| current.map(tag) == Some(wanted))
                && (condition("if-none-match").is_none() || current.is_none());
            if !fits {
                return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
            }
            let version = current.unwrap_or_default() + 1;
            objects.insert(path, (version, unchunked(&headers, body)));
            ([("etag", tag(version))], "").into_response()
        }
        _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    }
}

/// One page with the names directly below the prefix.
fn list(objects: &BTreeMap<String, (u64, Bytes)>, uri: &Uri) -> Response {
    let bucket = format!("/{}/", uri.path().trim_matches('/'));
    let parameters = uri.query().unwrap().split('&').filter_map(|pair| pair.split_once('='));
    let mut prefix = parameters.filter(|(name, _)| *name == "prefix").map(|(_, value)| value.replace("%2F", "/"));
    let prefix = prefix.next_back().unwrap();
    let below = objects.keys().filter_map(|path| path.strip_prefix(&bucket)?.strip_prefix(&prefix));
    let names: std::collections::BTreeSet<&str> =
        below.map(|rest| rest.split_inclusive('/').next().unwrap_or_default()).collect();
    let entry = |name: &&str| {
        if name.ends_with('/') {
            format!("<CommonPrefixes><Prefix>{prefix}{name}</Prefix></CommonPrefixes>")
        } else {
            format!("<Contents><Key>{prefix}{name}</Key></Contents>")
        }
    };
    let entries: String = names.iter().map(entry).collect();
    let body = format!(
        "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    );
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

fn error(status: StatusCode, code: &str) -> Response {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
    (status, [("content-type", "application/xml")], body).into_response()
}
