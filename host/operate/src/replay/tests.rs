//! Runs over a store and an archive that change meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use towpath_archive::{Segments, Settings};
use towpath_config::{Config, Secrets};
use towpath_types::archive::{Archive as _, Archived, Ending};
use towpath_types::clock::Timestamp;

use super::*;
use crate::archive::Progress;
use crate::place::{Backend, Found};
use crate::queues::Queues;

fn event(group: &str, number: u64) -> Archived {
    Archived {
        id: format!("m-{number}").into(),
        webhook_id: format!("m-{number}").into(),
        group: group.into(),
        dedup_id: None,
        sequence: Some(number.to_string()),
        route: "crm".to_owned(),
        plugin: None,
        digest: None,
        sent_at: Timestamp(number),
        ended_at: Timestamp(1_772_442_900_000 + number),
        receive_count: 1,
        ending: Ending::Delivered,
        reason: None,
        attempts: Vec::new(),
        attributes: Default::default(),
        redacted: false,
        body: format!("{number}").as_str().into(),
    }
}

struct Place {
    folder: TempDir,
    found: Found,
    archive: Segments,
}

async fn place() -> Place {
    let folder = TempDir::new().expect("folder");
    let queues = Queues::open(folder.path()).await.expect("a store");
    let found = Found::new(Backend::Local(Box::new(queues)), None);
    let settings = Settings {
        folder: folder.path().join("archive"),
        keep: Duration::from_secs(u32::MAX.into()),
        max_size: u64::MAX,
    };
    Place { archive: Segments::new(settings, |_| {}), folder, found }
}

impl Place {
    /// The bodies of what waits in the queue, in order.
    async fn waiting(&self) -> Vec<String> {
        let Backend::Local(queues) = &self.found.backend else { panic!("a store") };
        let waiting = queues.events.browse(None, 100).await.expect("browsed");
        waiting.iter().map(|message| message.body.text().into_owned()).collect()
    }
}

const SILENT: Progress<'static> = &|_| {};

fn of_crm() -> Request {
    let conditions = Conditions { routes: vec!["crm".to_owned()], ..Conditions::default() };
    Request { conditions, ..Request::default() }
}

async fn done(run: Run<'_>) -> Report {
    run.go(std::pin::pin!(std::future::pending()), |_| {}).await.expect("a run")
}

#[tokio::test]
async fn what_is_delivered_after_the_plan_is_not_part_of_the_run() {
    let place = place().await;
    [event("a", 2), event("b", 10), event("a", 9)].into_iter().for_each(|event| place.archive.keep(event));
    let planned = plan(&place.found, &of_crm(), None, SILENT).await.expect("a plan");
    [event("a", 11), event("c", 3), event("b", 12)].into_iter().for_each(|event| place.archive.keep(event));
    let report = done(Run::start(&place.found, of_crm(), &planned, SILENT).await.expect("a run")).await;
    assert_eq!((planned.events, report.sent, &report.record.state), (3, 3, &State::Complete));
    assert_eq!(place.waiting().await, ["2", "9", "10"], "by number, not by text");
    assert!(place.folder.path().join(format!("replay-{}.json", report.record.run)).exists());
}

#[tokio::test]
async fn a_plan_is_not_started_if_groups_got_later_events() {
    let place = place().await;
    [event("a", 1), event("a", 2), event("b", 3)].into_iter().for_each(|event| place.archive.keep(event));
    let conditions = Conditions { ids: vec!["m-1".to_owned(), "m-3".to_owned()], ..Conditions::default() };
    let request = Request { conditions, ..Request::default() };
    let planned = plan(&place.found, &request, None, SILENT).await.expect("a plan");
    assert_eq!(planned.overtaken, [Overtaken { group: "a".into(), delivered: 1, waiting: 0 }]);
    let refused = Run::start(&place.found, request.clone(), &planned, SILENT).await.err().expect("refused");
    assert_eq!(refused.downcast_ref(), Some(&ReplayError::Overtaken { groups: 1 }));
    assert!(place.waiting().await.is_empty());
    let accepted = Request { overtaken: true, ..request };
    done(Run::start(&place.found, accepted, &planned, SILENT).await.expect("a run")).await;
    assert_eq!(place.waiting().await, ["1", "3"]);
}

#[tokio::test]
async fn events_without_a_number_are_told_apart_by_their_ids() {
    let unnumbered = |id: u64| Archived { sequence: None, ..event("a", id) };
    let first = Position::after(None, &unnumbered(1));
    assert!(!first.is_before(&unnumbered(1)) && first.is_before(&unnumbered(2)));
    let second = Position::after(Some(first), &unnumbered(2));
    assert!(!second.is_before(&unnumbered(1)) && second.is_before(&unnumbered(3)));
    let numbered = Position::after(Some(second), &event("a", 9));
    assert!(!numbered.is_before(&unnumbered(3)) && !numbered.is_before(&event("b", 2)));
    assert!(numbered.is_before(&event("b", 10)), "numbers are no texts");
}

#[tokio::test]
async fn a_run_that_goes_on_counts_what_came_too_late_to_be_sent_in_order() {
    let place = place().await;
    [event("a", 2), event("b", 10)].into_iter().for_each(|event| place.archive.keep(event));
    let slow = Request { per_second: Some(0.001), ..of_crm() };
    let planned = plan(&place.found, &slow, None, SILENT).await.expect("a plan");
    let run = Run::start(&place.found, slow, &planned, SILENT).await.expect("a run");
    let stop = tokio::sync::Notify::new();
    let first = run.go(std::pin::pin!(stop.notified()), |_| stop.notify_one()).await.expect("a run").record;
    assert_eq!((&first.state, first.sent, first.late), (&State::Stopped, 1, 0));
    [event("a", 1), event("c", 5)].into_iter().for_each(|event| place.archive.keep(event));
    let faster = |request: &mut Request| request.per_second = None;
    let (run, left) = Run::resume(&place.found, &first.run, faster, SILENT).await.expect("a run");
    assert_eq!((run.late(), left.events), (1, 2));
    assert_eq!(done(run).await.record.late, 1);
    assert_eq!(place.waiting().await, ["2", "5", "10"], "in order");
}

#[tokio::test]
async fn a_store_that_is_named_has_its_archive_beside_it_whatever_queue_the_config_has() {
    let mut place = place().await;
    let local = "[queue]\nstore = \"other\"\n[archive]\nfolder = \"mine\"\n";
    let sqs = "[queue]\nurl = \"https://sqs.eu-west-1.amazonaws.com/1/e.fifo\"\n\
        dead_letter_url = \"https://sqs.eu-west-1.amazonaws.com/1/d.fifo\"\n[archive]\nstream = \"s\"\nbucket = \"s3://b/events/\"\n";
    for (text, folder) in [(local, Path::new("/conf/mine").into()), (sqs, place.folder.path().join("archive"))] {
        let config = Config::parse(text, Path::new("/conf/towpath.toml"), &Secrets::placeholders()).expect("config");
        place.found.config = Some(Arc::new(config));
        let archive = conditions::archive(&place.found, &Named::default()).await.expect("an archive");
        assert_eq!(archive.to_string(), folder.display().to_string(), "{text}");
    }
}

#[test]
fn the_name_of_a_run_is_no_path() {
    for run in ["../x", "a/b", "", ".", "a.b"] {
        let error = record::read(Path::new("."), run).expect_err(run);
        assert_eq!(error.downcast_ref(), Some(&ReplayError::NoRun(run.to_owned())), "{run}");
    }
}
