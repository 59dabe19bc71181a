//! Stores each element of an array in a webhook as a message of its own: all of them, or none.

use std::sync::atomic::Ordering;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::sync::SemaphorePermit;
use towpath_config::route::{OnMissingKey, Route};
use towpath_config::split::{MOST_ITEMS, Split};
use towpath_metrics::{self as metrics, STORY};
use towpath_route::{Division, KeyProblem, Keys, NoItems, Place, keys_of, opened, shown};
use towpath_types::envelope::Webhook;
use towpath_types::message::ITEM_ATTRIBUTE;
use towpath_types::queue::{Attribute, GroupId, NewMessage, Part, Proof};
use towpath_verify::door::{self, Verified};
use tracing::{info, warn};

use crate::budget::SenderAddress;
use crate::ingest::{Ingest, problem};
use crate::later::{again, not_stored};
use crate::refused::Refusal;
use crate::reply;

/// The most bytes that one webhook becomes: each message repeats its headers.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// How many ids an answer lists.
const MOST_IDS: usize = 100;

/// A webhook that passed the proof of its route.
#[derive(Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub(crate) route: &'a Route,
    pub(crate) webhook: &'a Webhook,
    pub(crate) proof: Option<&'a Proof>,
    pub(crate) verified: Option<&'a Verified>,
    pub(crate) from: Option<SenderAddress>,
}

/// What is logged about a message once it is stored.
struct Told {
    group: GroupId,
    webhook_id: String,
    problems: Vec<KeyProblem>,
}

/// The answer to a webhook that is split. An error says why it is not: then it is one event.
pub(crate) async fn store(ingest: &Ingest, split: &Split, arrived: Arrived<'_>) -> Result<Response, KeyProblem> {
    let Arrived { route, webhook, .. } = arrived;
    let too_large = |why: &str| Ok(problem(StatusCode::PAYLOAD_TOO_LARGE, why));
    let (opened, shown) = match (opened(route, webhook), shown(route, webhook)) {
        (Ok(opened), Ok(shown)) => (opened, shown),
        (Err(why), _) | (_, Err(why)) => return too_large(&why.to_string()),
    };
    let division = match Division::of(route, split, &opened, &shown) {
        Ok(division) => division,
        Err(NoItems::NoArray(why)) => {
            metrics::split(&route.path, "whole");
            return Err(why);
        }
        Err(NoItems::TooMany) => return too_large(&format!("a webhook has at most {MOST_ITEMS} events")),
    };
    if division.is_empty() {
        metrics::split(&route.path, "empty");
        info!(event = "webhook-empty", route = route.path, "webhook without events: nothing to store");
        return Ok(answer(ingest, arrived, 0, &[]));
    }
    if arrived.verified.is_some() && ingest.note_keys.is_empty() {
        // The pipeline could not tell its messages from forged ones.
        return Ok(again("this host has no key to vouch for verified events: set dead_letters.note_key"));
    }
    // Without a proof of one event, nothing tells a repeat from another event with the same body: it is stored again.
    let whole = arrived.proof.map_or_else(|| uuid::Uuid::new_v4().to_string(), |proof| proof.id.clone());
    let keys = (0..division.len()).map(|index| division.keys(Place { whole: &whole, index }));
    let keys: Vec<Keys> = keys.collect();
    for problem in keys.iter().flat_map(|keys| &keys.problems) {
        metrics::unreadable_key(&route.path, problem.key, problem.why.code());
    }
    if route.on_missing_key == OnMissingKey::Refuse
        && let Some(lacking) = keys.iter().find(|keys| !keys.problems.is_empty())
    {
        let refusal = Refusal::MissingKey(&lacking.problems);
        let whole = keys_of(route, webhook, &opened);
        return Ok(ingest.refuse(route, webhook, &whole, refusal, arrived.from).await);
    }
    let (parts, told, _room) = match parts(ingest, arrived, &division, keys) {
        Ok(made) => made,
        Err(NotMade::TooLarge) => {
            return too_large(
                "its events, each with the headers of the webhook, are too large together, or one of them is",
            );
        }
        Err(NotMade::NoRoom) => return Ok(again("too many large webhooks are being split: send it again")),
    };
    let items = parts.len();
    match ingest.queue.arrive_all(parts, arrived.proof.cloned()).await {
        Ok(sent) => {
            ingest.accepted.fetch_add(1, Ordering::Relaxed);
            metrics::split(&route.path, "items");
            let route = &route.path;
            let verified_by = arrived.verified.map(|verified| verified.by.as_str());
            for (item, (sent, told)) in sent.iter().zip(told).enumerate() {
                let message_id = &sent.id;
                let Told { group, webhook_id, problems } = told;
                info!(
                    target: STORY,
                    event = "webhook-stored",
                    %message_id,
                    webhook_id,
                    %group,
                    route,
                    sequence = sent.sequence.as_deref(),
                    verified_by,
                    item,
                    items,
                    "stored"
                );
                for problem in problems {
                    warn!(%message_id, %group, route, detail = %problem, "key unreadable, using the fallback");
                }
            }
            let ids: Vec<&str> = sent.iter().map(|sent| sent.id.as_str()).take(MOST_IDS).collect();
            Ok(answer(ingest, arrived, items, &ids))
        }
        Err(failure) => Ok(not_stored(route, &failure)),
    }
}

/// Why a webhook is not made into messages.
enum NotMade {
    TooLarge,
    /// Others that are being split have the memory.
    NoRoom,
}

/// The messages, and the memory that they take of what all webhooks share, until it is dropped.
type Made<'a> = (Vec<Part>, Vec<Told>, Option<SemaphorePermit<'a>>);

fn parts<'a>(
    ingest: &'a Ingest,
    arrived: Arrived<'_>,
    division: &Division<'_>,
    keys: Vec<Keys>,
) -> Result<Made<'a>, NotMade> {
    let mut room: Option<SemaphorePermit<'a>> = None;
    let mut parts = Vec::with_capacity(keys.len());
    let mut told = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for (index, keys) in keys.into_iter().enumerate() {
        let mut attributes = keys.attributes();
        attributes.insert(ITEM_ATTRIBUTE.to_owned(), Attribute::text(index.to_string()));
        let body = division.webhook(index).into();
        let Keys { group, former_group, dedup, problems, .. } = keys;
        let (dedup_id, webhook_id) = dedup.map(|dedup| (dedup.id, dedup.webhook_id)).unzip();
        let mut message = NewMessage { group: group.clone(), dedup_id, body, attributes };
        if let Some(verified) = arrived.verified {
            door::attest(&ingest.note_keys, &mut message, former_group.as_ref(), verified);
        }
        // Checked before anything is stored: a queue may not be able to take back what it stored.
        let size = message.size();
        bytes += size;
        if size > ingest.queue.max_message_bytes() || bytes > MOST_BYTES {
            return Err(NotMade::TooLarge);
        }
        let own = ingest.room.try_acquire_many(u32::try_from(size).unwrap_or(u32::MAX));
        let own = own.map_err(|_| NotMade::NoRoom)?;
        match &mut room {
            Some(room) => room.merge(own),
            None => room = Some(own),
        }
        parts.push(Part { message, former_group });
        told.push(Told { group, webhook_id: webhook_id.unwrap_or_default(), problems });
    }
    Ok((parts, told, room))
}

/// The route's `ack`, or how many events there are, with the ids of the first ones.
fn answer(ingest: &Ingest, arrived: Arrived<'_>, items: usize, ids: &[&str]) -> Response {
    let Arrived { route, webhook, .. } = arrived;
    if let Some(ack) = &route.ack {
        return reply::acknowledged(ingest, route, ack, webhook);
    }
    let body = json!({ "items": items, "ids": ids });
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}
