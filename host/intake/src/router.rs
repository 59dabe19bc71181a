//! The routes of the front door.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http_body_util::LengthLimitError;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::json;
use towpath_config::route::{Matched, OnMissingKey, Route};
use towpath_metrics::{self as metrics, STORY};
use towpath_route::{Keys, keys_of, opened};
use towpath_types::envelope::Webhook;
use towpath_types::queue::{Arrival, DedupId, NewMessage, Proof};
use towpath_verify::Unproven;
use towpath_verify::door::{self, Verified};
use tracing::{info, warn};

use crate::budget::SenderAddress;
use crate::handshake;
use crate::ingest::{Ingest, problem};
use crate::later::{again, later, not_stored, unavailable, unready};
use crate::refused::{self, Refusal};
use crate::reply;
use crate::sender::{Peer, sender};
use crate::split::{self, Arrived};

/// The router: `{prefix}/{path}` for webhooks, `GET /healthz`, `GET /readyz`.
///
/// | answer | when |
/// |---|---|
/// | 202 `{"id": …, "webhook_id": …, "group": …, "sequence": …}`, or the route's `ack` | the webhook is stored |
/// | what the route's `answer` says, 400, 401 or 403 | the request is a handshake |
/// | 403 | the sender's address is none of the route's `allow_from` |
/// | 403 | the request brings a secret, and no operator has armed the route for one |
/// | 401 | the webhook fails the verification of its route |
/// | 404 | no route has the path |
/// | 405 | the route does not take the method |
/// | 408 | the server in front timed out reading the body |
/// | 202 `{"items": …, "ids": [ … ]}`, or the route's `ack` | the events of a webhook that is split are stored |
/// | 413 | the body is longer than the limit, or is split into too much |
/// | 422 | a key cannot be read, on a route with `on_missing_key = "refuse"` |
/// | 429 with `Retry-After` | more events than the route's `rate` |
/// | 400 | the body is incomplete, or is not valid HTTP |
/// | 503 with `Retry-After` | it could not be stored, or the keys that verify it could not be fetched: the sender should retry |
/// | 502, 503 | the call that confirms a handshake failed, or the secret of one could not be stored |
pub fn router(ingest: Arc<Ingest>, prefix: &str) -> Router {
    let hooks = format!("{prefix}/{{*path}}");
    let ingest = Door { ingest, prefix: prefix.to_owned() };
    Router::new()
        .route(&hooks, any(accept))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(ingest)
}

/// What the router knows.
#[derive(Clone)]
struct Door {
    ingest: Arc<Ingest>,
    prefix: String,
}

async fn ready(State(Door { ingest, .. }): State<Door>) -> Response {
    match ingest.health.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn accept(State(Door { ingest, prefix }): State<Door>, request: Request) -> Response {
    let path = below(&prefix, request.uri());
    let Some(Matched { route, segments }) = ingest.routes.of_request(&path) else {
        info!(path, "webhook for a path without a route");
        metrics::webhook("", StatusCode::NOT_FOUND.as_u16());
        return problem(StatusCode::NOT_FOUND, "no route has this path");
    };
    let answer = take(&ingest, route, segments, request).await;
    metrics::webhook(&route.path, answer.status().as_u16());
    answer
}

/// The path below the prefix, as it came, without slashes at its ends.
fn below(prefix: &str, uri: &Uri) -> String {
    let path = ascii(uri.path());
    path.strip_prefix(prefix).unwrap_or(&path).trim_matches('/').to_owned()
}

/// A part of a URL in ASCII, as every client should send it.
fn ascii(text: &str) -> String {
    /// Everything but control characters stays.
    const STAYS: &AsciiSet = CONTROLS;
    utf8_percent_encode(text, STAYS).to_string()
}

async fn take(ingest: &Ingest, route: &Route, path: Vec<(String, String)>, request: Request) -> Response {
    if let Some(why) = &route.unready {
        return unready(route, why);
    }
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<Peer>();
    let from = peer.and_then(|Peer(peer)| sender(*peer, &parts.headers, &ingest.proxies));
    let allowed = &route.admission.from;
    // An address that is not known is not one of the list.
    if !allowed.is_empty() && !from.is_some_and(|from| allowed.contain(from)) {
        let from = from.map_or_else(|| "unknown".to_owned(), |from| from.to_string());
        warn!(route = route.path, from, "webhook of an address outside allow_from refused");
        return problem(StatusCode::FORBIDDEN, "this address may not send to the route");
    }
    let from = from.map(SenderAddress::from);
    let body = match read_body(&parts.headers, body, ingest.body_limit).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let webhook = Webhook {
        method: parts.method,
        path,
        query: ascii(parts.uri.query().unwrap_or_default()),
        headers: headers(&parts.headers),
        body,
    };
    if let Some(answer) = handshake::answer(ingest, route, &webhook, from).await {
        return answer;
    }
    let mut proof = None;
    let mut verified = None;
    if let Some(verification) = route.verify.as_ref().filter(|verification| verification.at_ingest) {
        proof = match refused::check(ingest, route, verification, &webhook, from).await {
            Ok(proof) => proof,
            Err(Unproven::Unavailable(why)) => return unavailable(route, &why),
            Err(Unproven::Unverified(why)) => {
                let refusal = Refusal::Unverified(verification, why);
                return ingest.refuse(route, &webhook, &keys_of(route, &webhook, &webhook), refusal, from).await;
            }
        };
        verified = Some(refused::verified(ingest, route, verification, &webhook));
    }
    // Only now: what is refused must not use up the rate of the real sender.
    if let Err(wait) = ingest.pace.take(route) {
        info!(route = route.path, "webhook beyond the rate of its route, sender asked to retry");
        let detail = "more events than the route takes per second: send it again";
        return later(StatusCode::TOO_MANY_REQUESTS, detail, wait);
    }
    // A proof is valid for one route: another one may have the same secret.
    let proof = proof.map(|proof| proof.of_route(&place(route, &webhook)));
    let unsplit = match &route.split {
        Some(split) => {
            let arrived =
                Arrived { route, webhook: &webhook, proof: proof.as_ref(), verified: verified.as_ref(), from };
            match split::store(ingest, split, arrived).await {
                Ok(answer) => return answer,
                Err(problem) => Some(problem),
            }
        }
        None => None,
    };
    // Only now: what fails the proof is not unpacked.
    let mut keys = match opened(route, &webhook) {
        Ok(seen) => keys_of(route, &webhook, &seen),
        Err(why) => return problem(StatusCode::PAYLOAD_TOO_LARGE, &why.to_string()),
    };
    keys.problems.splice(0..0, unsplit);
    keys.problems.iter().for_each(|problem| metrics::unreadable_key(&route.path, problem.key, problem.why.code()));
    if route.on_missing_key == OnMissingKey::Refuse && !keys.problems.is_empty() {
        return ingest.refuse(route, &webhook, &keys, Refusal::MissingKey(&keys.problems), from).await;
    }
    store(ingest, route, webhook, keys, proof, verified).await
}

/// Where a proof counts: the route, and what its keys may read besides what is signed. The same proof in another place is
/// another event.
fn place(route: &Route, webhook: &Webhook) -> String {
    let segments = webhook.path.iter().map(|(_, segment)| segment.as_str());
    let query = route.reads_query().then_some(webhook.query.as_str());
    let method = route.reads_method().then_some(webhook.method.as_str());
    let parts = std::iter::once(route.path.as_str()).chain(segments).chain(query).chain(method);
    parts.collect::<Vec<_>>().join("\0")
}

async fn store(
    ingest: &Ingest,
    route: &Route,
    webhook: Webhook,
    keys: Keys,
    proof: Option<Proof>,
    verified: Option<Verified>,
) -> Response {
    let webhook = Arc::new(webhook);
    let attributes = keys.attributes();
    let Keys { group, former_group, dedup, proof_id, problems } = keys;
    let (dedup_id, webhook_id) = dedup.map(|dedup| (dedup.id, dedup.webhook_id)).unzip();
    // Without a deduplication key, webhooks are the same event if everything that was signed, including the time, is the
    // same.
    let dedup_id = dedup_id
        .or_else(|| proof_id.map(DedupId::from))
        .or_else(|| proof.as_ref().map(|proof| proof.id.as_str().into()));
    let is_unique = dedup_id.is_none();
    let mut message = NewMessage {
        group: group.clone(),
        dedup_id: dedup_id.or_else(|| Some(uuid::Uuid::new_v4().to_string().into())),
        body: Arc::clone(&webhook).into(),
        attributes,
    };
    if let Some(verified) = &verified {
        door::attest(&ingest.note_keys, &mut message, former_group.as_ref(), verified);
    }
    // The answer is made before the webhook is stored, so that nothing can fail afterwards. A disk may stall: while the
    // send waits for it, only one copy of the webhook is in memory.
    let ack = route.ack.as_ref().map(|ack| reply::acknowledged(ingest, route, ack, &webhook));
    drop(webhook);
    match ingest.queue.arrive(message, Arrival { proof, former_group, is_unique }).await {
        Ok(sent) => {
            ingest.accepted.fetch_add(1, Ordering::Relaxed);
            let message_id = &sent.id;
            let route = &route.path;
            let sequence = sent.sequence.as_deref();
            let verified_by = verified.as_ref().map(|verified| verified.by.as_str());
            info!(
                target: STORY,
                event = "webhook-stored",
                %message_id,
                webhook_id,
                %group,
                route,
                sequence,
                verified_by,
                "stored"
            );
            for problem in problems {
                warn!(%message_id, %group, route, detail = %problem, "key unreadable, using the fallback");
            }
            if let Some(ack) = ack {
                return ack;
            }
            let webhook_id = webhook_id.as_deref().unwrap_or(sent.id.as_str());
            let body = json!({ "id": sent.id, "webhook_id": webhook_id, "group": group, "sequence": sent.sequence });
            (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
        }
        Err(failure) => not_stored(route, &failure),
    }
}

async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Response> {
    let too_large = || problem(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is longer than {limit} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match to_bytes(body, limit).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) if causes(&error).any(|cause| cause.is::<LengthLimitError>()) => Err(too_large()),
        Err(error) => {
            let cause = causes(&error).find_map(|cause| cause.downcast_ref::<io::Error>());
            Err(match cause {
                // The server stopped waiting for the body.
                Some(cause) if cause.kind() == ErrorKind::TimedOut => {
                    problem(StatusCode::REQUEST_TIMEOUT, &cause.to_string())
                }
                Some(cause) if cause.kind() == ErrorKind::ResourceBusy => again(&cause.to_string()),
                _ => problem(StatusCode::BAD_REQUEST, "the body is incomplete"),
            })
        }
    }
}

/// The causes of an error, the nearest first.
fn causes(error: &axum::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// All headers in order, names in lower case, values byte for byte.
fn headers(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}
