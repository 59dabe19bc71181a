//! A target that sees what the promise is about: which requests of a group are under way at the same time,
//! and what succeeded first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use tokio::task::JoinSet;

use super::Plan;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Answers given, by message.
    pub(super) answers: BTreeMap<usize, usize>,
    /// Messages in the order of their first success.
    pub(super) succeeded: Vec<usize>,
    /// The messages whose requests are under way, by group.
    under_way: BTreeMap<u8, Vec<usize>>,
    /// Groups that were in two hands, and with which messages.
    pub(super) shared: Vec<(u8, Vec<usize>)>,
}

#[derive(Clone)]
struct Shared {
    plans: Arc<Vec<Plan>>,
    seen: Arc<Mutex<Seen>>,
}

/// The target. It ends when it is dropped.
pub(super) struct Witness {
    pub(super) url: String,
    shared: Shared,
    _server: JoinSet<()>,
}

impl Witness {
    pub(super) async fn start(plans: &[Plan]) -> Witness {
        let shared = Shared { plans: Arc::new(plans.to_vec()), seen: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Witness { url, shared, _server: server }
    }

    pub(super) fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap()
    }
}

/// A request under way: from when it came until it was answered, or its client went away.
struct UnderWay {
    shared: Shared,
    number: usize,
}

impl UnderWay {
    fn begin(shared: &Shared, number: usize) -> UnderWay {
        let group = shared.plans[number].group;
        let mut seen = shared.seen.lock().unwrap();
        let others = seen.under_way.entry(group).or_default();
        others.push(number);
        if others.len() > 1 {
            let others = others.clone();
            seen.shared.push((group, others));
        }
        UnderWay { shared: shared.clone(), number }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let group = self.shared.plans[self.number].group;
        let mut seen = self.shared.seen.lock().unwrap();
        let others = seen.under_way.entry(group).or_default();
        let place = others.iter().position(|number| *number == self.number).unwrap();
        others.remove(place);
    }
}

async fn answer(State(shared): State<Shared>, body: Bytes) -> StatusCode {
    let number: usize = std::str::from_utf8(&body).unwrap().parse().unwrap();
    let _under_way = UnderWay::begin(&shared, number);
    let plan = &shared.plans[number];
    tokio::time::sleep(Duration::from_millis(plan.latency)).await;
    let mut seen = shared.seen.lock().unwrap();
    let answered = seen.answers.entry(number).or_default();
    *answered += 1;
    if *answered <= plan.failures {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if plan.refused {
        return StatusCode::NOT_FOUND;
    }
    if !seen.succeeded.contains(&number) {
        seen.succeeded.push(number);
    }
    StatusCode::OK
}
