//! The path of one message, in one line: route ► pass (unpack ► verify ► map ► deliver) ► decide ► dead letter. Then
//! the driver settles the message, and a shadow is compared.

mod burial;
mod call;
mod failures;
mod group;
mod limits;
mod mapper;
mod pass;
mod routing;
mod shadow;
mod story;
mod tally;
#[cfg(test)]
mod waits;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::Instant;
use tracing::{Instrument as _, error, warn};

pub use group::{GroupRun, Line, Settlement, Turn};
pub use limits::KnownLimits;
pub use tally::{Tally, Totals};
use towpath_runtime::lease::Lease;

use crate::decide::{Decision, decide};
use crate::facts::Facts;
use crate::next_try::{self, Wait, next_try};
pub use failures::Stuck;
use failures::{Failures, Head};
use pass::{Pass, Progress, panicked, read};
use routing::Routing;
pub use shadow::{Comparison, difference};
use story::{Story, labels};
use towpath_config::route::OnDeadLetter;
use towpath_config::route::{Route, Routes};
use towpath_deliver::Deliverer;
use towpath_deliver::places::Place;
use towpath_metrics::{self as metrics, trace};
use towpath_plugin::{Plugin, Plugins};
use towpath_route::identified;
use towpath_runtime::tasks::panic_text;
use towpath_select::redacted;
use towpath_types::archive::{Archive, Archived};
use towpath_types::backoff::Backoff;
use towpath_types::clock::Clock;
use towpath_types::dead_letter::Death;
use towpath_types::dead_letter::{DeadLetter, Seen};
use towpath_types::json::Pointer;
use towpath_types::message::{Message, is_item};
use towpath_types::outcome::Outcome;
use towpath_types::queue::{MAX_RETENTION, Queue, Received};
use towpath_verify::fetched::{KeySource, NoKeys};
use towpath_verify::moved::{self, Moved};
use towpath_verify::note_keys::NoteKeys;

/// Everything that processing a message needs. All groups share it.
pub struct Pipeline {
    pub routes: Routes,
    /// The plugins, which may be replaced while the pipeline runs.
    pub plugins: Plugins,
    pub deliverer: Deliverer,
    pub dead_letters: Arc<dyn Queue>,
    /// The name of the queue that messages come from. Plugins see it.
    pub source: String,
    pub clock: Clock,
    /// The backoff where no target has its own.
    pub backoff: Backoff,
    /// The limits of the queue that messages come from.
    pub limits: KnownLimits,
    /// The keys that vouch for operators' notes, for the front door's verdicts, and for letters that SQS moves back.
    pub note_keys: NoteKeys,
    /// Where the public keys of senders come from.
    pub key_source: Arc<dyn KeySource>,
    /// Where delivered and skipped events are kept.
    pub archive: Option<Arc<dyn Archive>>,
    /// The values in JSON bodies that the archive does not get.
    pub redact: Vec<Pointer>,
    archive_panicked: Once,
    tally: Tally,
    failures: Arc<Failures>,
}

impl Pipeline {
    pub fn new(
        routes: Routes,
        plugins: Plugins,
        deliverer: Deliverer,
        dead_letters: Arc<dyn Queue>,
        source: String,
        clock: Clock,
    ) -> Pipeline {
        let backoff = Backoff::default();
        let tally = Tally::default();
        let failures = Arc::<Failures>::default();
        failures.show(clock);
        let limits = KnownLimits::new(clock);
        let note_keys = NoteKeys::default();
        Pipeline {
            routes,
            plugins,
            deliverer,
            dead_letters,
            source,
            clock,
            backoff,
            limits,
            note_keys,
            key_source: Arc::new(NoKeys),
            archive: None,
            redact: Vec::new(),
            archive_panicked: Once::new(),
            tally,
            failures,
        }
    }

    /// Begins a group outside of a driver's places. Call [`GroupRun::next`] for its messages one after another.
    pub fn group(&self, lease: Lease) -> GroupRun<'_, Pipeline> {
        GroupRun::new(self, lease, Place::alone())
    }

    /// Counts of how messages ended since the start.
    pub fn totals(&self) -> Totals {
        self.tally.totals()
    }

    /// Where groups fail now, as far as this process knows.
    pub fn stuck(&self) -> Vec<Stuck> {
        self.failures.stuck(self.clock.now())
    }

    /// Processes one message: a pass, a decision, and a dead letter if the decision is one. It returns no `Result`: a
    /// message that fails is a value.
    async fn process(
        &self,
        received: &Received,
        message: Result<Message, Outcome>,
        routing: &Routing<'_>,
        turn: &mut Turn,
    ) -> Settlement {
        let began = Instant::now();
        let route = routing.route;
        let mut progress = Progress { verified: route.is_some_and(|route| route.verify.is_none()), witness: None };
        let Pipeline { note_keys, key_source, dead_letters, deliverer, .. } = self;
        let (key_source, dead_letters) = (&**key_source, &**dead_letters);
        let pass = Pass { received, routing, note_keys, key_source, dead_letters, deliverer };
        let pass = AssertUnwindSafe(pass.run(message, turn, &mut progress));
        let outcome = pass.catch_unwind().await.unwrap_or_else(|panic| panicked(&*panic));
        let failures = self.failures.next(&received.group, &outcome, received.receive_count);
        let mut facts = self.facts(received, route, failures);
        if !progress.verified {
            // Otherwise anyone who can post could stop a group.
            facts.on_dead_letter = OnDeadLetter::Continue;
        }
        let decision = decide(&outcome, facts);
        Story { outcome: &outcome, decision: &decision, facts, began }.tell(routing);
        self.tally.count(&outcome, &decision);
        let settlement = match decision {
            Decision::Ack => Settlement::Ack,
            Decision::Retry(after) => Settlement::Retry(after),
            Decision::DeadLetter(death) => {
                let seen = Seen {
                    route: route.map(|route| route.path.as_str()),
                    plugin: routing.name(),
                    digest: routing.plugin().map(Plugin::digest),
                    // An element of a split webhook is stored without them.
                    secret_header: route
                        .filter(|_| !is_item(&received.attributes))
                        .and_then(|route| route.tokens_text()),
                    parks: facts.on_dead_letter == OnDeadLetter::Park,
                    verified: progress.verified,
                };
                self.bury(received, &outcome, death, seen, facts, &turn.lease).await
            }
        };
        if settlement == Settlement::Ack {
            self.archive(received, &outcome, routing);
        }
        match settlement {
            Settlement::Ack | Settlement::Buried => {
                self.failures.clear(&received.group);
                metrics::done(labels(routing).route, facts.age);
                turn.comparison = progress.witness.and_then(|witness| witness.with(routing.shadow.as_ref()));
            }
            // A retried message is compared on a later pass.
            Settlement::Retry(after) if outcome != Outcome::Blocked => {
                let head = Head { sent_at: received.sent_at, next_try: self.clock.now() + after };
                self.failures.set(&received.group, &outcome, failures, head, self.clock.now());
            }
            Settlement::Retry(_) => {}
        }
        settlement
    }

    /// Keeps a delivered or skipped event. The caller deletes the message only afterwards, so that no crash comes between the two. A panic
    /// of the archive must not turn a delivered event into a retry.
    fn archive(&self, received: &Received, outcome: &Outcome, routing: &Routing<'_>) {
        let Some(archive) = &self.archive else { return };
        let route = routing.route.map_or("", |route| route.path.as_str());
        let plugin = routing.name().zip(routing.plugin().map(Plugin::digest));
        if let Some(event) = Archived::of(received, outcome, route, plugin, self.clock.now()) {
            let Err(panic) = catch_unwind(AssertUnwindSafe(|| archive.keep(redacted(event, &self.redact)))) else {
                return;
            };
            metrics::archive_dropped(1);
            self.archive_panicked.call_once(|| {
                error!(
                    event = "archive-failed",
                    panic = panic_text(&*panic),
                    "the archive panicked, event acknowledged but not archived; further panics are only counted: this is a bug in towpath"
                );
            });
        }
    }

    fn facts<'a>(&self, received: &'a Received, route: Option<&Arc<Route>>, failures: u32) -> Facts<'a> {
        Facts {
            group: &received.group,
            age: self.clock.now().since(received.sent_at),
            max_age: route.map_or(MAX_RETENTION, |route| route.max_age),
            failures,
            receive_count: received.receive_count,
            limits: self.limits.get(),
            on_dead_letter: route.map_or(OnDeadLetter::Continue, |route| route.on_dead_letter),
            backoff: self.backoff,
        }
    }

    /// Sends a message to the dead-letter queue. Until it is stored there, it stays in its own queue.
    async fn bury(
        &self,
        received: &Received,
        outcome: &Outcome,
        death: Death,
        seen: Seen<'_>,
        facts: Facts<'_>,
        lease: &Lease,
    ) -> Settlement {
        if !lease.holds() {
            // The next owner of the message decides.
            warn!(event = "lease-expired", "lease expired, dead letter not sent");
            return Settlement::Retry(Duration::ZERO);
        }
        let reason = death.code;
        let path = seen.route;
        let letter = DeadLetter::new(received, outcome, death, seen, &self.source, self.clock.now());
        let route = path.and_then(|path| self.routes.by_path(path)).map(Arc::as_ref);
        let store = burial::store(&*self.dead_letters, &letter, received, route, &self.note_keys);
        let problem = match tokio::time::timeout_at(lease.deadline(), store).await {
            Ok(Ok(())) => {
                error!(
                    event = "message-dead-lettered",
                    reason,
                    detail = letter.detail,
                    "message is in the dead-letter queue"
                );
                self.tally.count_dead();
                metrics::buried(path.unwrap_or_default(), reason, true);
                return Settlement::Buried;
            }
            Ok(Err(problem)) => problem,
            Err(_) => "timed out at the end of the lease".to_owned(),
        };
        metrics::buried(path.unwrap_or_default(), reason, false);
        error!(
            event = "dead-letter-send-failed",
            reason, problem, "dead-letter send failed, retrying: the message stays in its queue"
        );
        Settlement::Retry(next_try(facts, Wait::Unburied))
    }
}

impl Line for Pipeline {
    fn targets(&self) -> usize {
        self.deliverer.targets()
    }

    /// Never panics: a message on which the host panics is retried.
    async fn take(&self, received: &Received, turn: &mut Turn) -> Settlement {
        let work = async {
            let routing = Routing::of(received, &self.routes, &self.plugins, &self.deliverer);
            let moved = moved::restore(&self.note_keys, received, turn.lease.deadline()).await;
            let received = if let Moved::Restored(message) = &moved { message } else { received };
            let identified = routing.route.map_or(Cow::Borrowed(received), |route| identified(route, received));
            let received = &*identified;
            let message = read(received, &self.source);
            let span = span(received, message.as_ref().ok(), &routing);
            if moved == Moved::Unsealed {
                span.in_scope(|| {
                    warn!(
                        event = "letter-unsealed",
                        "the dead letter was moved back by SQS itself, and no note key of this host vouches for it: it is treated as a new \
                         message, with another webhook-id"
                    );
                });
            }
            self.process(received, message, &routing, turn).instrument(span).await
        };
        AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
            error!(
                event = "host-panicked",
                message_id = %received.id,
                panic = panic_text(&*panic),
                "the host panicked, retrying the message: this is a bug in towpath"
            );
            Settlement::Retry(next_try(self.facts(received, None, 1), Wait::Panicked))
        })
    }

    async fn compare(&self, comparison: Comparison, lease: &Lease) {
        if let Some(agrees) = comparison.run(lease).await {
            self.tally.count_shadow(!agrees);
        }
    }

    fn behind(&self, head: Duration, received: &Received) -> Duration {
        let age = self.clock.now().since(received.sent_at);
        next_try::behind(head, self.limits.get(), age, received.receive_count)
    }
}

/// The span of a message. Every line logged in it carries these fields. It continues the trace that the webhook brought.
fn span(received: &Received, message: Option<&Message>, routing: &Routing<'_>) -> tracing::Span {
    // At the highest level, so that a log of errors only still says which message each line is about.
    let span = tracing::error_span!(
        "message",
        message_id = %received.id,
        // The id that the target sees, if it is another one: the message was redriven, or its route has `dedup`.
        webhook_id = message.filter(|message| message.id != received.id).map(|message| message.id.as_str()),
        group = %received.group,
        route = routing.route.map(|route| route.path.as_str()),
        plugin = routing.name(),
        digest = routing.plugin().map(Plugin::short_digest),
    );
    if let Some(brought) =
        message.and_then(|message| trace::brought(&message.webhook.headers, message.aws_trace.as_deref()))
    {
        trace::follow(&span, &brought);
    }
    span
}
