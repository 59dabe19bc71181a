//! The spine: one message, one line. Route ► unpack ► verify ► plugin ► deliver ► decide ► dead letter; then the driver settles, and a
//! shadow is compared.

mod burial;
mod call;
mod failures;
mod group;
mod limits;
mod routing;
mod shadow;
mod story;
mod tally;
#[cfg(test)]
mod waits;

use std::any::Any;
use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
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
use failures::{Failures, Head};
use routing::Routing;
pub use shadow::Comparison;
use story::{Story, labels};
use towpath_config::route::OnDeadLetter;
use towpath_config::route::{Route, Routes};
use towpath_deliver::Deliverer;
use towpath_deliver::places::Place;
use towpath_metrics::{self as metrics, trace};
use towpath_plugin::{Plugin, Plugins};
use towpath_route::identified;
use towpath_runtime::tasks::panic_text;
use towpath_types::backoff::Backoff;
use towpath_types::clock::Clock;
use towpath_types::dead_letter::Death;
use towpath_types::dead_letter::{DeadLetter, Seen, carried_notes};
use towpath_types::message::Message;
use towpath_types::outcome::{Fault, MisfitKind, Outcome};
use towpath_types::queue::{GroupId, MAX_RETENTION, Queue, Received};
use towpath_types::verdict::Verdict;
use towpath_verify::check_anew;
use towpath_verify::note_keys::NoteKeys;

/// Everything a message passes through. Shared by all groups.
pub struct Pipeline {
    /// The routes of the config.
    pub routes: Routes,
    /// The plugins; replaceable while the pipeline runs.
    pub plugins: Plugins,
    /// What makes requests.
    pub deliverer: Deliverer,
    /// Where dead letters go.
    pub dead_letters: Arc<dyn Queue>,
    /// The name of the queue that messages come from; plugins see it.
    pub source: String,
    /// What time it is.
    pub clock: Clock,
    /// The wait before another try where no target has one of its own.
    pub backoff: Backoff,
    /// What the queue that messages come from allows those that wait.
    pub limits: KnownLimits,
    /// What vouches for operators' notes. No signature fits a body that was edited.
    pub note_keys: NoteKeys,
    tally: Tally,
    failures: Arc<Failures>,
}

impl Pipeline {
    /// A pipeline of these parts.
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
            tally,
            failures,
        }
    }

    /// Begins with a group that has no place of a driver. Its messages go through [`GroupRun::next`] one after another.
    pub fn group(&self, lease: Lease) -> GroupRun<'_, Pipeline> {
        GroupRun::new(self, lease, Place::alone())
    }

    /// How many messages came to which end since the start.
    pub fn totals(&self) -> Totals {
        self.tally.totals()
    }

    /// One message to its end: a pass, a decision, and what the decision asks for. The spine returns no `Result`: a failing message
    /// is a value.
    async fn process(
        &self,
        received: &Received,
        message: Result<Message, Outcome>,
        routing: &Routing<'_>,
        turn: &mut Turn,
    ) -> Settlement {
        let began = Instant::now();
        let route = routing.route;
        let mut passed = Passed { verified: route.is_some_and(|route| route.verify.is_none()), witness: None };
        let pass = AssertUnwindSafe(self.pass(received, message, routing, turn, &mut passed));
        let outcome = pass.catch_unwind().await.unwrap_or_else(|panic| panicked(&*panic));
        let failures = self.failures.next(&received.group, &outcome, received.receive_count);
        let mut facts = self.facts(received, route, failures);
        if !passed.verified {
            // Or anybody who can post could stop a group.
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
                    digest: routing.plugin.as_ref().map(|plugin| plugin.digest()),
                    secret_header: route.and_then(|route| route.secret_header()),
                    parks: facts.on_dead_letter == OnDeadLetter::Park,
                    verified: passed.verified,
                };
                self.bury(received, &outcome, death, seen, facts, &turn.lease).await
            }
        };
        match settlement {
            Settlement::Ack | Settlement::Buried => {
                self.failures.clear(&received.group);
                metrics::done(labels(routing).route, facts.age);
                turn.comparison = passed.witness.and_then(|witness| witness.with(routing.shadow.as_ref()));
            }
            // What comes again is compared then.
            Settlement::Retry(after) if outcome != Outcome::Blocked => {
                let head = Head { sent_at: received.sent_at, next_try: self.clock.now() + after };
                self.failures.set(&received.group, &outcome, failures, head);
            }
            Settlement::Retry(_) => {}
        }
        settlement
    }

    /// Unpack ► verify ► plugin ► deliver. What would not finish within the lease is not begun, and nothing past its end.
    async fn pass(
        &self,
        received: &Received,
        message: Result<Message, Outcome>,
        routing: &Routing<'_>,
        turn: &mut Turn,
        passed: &mut Passed,
    ) -> Outcome {
        let Turn { lease, place, is_fresh, .. } = turn;
        if !lease.holds() {
            return Outcome::Blocked;
        }
        let Some(route) = routing.route else { return no_route(&received.group) };
        // First of all: what is not verified, or cannot be, is told nothing of its group and changes nothing for it.
        let message = match (message, &route.verify) {
            (Ok(message), _) => Ok(message),
            (Err(Outcome::Misfit { detail, .. }), Some(_)) => {
                return unverified(format!("it cannot be read: {detail}"));
            }
            (Err(outcome), _) => Err(outcome),
        };
        if let (Some(verify), Ok(message)) = (&route.verify, &message) {
            let is_vouched = self.note_keys.vouch_for(received, &route.path, &message.body, lease.deadline()).await;
            if !is_vouched && let Err(error) = check_anew(verify, message.into(), lease.deadline()).await {
                return unverified(if carried_notes(&received.attributes).is_empty() {
                    error.to_string()
                } else {
                    format!("{error}; it was edited, and none of the note keys vouches for its note")
                });
            }
            passed.verified = true;
        }
        if route.on_dead_letter == OnDeadLetter::Park {
            match self.dead_letters.has_group(&received.group).await {
                Ok(Some(true)) => return parked(),
                Ok(_) => {}
                Err(error) => return Outcome::Broken(format!("cannot tell whether the group is parked: {error}")),
            }
        }
        let mut message = match message {
            Ok(message) => message,
            Err(outcome) => return outcome,
        };
        // A secret that was sent along is nobody's business from here on.
        if let Some(name) = route.secret_header() {
            message.headers.retain(|(header, _)| header != name);
        }
        let Some(plugin) = &routing.plugin else {
            return Outcome::Broken(format!("the plugin {:?} is not loaded", route.plugin));
        };
        if !*is_fresh && lease.left() < plugin.limits().timeout {
            return Outcome::Blocked;
        }
        let (message, transformed) = match call::call(plugin, message, lease.left()).await {
            Ok(called) => called,
            Err(problem) => return Outcome::Broken(problem),
        };
        if routing.shadow.is_some() {
            passed.witness = Some(Witness { message: message.clone(), verdict: transformed.verdict.clone() });
        }
        let requests = match transformed.verdict {
            Ok(Verdict::Deliver(requests)) => requests,
            Ok(Verdict::Skip(reason)) => return Outcome::Skipped(reason),
            Ok(Verdict::Reject(reason)) => return Outcome::Rejected(reason),
            Ok(Verdict::Retry { reason, after }) => return Outcome::Deferred { reason, after },
            Err(fault) => return Outcome::Faulted(fault),
        };
        let delivery = match self.deliverer.prepare(requests, &message, &plugin.grant()) {
            Ok(delivery) => delivery,
            Err(fault) => return Outcome::Faulted(fault),
        };
        if !*is_fresh && lease.left() < delivery.worst_case() {
            return Outcome::Blocked;
        }
        self.deliverer.deliver(delivery, received.sent_at, lease, place).await
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

    /// Sends a message to the dead-letter queue. Only when it is stored there is it done with.
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
            // Whoever has the message now decides on it.
            warn!("the lease on the group is over, its dead letter is not sent");
            return Settlement::Retry(Duration::ZERO);
        }
        let reason = death.code;
        let letter = DeadLetter::new(received, outcome, death, seen, &self.source, self.clock.now());
        let route = seen.route.and_then(|path| self.routes.by_path(path)).map(Arc::as_ref);
        let store = burial::store(&*self.dead_letters, &letter, received, route);
        let problem = match tokio::time::timeout_at(lease.deadline(), store).await {
            Ok(Ok(())) => {
                error!(reason, detail = letter.detail, "message is in the dead-letter queue");
                self.tally.count_dead();
                metrics::buried(seen.route.unwrap_or_default(), reason, true);
                return Settlement::Buried;
            }
            Ok(Err(problem)) => problem,
            Err(_) => "out of time".to_owned(),
        };
        metrics::buried(seen.route.unwrap_or_default(), reason, false);
        error!(reason, problem, "dead-letter send failed, the message is kept");
        Settlement::Retry(next_try(facts, Wait::Unburied))
    }
}

/// What is known of a message by the time that its pass ends, also where that is a panic.
struct Passed {
    /// Whether it proved where it comes from, or its route asks for no proof.
    verified: bool,
    witness: Option<Witness>,
}

/// What the plugin saw, and what it said.
struct Witness {
    message: Message,
    verdict: Result<Verdict, Fault>,
}

impl Witness {
    fn with(self, shadow: Option<&Arc<Plugin>>) -> Option<Comparison> {
        let Witness { message, verdict } = self;
        Some(Comparison { shadow: Arc::clone(shadow?), message, verdict, span: tracing::Span::current() })
    }
}

impl Line for Pipeline {
    fn targets(&self) -> usize {
        self.deliverer.targets()
    }

    /// It never panics and never fails: a message on which the host itself breaks is kept.
    async fn take(&self, received: &Received, turn: &mut Turn) -> Settlement {
        let work = async {
            let routing = Routing::of(received, &self.routes, &self.plugins);
            let identified = routing.route.map_or(Cow::Borrowed(received), |route| identified(route, received));
            let received = &*identified;
            let message = read(received, &self.source);
            let span = span(received, message.as_ref().ok(), &routing);
            self.process(received, message, &routing, turn).instrument(span).await
        };
        AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
            error!(message_id = %received.id, panic = panic_text(&*panic), "the host panicked, the message is kept");
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

/// The span of a message: what is logged meanwhile carries its fields, and its trace goes on in it.
fn span(received: &Received, message: Option<&Message>, routing: &Routing<'_>) -> tracing::Span {
    // Of the highest level: a log that tells of trouble only tells whose trouble it is.
    let span = tracing::error_span!(
        "message",
        message_id = %received.id,
        // What the target is told, where that is another: of a message that was sent again.
        webhook_id = message.filter(|message| message.id != received.id).map(|message| message.id.as_str()),
        group = %received.group,
        route = routing.route.map(|route| route.path.as_str()),
        plugin = routing.name(),
        digest = routing.plugin.as_ref().map(|plugin| plugin.short_digest()),
    );
    if let Some(brought) = message.and_then(|message| trace::brought(&message.headers, message.aws_trace.as_deref())) {
        trace::follow(&span, &brought);
    }
    span
}

/// Unpacks a message, outside of its span. Whatever happens is decided on like any other trouble.
fn read(received: &Received, source: &str) -> Result<Message, Outcome> {
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| Message::read(received, source)));
    read.map_err(|panic| panicked(&*panic))?
        .map_err(|error| Outcome::Misfit { kind: MisfitKind::Unreadable, detail: error.to_string() })
}

/// A bug of the host. It is decided on like any other trouble: the message is tried again, and in the end buried.
fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    let problem = format!("the host panicked: {}", panic_text(panic));
    error!(problem, "this is a bug of towpath");
    Outcome::Broken(problem)
}

/// Whoever can post could have sent it. It is a dead letter whatever its route says, and nobody waits for it.
fn unverified(detail: String) -> Outcome {
    Outcome::Misfit { kind: MisfitKind::Unverified, detail }
}

fn no_route(group: &GroupId) -> Outcome {
    let detail = format!("no route of the config has a group template that can have made {group}");
    Outcome::Misfit { kind: MisfitKind::NoRoute, detail }
}

/// What comes behind a dead letter waits beside it, until they are sent back together.
fn parked() -> Outcome {
    let detail = "its group has dead letters, and its route parks what comes behind them".to_owned();
    Outcome::Misfit { kind: MisfitKind::Parked, detail }
}
