//! What happens between the steps of an erasure, in archives, and after an interruption.

use std::cell::Cell;

use tokio::runtime::Handle;
use tokio::task::block_in_place;
use towpath_archive::{Filter, Folder, Segments, Settings};
use towpath_types::archive::{Archive as _, Archived, Ending};

use super::*;
use crate::dlq::edit::audited;
use crate::letters;

fn archive(folder: &Path) -> Segments {
    let folder = folder.to_owned();
    Segments::new(Settings { folder, keep: Duration::from_secs(u32::MAX.into()), max_size: u64::MAX }, |_| ())
}

fn event(id: &str, group: &str) -> Archived {
    Archived {
        id: id.into(),
        webhook_id: id.into(),
        group: group.into(),
        dedup_id: None,
        sequence: Some("1".to_owned()),
        route: "r".to_owned(),
        plugin: None,
        digest: None,
        sent_at: Timestamp(1),
        ended_at: Timestamp(2),
        receive_count: 1,
        ending: Ending::Delivered,
        reason: None,
        attempts: Vec::new(),
        attributes: Default::default(),
        redacted: false,
        body: "{}".into(),
    }
}

fn archived(folder: &Path) -> Vec<String> {
    let events = Folder::new(folder).events(&Filter::default()).expect("read");
    events.map(|event| event.expect("an event").id.to_string()).collect()
}

fn unfinished(group: &str, folder: Option<&Path>) -> Unfinished {
    Unfinished {
        by: "ada".to_owned(),
        started_at: Timestamp(0),
        note: "ticket 6".to_owned(),
        subject: request(&[group], &[]).subject,
        folder: folder.map(|folder| folder.canonicalize().expect("a folder")),
        ids: BTreeSet::from(["m-gone".to_owned()]),
    }
}

#[tokio::test]
async fn messages_in_a_standard_queue_are_erased_by_the_group_that_their_sender_gave() {
    let folder = TempDir::new().expect("folder");
    let (found, queues) = place(folder.path()).await;
    let settings = towpath_local::QueueSettings { fifo: false, ..Default::default() };
    let standard = queues.events.store().set_queue("standard", settings).await.expect("a queue");
    for group in ["a", "b"] {
        let (dedup_id, attributes) = (None, Default::default());
        let message = NewMessage { group: group.into(), dedup_id, body: group.into(), attributes };
        standard.send(message).await.expect("sent");
    }
    assert_eq!(erase(&found, &request(&["a"], &[])).await.erased.other_queues, 1);
    let left = standard.browse(None, 10).await.expect("browsed");
    assert_eq!(left.iter().map(|left| left.body.text().into_owned()).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn a_named_archive_is_erased_from_as_well_as_that_of_the_store() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let (found, _queues) = place(path).await;
    let [own, copy] = [path.join("archive"), path.join("copy")];
    for folder in [&own, &copy] {
        ["g", "other"].into_iter().for_each(|group| archive(folder).keep(event(group, group)));
    }
    let named = |folder: &Path| Request { folder: Some(folder.to_owned()), ..request(&["g"], &[]) };
    assert_eq!(plan(&found, &named(&own)).await.expect("a plan").counts.archived, 1, "once");
    let report = erase(&found, &named(&copy)).await;
    assert!(report.erased.archived == 2 && report.is_complete(), "{report:?}");
    assert_eq!([archived(&own), archived(&copy)], [["other"], ["other"]]);
}

#[tokio::test]
async fn an_erasure_that_was_killed_is_completed_in_the_archive_that_it_named() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let (found, _queues) = place(path).await;
    let copy = path.join("copy");
    archive(&copy).keep(event("m-1", "g"));
    unfinished("g", Some(&copy)).write(path).expect("written");
    // About the same, but without that folder.
    let report = erase(&found, &request(&["g"], &[])).await;
    let earlier = report.earlier.expect("it was completed first");
    assert_eq!((earlier.by.as_str(), earlier.erased.archived, report.erased.archived), ("ada", 1, 0));
    assert!(archived(&copy).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_erasure_whose_events_still_arrive_is_not_replaced() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let (found, queues) = place(path).await;
    let earlier = unfinished("g", None);
    earlier.write(path).expect("written");
    let arrive = |what: &'static str, _, _| {
        if what == "rewriting the store" {
            block_in_place(|| Handle::current().block_on(send(&queues, "g", "{}")));
        }
    };
    let error = run(&found, &request(&["other"], &[]), &arrive).await.expect_err("refused");
    let Some(EraseError::Earlier { in_flight: 0, arrived: 1, .. }) = error.downcast_ref() else { panic!("{error:?}") };
    let left = Unfinished::read(path).expect("read").expect("it is not complete");
    assert!(left.by == "ada" && earlier.ids.is_subset(&left.ids), "{left:?}");
}

#[tokio::test]
async fn an_event_leaves_the_archive_only_once_its_id_is_recorded() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let (found, queues) = place(path).await;
    send(&queues, "g", "{}").await;
    let own = path.join("archive");
    let host = archive(&own);
    host.keep(event("m-early", "g"));
    let looked = Cell::new(0);
    let between = |what: &'static str, _, _| match what {
        // After the search.
        "erasing messages" => host.keep(event("m-late", "g")),
        // After the archive.
        "waiting for the audit" => {
            let recorded = Unfinished::read(path).expect("read").expect("it is under way").ids;
            assert!(recorded.contains("m-late") || archived(&own).contains(&"m-late".to_owned()), "{recorded:?}");
            looked.set(looked.get() + 1);
        }
        _ => {}
    };
    let report = run(&found, &request(&["g"], &[]), &between).await.expect("erased");
    assert!(looked.get() > 1 && report.is_complete(), "{report:?}");
    assert!(archived(&own).is_empty());
}

#[tokio::test]
async fn a_letter_that_is_erased_is_not_written_to_the_audit_and_who_writes_one_is_waited_for() {
    let folder = TempDir::new().expect("folder");
    let path = folder.path();
    let (found, queues) = place(path).await;
    let (dedup_id, attributes) = (Some("d".into()), Default::default());
    let message = NewMessage { group: "g".into(), dedup_id, body: "secret".into(), attributes };
    let id = queues.dead_letters.send(message).await.expect("sent").id;
    std::fs::write(path.join(STORY), format!("{{\"message_id\":\"{id}\"}}\n")).expect("written");
    let mut letters = letters::open(&found.backend, None, false).await.expect("letters");
    let letter = letters.next().await.expect("read").remove(0);
    let audit = crate::audit::Audit::of(&found);
    // Nobody can lock this.
    let lock = path.join("audit.lock");
    std::fs::create_dir(&lock).expect("in the way");
    audited(&audit, &mut *letters, "drop", "", &letter).await.expect_err("it needs the lock");
    run(&found, &request(&["g"], &[]), &|_, _, _| {}).await.expect_err("it needs the lock");
    assert!(queues.dead_letters.browse(None, 1).await.expect("browsed").is_empty(), "it is erased before");
    let story = || std::fs::read_to_string(path.join(STORY)).expect("read");
    assert!(story().contains(id.as_str()), "and what else tells of it after");
    std::fs::remove_dir(&lock).expect("removed");
    let gone = audited(&audit, &mut *letters, "drop", "", &letter).await.expect_err("it is gone");
    assert!(gone.to_string().contains("is gone"), "{gone}");
    assert!(erase(&found, &request(&["g"], &[])).await.is_complete());
    let audit = std::fs::read_to_string(audit.file()).expect("read");
    assert!(!audit.contains("secret") && !story().contains(id.as_str()), "{audit}");
}
