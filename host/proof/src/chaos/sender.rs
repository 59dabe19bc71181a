//! Senders. Each has its own groups, and sends the next event of a group after the previous one was answered 202.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::settings::Settings;
use crate::event::{Event, Kind};
use crate::journal::Journal;

/// The number of concurrent senders.
const SENDERS: u32 = 24;

/// How long a sender waits for an answer, and before it retries.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(250);

/// How many groups get an event after the faults.
const CALM: u32 = 200;

/// All senders.
pub(super) struct Sender {
    shared: Arc<Shared>,
    seed: u64,
    rate: u32,
}

struct Shared {
    journal: Arc<Journal>,
    client: Client,
    ingest: Vec<SocketAddr>,
    /// The next number of each group.
    numbers: Vec<AtomicU32>,
}

#[derive(Deserialize)]
struct IngestAnswer {
    id: String,
    webhook_id: String,
}

impl Sender {
    pub(super) fn new(journal: Arc<Journal>, ingest: Vec<SocketAddr>, settings: &Settings) -> Sender {
        let numbers = (0..settings.groups).map(|_| AtomicU32::new(0)).collect();
        let shared = Shared { journal, client: Client::new(), ingest, numbers };
        Sender { shared: Arc::new(shared), seed: settings.seed, rate: settings.rate.max(1) }
    }

    /// Sends until `end`. A sender finishes its current event before it ends.
    pub(super) fn start(&self, end: Instant) -> JoinSet<()> {
        let groups = u32::try_from(self.shared.numbers.len()).unwrap_or(u32::MAX);
        let pace = Duration::from_secs(1) * SENDERS / self.rate;
        let send = |sender| {
            let (shared, mut random) =
                (Arc::clone(&self.shared), fastrand::Rng::with_seed(self.seed ^ u64::from(sender)));
            async move {
                let own: Vec<u32> = (0..groups).filter(|group| group % SENDERS == sender).collect();
                let mut next = Instant::now();
                // After a time without answers, senders catch up.
                while Instant::now() < end {
                    // A few groups get most events, like large customers.
                    let few = own.get(..own.len().div_ceil(20)).unwrap_or_default();
                    let among = if random.bool() { few } else { &own };
                    let group = random.choice(among).copied();
                    let Some(group) = group else { break };
                    shared.send(group, kind(&mut random)).await;
                    next += pace;
                    sleep_until(next.min(end)).await;
                }
            }
        };
        (0..SENDERS).map(send).collect()
    }

    /// Sends one event to each of the first groups.
    pub(super) async fn calm(&self) {
        let groups = u32::try_from(self.shared.numbers.len()).unwrap_or(u32::MAX);
        for group in 0..groups.min(CALM) {
            self.shared.send(group, Kind::Deliver).await;
        }
    }
}

impl Shared {
    /// Sends the next event of a group until it is answered 202.
    async fn send(&self, group: u32, kind: Kind) {
        let Some(number) = self.numbers.get(group as usize) else { return };
        let event = Event { group, number: number.fetch_add(1, Ordering::Relaxed), kind };
        let mut failed = 0_u32;
        loop {
            let at = (group + event.number + failed) as usize % self.ingest.len().max(1);
            let Some(ingest) = self.ingest.get(at) else { return };
            let post = self.client.post(format!("http://{ingest}/hooks/events")).timeout(PATIENCE);
            let answered = async {
                let answer = post.body(event.body()).send().await.ok()?;
                let stored = answer.status() == 202;
                let answer: IngestAnswer = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
                stored.then_some(answer)
            };
            if let Some(IngestAnswer { id, webhook_id }) = answered.await {
                return self.journal.accepted(event, id, webhook_id, failed);
            }
            failed += 1;
            sleep(PAUSE).await;
        }
    }
}

/// The kind of the next event: most are to be delivered.
fn kind(random: &mut fastrand::Rng) -> Kind {
    match random.u32(..100) {
        0..=91 => Kind::Deliver,
        92..=93 => Kind::Refuse,
        94..=96 => Kind::Skip,
        97..=98 => Kind::Reject,
        _ => Kind::Trap,
    }
}
