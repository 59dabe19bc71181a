//! Sends alerts: looks at what the host does every few seconds, and delivers notices as events are delivered, with the authentication, the
//! gates and the network guard of their target. It holds up nothing: events do not wait for it, and a target that does not answer costs a notice.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{sleep, timeout};
use towpath_alerts::{Alerts, Lasting, Notice, Observed};
use towpath_config::Config;
use towpath_config::plugin::Grant;
use towpath_deliver::places::Place;
use towpath_engine::pipeline::{Pipeline, Stuck};
use towpath_runtime::lease::Lease;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::holds::{Holds, HoldsError};
use towpath_types::message::Message;
use towpath_types::outcome::Outcome;
use towpath_types::verdict::{HeaderValue, Payload, Request};
use tracing::warn;

use crate::Supervisor;

/// How often to look.
const PERIOD: Duration = Duration::from_secs(15);

/// How long a notice may take with all that its target asks for: a token, a connection, the answer.
const LEASE: Duration = Duration::from_secs(60);

/// A notice that was not sent is tried again for this long. Later it would mislead.
const TOO_LATE: Duration = Duration::from_secs(3600);

/// The most notices that wait.
const MOST: usize = 100;

/// The source of notices, where messages name their queue.
const SOURCE: &str = "alerts";

/// What a host watches.
pub(crate) struct Watcher {
    pipeline: Arc<Pipeline>,
    holds: Option<Arc<dyn Holds>>,
    targets: Vec<String>,
    /// The targets that the config holds, since the start of the host as far as anybody knows.
    held_by_config: Vec<Lasting>,
    unauthorized: Box<dyn Fn() -> u64 + Send + Sync>,
    alerts: Alerts,
    clock: Clock,
    /// The targets on hold and those with an open breaker, as far as they could be read.
    closed: (Vec<Lasting>, Vec<Lasting>),
}

/// The rules of a config, before the config is given away.
#[derive(Clone)]
pub(crate) struct Rules {
    alerts: Alerts,
    targets: Vec<String>,
    held: Vec<String>,
}

impl Rules {
    /// `None` if the config has no rules.
    pub(crate) fn of(config: &Config) -> Option<Rules> {
        if config.notify.is_empty() {
            return None;
        }
        let held = config.targets.values().filter(|target| target.hold).map(|target| target.name.clone()).collect();
        let link = config.console.as_ref().and_then(|console| console.url.as_ref()).map(ToString::to_string);
        let alerts = Alerts::new(config.notify.clone(), link);
        Some(Rules { alerts, targets: config.targets.keys().cloned().collect(), held })
    }

    /// Watches this pipeline. `unauthorized` counts the webhooks that ingest turned away.
    pub(crate) fn watch(
        self,
        pipeline: Arc<Pipeline>,
        holds: Option<Arc<dyn Holds>>,
        unauthorized: impl Fn() -> u64 + Send + Sync + 'static,
        clock: Clock,
    ) -> Watcher {
        let since = clock.now();
        let held = |target| Lasting { target, since, detail: "hold = true in the config".to_owned() };
        Watcher {
            pipeline,
            holds,
            targets: self.targets,
            held_by_config: self.held.into_iter().map(held).collect(),
            unauthorized: Box::new(unauthorized),
            alerts: self.alerts,
            clock,
            closed: Default::default(),
        }
    }
}

impl Watcher {
    /// Watches until the host stops. Each target has a sender of its own: one that does not answer delays no alert of another.
    pub(crate) fn start(mut self, host: &mut Supervisor) {
        let mut senders: BTreeMap<String, mpsc::Sender<Notice>> = BTreeMap::new();
        for target in self.alerts.targets() {
            let (sender, notices) = mpsc::channel(MOST);
            let outbox = Outbox::new(Arc::clone(&self.pipeline), self.clock);
            let stop = host.stop.clone();
            host.tasks.spawn("alert sender", async move {
                stop.run_until_cancelled(outbox.run(notices)).await;
            });
            senders.insert(target, sender);
        }
        let stop = host.stop.clone();
        host.tasks.spawn("alerts", async move {
            let watch = async {
                loop {
                    for notice in self.look().await {
                        let Some(sender) = senders.get(&notice.to) else { continue };
                        if let Err(TrySendError::Full(notice) | TrySendError::Closed(notice)) = sender.try_send(notice)
                        {
                            dropped(&notice);
                        }
                    }
                    sleep(PERIOD).await;
                }
            };
            stop.run_until_cancelled(watch).await;
        });
    }

    /// Looks once, and returns what there is to say.
    async fn look(&mut self) -> Vec<Notice> {
        let now = self.clock.now();
        let observed = self.observed().await;
        self.alerts.observe(&observed, now)
    }

    async fn observed(&mut self) -> Observed {
        let lasting = |stuck: Stuck| {
            let plural = if stuck.groups == 1 { "" } else { "s" };
            let detail = format!("{} group{plural} cannot go on", stuck.groups);
            Lasting { target: stuck.target.to_string(), since: stuck.since, detail }
        };
        let stuck = self.pipeline.stuck().into_iter().map(lasting).collect();
        match self.closed().await {
            Ok(closed) => self.closed = closed,
            // Otherwise an outage of the holds would read as their end.
            Err(error) => warn!(error = &error as &dyn Error, "holds unreadable, alerts use their last known state"),
        }
        let (held, open) = self.closed.clone();
        let dead_letters = self.pipeline.totals().dead;
        Observed { stuck, held, open, dead_letters, unauthorized: (self.unauthorized)() }
    }

    /// The targets on hold, and those whose breaker is open.
    async fn closed(&self) -> Result<(Vec<Lasting>, Vec<Lasting>), HoldsError> {
        let now = self.clock.now();
        let mut held = self.held_by_config.clone();
        let Some(holds) = &self.holds else { return Ok((held, Vec::new())) };
        let state = holds.read().await?;
        let reports = holds.reports(&self.targets).await?;
        let is_new = |name: &&String| !self.held_by_config.iter().any(|held| held.target == **name);
        let of_hold = |name: &String| {
            let hold = state.hold(name, now)?;
            Some(Lasting { target: name.clone(), since: hold.since, detail: hold.reason.clone() })
        };
        held.extend(state.holds.keys().filter(is_new).filter_map(of_hold));
        let open = reports.into_iter().filter(|report| report.open);
        let open = open.map(|report| Lasting { target: report.target, since: report.at, detail: String::new() });
        Ok((held, open.collect()))
    }
}

/// The notices for one target, in order.
struct Outbox {
    pipeline: Arc<Pipeline>,
    clock: Clock,
    waiting: VecDeque<Notice>,
}

impl Outbox {
    fn new(pipeline: Arc<Pipeline>, clock: Clock) -> Outbox {
        Outbox { pipeline, clock, waiting: VecDeque::new() }
    }

    /// Sends what comes, for ever.
    async fn run(mut self, mut notices: mpsc::Receiver<Notice>) {
        loop {
            let notice = if self.waiting.is_empty() {
                notices.recv().await
            } else {
                timeout(PERIOD, notices.recv()).await.unwrap_or_default()
            };
            self.waiting.extend(notice);
            self.flush().await;
        }
    }

    /// Sends what waits, up to the first notice that the target does not take.
    async fn flush(&mut self) {
        let now = self.clock.now();
        let too_late = |notice: &Notice| now.since(notice.at) > TOO_LATE;
        while let Some(notice) = self.waiting.front() {
            if self.waiting.len() > MOST || too_late(notice) {
                dropped(notice);
            } else if let Err(problem) = self.send(notice).await {
                warn!(event = "alert-not-sent", target_name = notice.to, problem, "alert not sent, trying again");
                return;
            }
            self.waiting.pop_front();
        }
    }

    async fn send(&self, notice: &Notice) -> Result<(), String> {
        let now = self.clock.now();
        let (kind, body) = notice.body();
        let request = Request {
            target: notice.to.clone(),
            method: "POST".to_owned(),
            path: String::new(),
            headers: vec![("content-type".to_owned(), HeaderValue::Text(kind.to_owned()))],
            body: Payload::Bytes(body.into()),
            idempotency_key: None,
        };
        let deliverer = &self.pipeline.deliverer;
        let grant = Grant { targets: std::slice::from_ref(&notice.to), secrets: &BTreeMap::new() };
        let message = message(notice, now);
        let delivery = deliverer.prepare(vec![request], &message, &grant).map_err(|fault| fault.message)?;
        let outcome = deliverer.deliver(delivery, now, &Lease::of(LEASE), &mut Place::alone()).await;
        match outcome {
            Outcome::Delivered(_) => Ok(()),
            other => Err(why(&other)),
        }
    }
}

fn dropped(notice: &Notice) {
    warn!(
        event = "alert-dropped",
        target_name = notice.to,
        summary = notice.summary,
        "alert could not be sent, giving it up"
    );
}

/// Why a notice was not delivered.
fn why(outcome: &Outcome) -> String {
    let last = outcome.attempts().last().map(|attempt| &attempt.answer);
    match (outcome, last) {
        (Outcome::Held(closed), _) => closed.why.clone(),
        (Outcome::Broken(problem), _) => problem.clone(),
        (_, Some(answer)) => match (answer.status(), answer.problem()) {
            (_, Some(problem)) => problem.to_owned(),
            (Some(status), None) => format!("the target answered {status}"),
            (None, None) => outcome.code().to_owned(),
        },
        (other, None) => other.code().to_owned(),
    }
}

/// The message that a notice travels as: it gives the `webhook-id`.
fn message(notice: &Notice, now: Timestamp) -> Message {
    Message {
        id: notice.message_id().into(),
        group: SOURCE.into(),
        dedup_id: None,
        sequence: None,
        receive_count: 1,
        sent_at: now,
        source: SOURCE.to_owned(),
        aws_trace: None,
        replayed_at: None,
        webhook: Arc::default(),
    }
}

#[cfg(test)]
mod tests;
