//! What the front door needs, and its error answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::Semaphore;
use towpath_config::route::{Networks, Routes};
use towpath_keys::{Outbound, Remote};
use towpath_runtime::health::Health;
use towpath_types::clock::Clock;
use towpath_types::queue::Queue;
use towpath_verify::note_keys::NoteKeys;

use crate::budget::Budget;
use crate::pace::Pace;
use crate::unlearned::{not_learnable, not_learned};

/// The most that the messages of all webhooks being split take: each webhook becomes up to 16 MiB, which the server does
/// not count among the bodies that it holds.
const MOST_SPLIT: usize = 64 * 1024 * 1024;

/// What the front door needs.
pub struct Ingest {
    pub routes: Routes,
    /// Where messages are stored.
    pub queue: Arc<dyn Queue>,
    /// The longest accepted body, in bytes.
    pub body_limit: usize,
    pub(crate) refused_queue: Option<Arc<dyn Queue>>,
    /// Where public keys are fetched, and handshakes confirmed.
    pub(crate) remote: Arc<dyn Outbound>,
    pub(crate) clock: Clock,
    pub(crate) budget: Budget,
    pub(crate) pace: Pace,
    /// For the messages of webhooks that are being split, in bytes.
    pub(crate) room: Semaphore,
    pub(crate) proxies: Networks,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) health: Arc<Health>,
    pub(crate) note_keys: NoteKeys,
}

impl Ingest {
    pub fn new(routes: Routes, queue: Arc<dyn Queue>, body_limit: usize) -> Ingest {
        for route in routes.iter() {
            match route.learned() {
                Some(learned) if !learned.value().is_learned() => not_learned(route, learned),
                Some(learned) if !learned.is_learnable() => not_learnable(route, learned),
                _ => {}
            }
        }
        Ingest {
            pace: Pace::of(&routes),
            room: Semaphore::new(MOST_SPLIT),
            proxies: Networks::default(),
            routes,
            queue,
            body_limit,
            refused_queue: None,
            remote: Arc::new(Remote::default()),
            clock: Clock::wall(),
            budget: Budget::default(),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            health: Arc::default(),
            note_keys: NoteKeys::default(),
        }
    }

    /// Keeps what is answered 401 or 422 in this queue: at most 64 MiB, of which each route and each sender has a
    /// share.
    #[must_use]
    pub fn keeping_refused(self, queue: Arc<dyn Queue>) -> Ingest {
        Ingest { refused_queue: Some(queue), ..self }
    }

    /// Believes what these proxies say of the sender's address.
    #[must_use]
    pub fn behind(self, proxies: Networks) -> Ingest {
        Ingest { proxies, ..self }
    }

    /// Fetches keys with this, which the pipeline in the same process also does.
    #[must_use]
    pub fn fetching_with(self, remote: impl Outbound + 'static) -> Ingest {
        Ingest { remote: Arc::new(remote), ..self }
    }

    /// Reads the time of arrival from this clock.
    #[must_use]
    pub fn clocked_by(self, clock: Clock) -> Ingest {
        Ingest { clock, ..self }
    }

    /// Vouches by these keys for webhooks that are verified here, so that the pipeline need not verify them again. It must
    /// have the same keys.
    #[must_use]
    pub fn vouching_by(self, note_keys: NoteKeys) -> Ingest {
        Ingest { note_keys, ..self }
    }

    /// Answers `/readyz` from this: the health of the pipeline, where it runs in the same process.
    #[must_use]
    pub fn ready_with(self, health: Arc<Health>) -> Ingest {
        Ingest { health, ..self }
    }

    /// Number of webhooks answered 401 or 422.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Number of webhooks answered 202.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

pub(crate) fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({ "error": detail });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}
