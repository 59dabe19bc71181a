//! Requests as API Gateway and function URLs pass them to a function.
//!
//! An HTTP API (payload versions 2.0 and 1.0), a REST API (1.0) and a function URL (2.0) differ in what they change on the
//! way: docs/deploy-on-aws.md has the table. What can be undone is undone here.
//! Sources: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>,
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html>.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use towpath_intake::Peer;

/// What cannot stand in the query of a URL: nobody can have sent it like this.
const ODD: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The same for a path, in which a question mark would begin the query.
const ODD_IN_PATH: &AsciiSet = &ODD.add(b'?').add(b'`');

/// What senders encode in a path that was decoded on the way, and the percent sign, which now stands for itself.
const DECODED: &AsciiSet = &ODD_IN_PATH.add(b'%').add(b'\\').add(b'^').add(b'{').add(b'|').add(b'}');

/// A name or value of a query.
const PARAMETER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

type Single = BTreeMap<String, String>;
type Multiple = BTreeMap<String, Vec<String>>;

/// The fields that are read. A REST API writes null where there is nothing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// A REST API has none.
    version: Option<String>,
    request_context: Context,
    headers: Option<Single>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    // Version 2.0.
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    cookies: Option<Vec<String>>,
    // Version 1.0.
    path: Option<String>,
    http_method: Option<String>,
    multi_value_headers: Option<Multiple>,
    query_string_parameters: Option<Single>,
    multi_value_query_string_parameters: Option<Multiple>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    stage: Option<String>,
    domain_name: Option<String>,
    http: Option<Http>,
    identity: Option<Identity>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    source_ip: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: Option<String>,
}

/// Why an event is no valid request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("the method {0:?} is not valid")]
    Method(String),
    #[error("the path or the query is not valid")]
    Url,
    #[error("the header {0:?} is not valid")]
    Header(String),
    #[error("the body is not base64")]
    Body,
}

impl Event {
    /// The request, as the sender sent it to a path below this prefix.
    pub(crate) fn request(self, prefix: &str) -> Result<Request, Invalid> {
        let method = self.method()?;
        let url = self.url(prefix)?;
        let headers = self.headers()?;
        let from = self.source();
        let body = match (self.body, self.is_base64_encoded) {
            (None, _) => Vec::new(),
            (Some(body), Some(true)) => BASE64.decode(body).map_err(|_| Invalid::Body)?,
            (Some(body), _) => body.into_bytes(),
        };
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = url;
        *request.headers_mut() = headers;
        if let Some(from) = from {
            request.extensions_mut().insert(from);
        }
        Ok(request)
    }

    fn method(&self) -> Result<Method, Invalid> {
        let http = self.request_context.http.as_ref().map(|http| &http.method);
        let method = http.or(self.http_method.as_ref()).map(String::as_str).unwrap_or_default();
        method.parse().map_err(|_| Invalid::Method(method.to_owned()))
    }

    /// Path and query.
    fn url(&self, prefix: &str) -> Result<Uri, Invalid> {
        let path = self.raw_path.as_ref().or(self.path.as_ref()).map(String::as_str).unwrap_or_default();
        let path = without_stage(path, self.request_context.stage.as_deref(), prefix);
        let set = if self.is_decoded() { DECODED } else { ODD_IN_PATH };
        let path = utf8_percent_encode(path, set);
        let query = self.query();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{path}{mark}{query}").parse().map_err(|_| Invalid::Url)
    }

    /// Whether the path was decoded on the way: HTTP APIs do it, in both versions; REST APIs and function URLs do not.
    fn is_decoded(&self) -> bool {
        let domain = self.request_context.domain_name.as_deref().unwrap_or_default();
        self.version.is_some() && !domain.contains(".lambda-url.")
    }

    /// The query: as it came, or of its decoded parameters, whose order version 1.0 does not keep.
    fn query(&self) -> String {
        if let Some(raw) = &self.raw_query_string {
            return utf8_percent_encode(raw, ODD).to_string();
        }
        let pair = |name: &str, value: &str| {
            format!("{}={}", utf8_percent_encode(name, PARAMETER), utf8_percent_encode(value, PARAMETER))
        };
        let pairs: Vec<String> = match (&self.multi_value_query_string_parameters, &self.query_string_parameters) {
            (Some(parameters), _) => {
                let each = parameters.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
                each.map(|(name, value)| pair(name, value)).collect()
            }
            (None, Some(parameters)) => parameters.iter().map(|(name, value)| pair(name, value)).collect(),
            (None, None) => Vec::new(),
        };
        pairs.join("&")
    }

    fn headers(&self) -> Result<HeaderMap, Invalid> {
        let mut headers = HeaderMap::new();
        let mut add = |name: &str, value: &str| {
            let invalid = || Invalid::Header(name.to_owned());
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
            headers.append(parsed, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?);
            Ok(())
        };
        match (&self.multi_value_headers, &self.headers) {
            (Some(multiple), _) => {
                for (name, values) in multiple {
                    values.iter().try_for_each(|value| add(name, value))?;
                }
            }
            (None, single) => single.iter().flatten().try_for_each(|(name, value)| add(name, value))?,
        }
        if let Some(cookies) = self.cookies.as_ref().filter(|cookies| !cookies.is_empty()) {
            // RFC 6265 section 5.4: a client sends one header, with semicolons between.
            add(header::COOKIE.as_str(), &cookies.join("; "))?;
        }
        Ok(headers)
    }

    /// The sender's address, as seen by API Gateway.
    fn source(&self) -> Option<Peer> {
        let Context { http, identity, .. } = &self.request_context;
        let http = http.as_ref().and_then(|http| http.source_ip.as_ref());
        let address = http.or(identity.as_ref().and_then(|identity| identity.source_ip.as_ref()));
        address?.parse::<IpAddr>().ok().map(Peer)
    }
}

/// A path without the name of its stage, which an HTTP API puts in front unless the stage is `$default`. Behind a domain of
/// one's own it may be missing. A path that is below the prefix only as it stands has none.
fn without_stage<'a>(path: &'a str, stage: Option<&str>, prefix: &str) -> &'a str {
    let is_below = |path: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    let stage = stage.filter(|stage| !stage.is_empty() && *stage != "$default");
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    match rest.filter(|rest| rest.starts_with('/')) {
        Some(rest) if is_below(rest) || !is_below(path) => rest,
        _ => path,
    }
}

#[cfg(test)]
mod tests;
