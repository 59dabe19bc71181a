//! Holds, breakers and drains: what is not sent, what comes back when, and in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use towpath_aws::S3Holds;
use towpath_deliver::holds::Watched;
use towpath_engine::pipeline::{Pipeline, Settlement};
use towpath_runtime::lease::Lease;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route, received};
use towpath_tests::s3::S3Server;
use towpath_tests::target::{Answer, Target};
use towpath_types::clock::Clock;
use towpath_types::holds::{BreakerReport, Change, Drain, Hold, HoldState, Holds, HoldsError};
use towpath_types::queue::Queue;

const MINUTE: Duration = Duration::from_secs(60);

fn hold(length: Option<Duration>) -> Change {
    let since = Clock::wall().now();
    let until = length.map(|length| since + length);
    Change::Hold("sss".to_owned(), Hold { since, until, reason: "release".to_owned(), by: "ops".to_owned() })
}

fn resume(per_second: Option<f64>) -> Change {
    Change::Resume("sss".to_owned(), per_second.map(|per_second| Drain { at: Clock::wall().now(), per_second }))
}

/// A pipeline that asks for the holds at every message.
fn pipeline(rig: &Rig, text: &str, holds: Arc<dyn Holds>) -> Arc<Pipeline> {
    rig.write("guest", Guest::forward());
    rig.pipeline_with(
        text,
        Arc::new(rig.dead_letters.clone()),
        Some(Watched::new(holds, Duration::ZERO, Clock::wall())),
    )
}

/// Lets what was given back come again at once.
async fn again(rig: &Rig, pipeline: &Pipeline) -> Vec<Settlement> {
    let mut settlements = Vec::new();
    for group in towpath_engine::poll::by_group(rig.receive().await) {
        let mut run = pipeline.group(towpath_runtime::lease::Lease::of(MINUTE));
        for message in &group {
            let settlement = run.next(message).await;
            match settlement {
                Settlement::Ack | Settlement::Buried => {
                    rig.events.delete(std::slice::from_ref(&message.handle)).await.remove(0).unwrap()
                }
                Settlement::Retry(_) => {
                    let back = [(message.handle.clone(), Duration::ZERO)];
                    rig.events.change_visibility(&back).await.remove(0).unwrap();
                }
            }
            settlements.push(settlement);
        }
    }
    settlements
}

#[tokio::test]
async fn while_a_target_is_on_hold_nothing_is_sent_and_a_resume_is_felt_within_a_minute() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    let pipeline = pipeline(&rig, &one_route(&target.url), Arc::new(rig.store.clone()));
    rig.store.change(hold(None)).await.unwrap();
    for body in ["1", "2"] {
        rig.send("g/a", body).await;
    }
    for _ in 0..12 {
        for settlement in again(&rig, &pipeline).await {
            assert!(matches!(settlement, Settlement::Retry(after) if after <= MINUTE), "{settlement:?}");
        }
    }
    assert!(target.calls().is_empty());
    assert!(rig.letters().await.is_empty());
    rig.store.change(resume(None)).await.unwrap();
    again(&rig, &pipeline).await;
    assert_eq!(target.bodies(), ["1", "2"]);
}

/// Holds that can be changed between a read and what is done with it.
#[derive(Default)]
struct Switch {
    held: AtomicBool,
    reads: watch::Sender<usize>,
}

#[async_trait]
impl Holds for Switch {
    async fn read(&self) -> Result<HoldState, HoldsError> {
        let mut state = HoldState::default();
        if self.held.load(Ordering::SeqCst) {
            hold(None).apply(&mut state);
        }
        self.reads.send_modify(|reads| *reads += 1);
        Ok(state)
    }

    async fn change(&self, _: Change) -> Result<HoldState, HoldsError> {
        self.read().await
    }

    async fn report(&self, _: BreakerReport) -> Result<(), HoldsError> {
        Ok(())
    }

    async fn reports(&self, _: &[String]) -> Result<Vec<BreakerReport>, HoldsError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_message_that_waits_for_a_limit_while_its_target_is_put_on_hold_is_not_sent() {
    let target = Target::answering(|_| Answer::Wait).await;
    let rig = Rig::new().await;
    let text = one_route(&target.url).replace("timeout = \"300ms\"", "timeout = \"4s\"\nconcurrency = 1");
    let holds = Arc::new(Switch::default());
    let pipeline = pipeline(&rig, &text, Arc::clone(&holds) as Arc<dyn Holds>);
    let mut one = pipeline.group(Lease::of(MINUTE));
    let mut other = pipeline.group(Lease::of(MINUTE));
    let waits = async {
        target.called(1).await;
        other.next(&received("g/b", "2")).await
    };
    let put_on_hold = async {
        holds.reads.subscribe().wait_for(|reads| *reads >= 2).await.unwrap();
        holds.held.store(true, Ordering::SeqCst);
        target.release();
    };
    let first = received("g/a", "1");
    let (sent, held, ()) = tokio::join!(one.next(&first), waits, put_on_hold);
    assert_eq!(sent, Settlement::Ack);
    assert!(matches!(held, Settlement::Retry(_)), "{held:?}");
    assert_eq!(target.bodies(), ["1"]);
}

#[tokio::test]
async fn a_hold_ends_by_itself() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    let pipeline = pipeline(&rig, &one_route(&target.url), Arc::new(rig.store.clone()));
    rig.store.change(hold(Some(Duration::ZERO))).await.unwrap();
    rig.send("g/a", "1").await;
    again(&rig, &pipeline).await;
    assert_eq!(target.bodies(), ["1"]);
}

#[tokio::test]
async fn after_a_resume_at_a_rate_what_waited_takes_turns_and_what_is_new_does_not() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    let pipeline = pipeline(&rig, &one_route(&target.url), Arc::new(rig.store.clone()));
    for group in ["g/a", "g/b", "g/c"] {
        rig.send(group, "old").await;
    }
    // One in an hour: the first has its turn at once, the others not while this test runs.
    rig.store.change(resume(Some(1.0 / 3600.0))).await.unwrap();
    let settlements = again(&rig, &pipeline).await;
    let held = settlements.iter().filter(|settlement| **settlement == Settlement::Retry(MINUTE)).count();
    assert_eq!((settlements.len(), held), (3, 2), "{settlements:?}");
    // The clock counts milliseconds: what is stored in the next one is new.
    let resumed = Clock::wall().now();
    while Clock::wall().now() <= resumed {
        tokio::task::yield_now().await;
    }
    rig.send("g/d", "new").await;
    again(&rig, &pipeline).await;
    assert_eq!(target.bodies(), ["old", "new"]);
}

#[tokio::test]
async fn an_open_breaker_burns_no_attempts_and_one_probe_closes_it() {
    let target = Target::answering(|_| Answer::Status(503, String::new())).await;
    let rig = Rig::new().await;
    let config = one_route(&target.url) + "\nbreaker = { failures = 3, base = \"1h\", cap = \"1h\" }";
    let away = pipeline(&rig, &config, Arc::new(rig.store.clone()));
    for group in ["g/a", "g/b", "g/c", "g/d", "g/e"] {
        rig.send(group, group).await;
    }
    for _ in 0..3 {
        again(&rig, &away).await;
    }
    assert_eq!(target.calls().len(), 3, "the breaker opened at the third failure");
    let reports = rig.store.reports(&["sss".to_owned()]).await.unwrap();
    assert!(matches!(reports.as_slice(), [BreakerReport { open: true, probe_at: Some(_), .. }]), "{reports:?}");

    let config = config.replace("\"1h\"", "\"1ms\"");
    let probing = pipeline(&rig, &config, Arc::new(rig.store.clone()));
    again(&rig, &probing).await;
    let before = target.calls().len();
    target.answer(|_| Answer::Status(200, String::new()));
    let drained = async {
        while rig.events.depth().await.unwrap().messages > 0 {
            again(&rig, &probing).await;
        }
    };
    tokio::time::timeout(MINUTE, drained).await.expect("the breaker closes");
    assert!(target.calls().len() >= before + 5);
    let reports = rig.store.reports(&["sss".to_owned()]).await.unwrap();
    assert!(matches!(reports.as_slice(), [BreakerReport { open: false, .. }]), "{reports:?}");
}

#[tokio::test]
async fn what_a_breaker_counts_is_the_targets_to_say() {
    let retried = "retry = { on = [\"default\", 404] }";
    let cases = [
        ("a 404 that is tried again shows that the target is there", 404, "", 3),
        ("unless the target says that it is none", 404, ", on = [404]", 1),
        ("a 400 is final, and may count all the same", 400, ", on = [400]", 1),
        ("what is tried again by default counts by default", 503, "", 1),
        ("and does not where something else is said", 503, ", on = [404]", 3),
    ];
    for (name, status, on, calls) in cases {
        let target = Target::answering(move |_| Answer::Status(status, String::new())).await;
        let rig = Rig::new().await;
        let breaker = format!("breaker = {{ failures = 1, base = \"1h\", cap = \"1h\"{on} }}");
        let text = format!("{}\n{retried}\n{breaker}", one_route(&target.url));
        let pipeline = pipeline(&rig, &text, Arc::new(rig.store.clone()));
        for group in ["g/a", "g/b", "g/c"] {
            rig.send(group, group).await;
        }
        again(&rig, &pipeline).await;
        assert_eq!(target.calls().len(), calls, "{name}");
    }
}

#[tokio::test]
async fn a_message_that_only_met_an_open_breaker_does_not_die_of_age() {
    let target = Target::answering(|_| Answer::Status(503, String::new())).await;
    let rig = Rig::new().await;
    let config = one_route(&target.url) + "\nbreaker = { failures = 1, base = \"1h\", cap = \"1h\" }";
    let config = config.replace("plugin = \"guest\"", "plugin = \"guest\"\nmax_age = \"1m\"");
    let pipeline = pipeline(&rig, &config, Arc::new(rig.store.clone()));
    rig.send("g/first", "opens the breaker").await;
    again(&rig, &pipeline).await;
    rig.send("g/second", "never tried").await;
    let mut old = rig.receive().await;
    let old = old.iter_mut().find(|message| message.group.as_str() == "g/second").unwrap();
    old.sent_at = old.sent_at - MINUTE * 10;
    let settlement = pipeline.group(towpath_runtime::lease::Lease::of(MINUTE)).next(old).await;
    assert!(matches!(settlement, Settlement::Retry(_)), "{settlement:?}");
    assert!(rig.letters().await.is_empty());
}

#[tokio::test]
async fn a_message_that_waits_because_holds_are_unreadable_does_not_die_of_age() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    let nowhere = S3Server::start().await;
    let holds = Arc::new(s3(&nowhere));
    drop(nowhere);
    let pipeline = pipeline(&rig, &one_route(&target.url), holds);
    rig.send("g/a", "1").await;
    let mut old = rig.receive().await.remove(0);
    old.sent_at = old.sent_at - MINUTE * 60 * 24 * 12;
    let settlement = pipeline.group(towpath_runtime::lease::Lease::of(MINUTE)).next(&old).await;
    assert!(matches!(settlement, Settlement::Retry(_)), "{settlement:?}");
    assert!(rig.letters().await.is_empty() && target.calls().is_empty());
}

fn s3(server: &S3Server) -> S3Holds {
    S3Holds::new(server.client(), "s3://bucket/towpath/holds.json".parse().unwrap())
}

#[tokio::test]
async fn holds_in_s3_are_kept_and_no_change_is_lost() {
    let server = S3Server::start().await;
    assert_eq!(s3(&server).read().await.unwrap(), Default::default(), "nothing stored is no error");
    let mut changes = tokio::task::JoinSet::new();
    for number in 0..6 {
        let holds = s3(&server);
        changes.spawn(async move {
            let Change::Hold(_, hold) = hold(None) else { unreachable!() };
            holds.change(Change::Hold(format!("target-{number}"), hold)).await.unwrap();
        });
    }
    while let Some(done) = changes.join_next().await {
        done.unwrap();
    }
    assert_eq!(s3(&server).read().await.unwrap().holds.len(), 6, "six at the same time");
    let report = BreakerReport { target: "sss".into(), open: true, at: Clock::wall().now(), probe_at: None };
    s3(&server).report(report.clone()).await.unwrap();
    assert_eq!(s3(&server).reports(&["sss".into(), "other".into()]).await.unwrap(), [report]);
    assert_eq!(server.paths(), ["/bucket/towpath/holds.json", "/bucket/towpath/holds.json.breakers/sss.json"]);
}

#[tokio::test]
async fn when_holds_cannot_be_read_the_last_known_ones_count_on() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    let mut server = S3Server::start().await;
    let unknown = {
        let nowhere = S3Server::start().await;
        let holds = Arc::new(s3(&nowhere));
        drop(nowhere);
        pipeline(&rig, &one_route(&target.url), holds)
    };
    rig.send("g/a", "1").await;
    assert!(matches!(again(&rig, &unknown).await.as_slice(), [Settlement::Retry(_)]));
    assert!(target.calls().is_empty(), "nobody knows whether it may be called");

    s3(&server).change(hold(None)).await.unwrap();
    let known = pipeline(&rig, &one_route(&target.url), Arc::new(s3(&server)));
    assert!(matches!(again(&rig, &known).await.as_slice(), [Settlement::Retry(_)]));
    server.stop().await;
    assert!(matches!(again(&rig, &known).await.as_slice(), [Settlement::Retry(_)]));
    assert!(target.calls().is_empty(), "it still is on hold");
}
