use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_archive::{Folder, Segments, Settings};
use towpath_config::{Config, Secrets};
use towpath_types::archive::{Archive as _, Ending};
use towpath_types::envelope::Webhook;
use towpath_types::queue::{NewMessage, Queue as _, Receive};

use super::*;
use crate::archive::Archive;
use crate::audit::Audit;
use crate::groups;
use crate::letters;
use crate::queues::Queues;

const CONFIG: &str = "
[[route]]
path = 'crm'
group = 'crm/{json:/id}'
target = 'sss'
[target.sss]
url = 'https://sss.example.com/'
";

struct Setup {
    folder: TempDir,
    found: Found,
    story: StoryPlace,
    archive: FoundArchive,
}

impl Setup {
    async fn new() -> Setup {
        let folder = TempDir::new().expect("folder");
        let queues = Queues::open(folder.path()).await.expect("store");
        let config = Config::parse(CONFIG, Path::new("towpath.toml"), &Secrets::placeholders()).expect("config");
        let found = Found { by: "ada".to_owned(), ..Found::new(Backend::Local(Box::new(queues)), Some(config)) };
        let store = Some(folder.path().to_owned());
        let story = StoryPlace { config: "none".into(), config_was_named: false, store, file: None, logs: None };
        let archive =
            FoundArchive { archive: Archive::Folder(Folder::new(folder.path().join("archive"))), config: None };
        Setup { folder, found, story, archive }
    }

    fn queues(&self) -> &Queues {
        let Backend::Local(queues) = &self.found.backend else { unreachable!() };
        queues
    }

    async fn send(&self) -> MessageId {
        let headers = vec![("authorization".to_owned(), b"Bearer hush-hush".to_vec())];
        let webhook = Webhook { headers, body: br#"{"id": 7}"#.to_vec(), ..Webhook::default() };
        let group = "crm/7".into();
        let message =
            NewMessage { group, dedup_id: Some("1".into()), body: webhook.into(), attributes: Default::default() };
        self.queues().events.send(message).await.expect("send").id
    }

    /// Writes a line of the story, at this second.
    fn tell(&self, second: u32, fields: Value, id: &MessageId) {
        let line = json!({
            "timestamp": format!("2026-03-02T09:15:{second:02}.250000Z"), "level": "INFO", "target": "towpath.story",
            "fields": fields, "span": {"message_id": id.as_str(), "group": "crm/7", "route": "crm"},
        });
        let file = self.folder.path().join(STORY);
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(file, format!("{before}{line}\n")).expect("written");
    }

    fn tell_of_a_failure(&self, second: u32, id: &MessageId) {
        let attempts = r#"[{"target":"sss","method":"POST","path":"/","status":503,"error":null,"ms":40}]"#;
        let pass = json!({"message": "pass", "outcome": "unavailable", "decision": "retry", "attempts": attempts, "took_ms": 50.0});
        self.tell(second, pass, id);
    }

    async fn find(&self, id: &str) -> Option<Timeline> {
        let sources = Sources { found: &self.found, story: &self.story, archive: Some(&self.archive) };
        Timeline::of(sources, id).await.expect("found or not")
    }
}

fn whats(timeline: &Timeline) -> Vec<&str> {
    timeline.steps.iter().map(|step| step.what.as_str()).collect()
}

#[tokio::test]
async fn a_waiting_event_has_its_passes_its_place_and_its_content() {
    let setup = Setup::new().await;
    let id = setup.send().await;
    setup.tell_of_a_failure(2, &id);
    // Logged late.
    setup.tell(3, json!({"message": "stored", "sequence": "1", "verified_by": "crm"}), &id);
    setup.tell_of_a_failure(9, &id);
    let found = setup.find(&id.as_str()[..10]).await.expect("found");
    assert_eq!(whats(&found), ["stored", "unavailable", "unavailable"]);
    assert_eq!(
        (found.message_id.clone(), found.group.clone(), found.route.as_deref()),
        (id, Some("crm/7".into()), Some("crm"))
    );
    assert!(matches!(found.place, Place::Waits { receive_count: 0, .. }));
    let pass = &found.steps[2];
    assert_eq!((pass.took.as_millis(), pass.attempts[0].millis, pass.attempts[0].status), (50, 40, Some(503)));
    assert_eq!(pass.at.since(pass.began()).as_millis(), 50);
    let content = found.content.expect("its content");
    assert_eq!(content.origin, Origin::Queue);
    let webhook = content.webhook().expect("a webhook");
    assert_eq!(webhook.body, br#"{"id": 7}"#);
    assert_eq!(webhook.header("authorization"), Some(b"(hidden, 16 bytes)".as_slice()));
    let case = serde_json::to_string(&content.case().expect("a case")).expect("JSON");
    assert!(case.contains(r#""body":{"id": 7}"#) && !case.contains("hush"), "{case}");
}

#[tokio::test]
async fn a_dead_letter_is_found_by_both_its_ids_with_what_operators_did() {
    let setup = Setup::new().await;
    let id = setup.send().await;
    setup.tell(1, json!({"message": "stored"}), &id);
    setup.tell_of_a_failure(2, &id);
    let group = GroupId::from("crm/7");
    groups::dead_letter(&setup.found, &group, None, "no such customer").await.expect("moved");
    let mut letters = letters::open(&setup.found.backend, None, false).await.expect("letters");
    let letter = letters.next().await.expect("read").remove(0);
    assert_ne!(letter.id, id);
    Audit::of(&setup.found).look(&id, &group).expect("written");
    for asked in [&id, &letter.id] {
        let found = setup.find(asked.as_str()).await.expect("found");
        assert_eq!(whats(&found), ["stored", "unavailable", "dead-letter", "dead-letter", "look"], "{asked}");
        assert_eq!((found.message_id.clone(), found.steps[2].by.as_deref()), (id.clone(), Some("ada")));
        assert_eq!(found.steps[2].detail, "no such customer");
        assert_eq!(found.death().map(|death| death.reason.as_str()), Some("operator"));
        assert_eq!(found.content.expect("its content").origin, Origin::DeadLetters);
    }
    let moved = letters.send_back(vec![letter]).await.expect("sent back");
    assert_eq!(moved.moved, 1);
    let found = setup.find(id.as_str()).await.expect("found");
    assert!(matches!(found.place, Place::Waits { .. }), "{:?}", found.place);
    assert_eq!(found.message_id, id, "a redrive gives the message another id in its queue");
}

#[tokio::test]
async fn a_delivered_event_comes_from_the_archive_also_when_the_story_has_forgotten_it() {
    let setup = Setup::new().await;
    let id = setup.send().await;
    let received = setup.queues().events.receive(Receive::default()).await.expect("receive").remove(0);
    let folder = setup.folder.path().join("archive");
    let settings = Settings { folder, keep: std::time::Duration::from_secs(3600), max_size: 1 << 30 };
    let outcome = towpath_types::outcome::Outcome::Delivered(Vec::new());
    let event = Archived::of(&received, &outcome, "crm", None, Timestamp(1_800_000_000_000)).expect("an entry");
    assert_eq!(event.ending, Ending::Delivered);
    Segments::new(settings, |_| ()).keep(event);
    setup.queues().events.delete(&[received.handle]).await.remove(0).expect("deleted");
    let found = setup.find(id.as_str()).await.expect("found");
    assert_eq!((found.place.clone(), whats(&found)), (Place::Archived, vec!["delivered"]));
    let content = found.content.expect("its content");
    assert_eq!(content.origin, Origin::Archive);
    let again = compute_again(&setup.found, &content).await.expect("computed");
    assert_eq!(again.verdict["verdict"]["deliver"][0]["target"], "sss");
    assert!(!again.verdict.to_string().contains("hush"), "{}", again.verdict);
}

#[tokio::test]
async fn what_nobody_knows_is_not_found_and_a_short_id_is_refused() {
    let setup = Setup::new().await;
    setup.send().await;
    for id in ["12345678-none", "../../etc/passwd", "<script>alert(1)", "%00%0a\n\"'\\"] {
        assert!(setup.find(id).await.is_none(), "{id}");
    }
    let sources = Sources { found: &setup.found, story: &setup.story, archive: None };
    assert!(Timeline::of(sources, "1").await.is_err());
}

#[tokio::test]
async fn lines_of_the_audit_from_one_millisecond_stay_in_their_order() {
    let folder = tempfile::TempDir::new().expect("folder");
    let file = folder.path().join("audit.jsonl");
    let line = |id: &str, action: &str| {
        let line = json!({"at": 1_772_442_901_250_u64, "by": "ada", "action": action, "id": id, "group": "crm/7"});
        format!("{line}\n")
    };
    let lines = [("first-id", "retry"), ("letter-id", "edit"), ("first-id", "look"), ("letter-id", "drop")];
    std::fs::write(&file, lines.map(|(id, action)| line(id, action)).concat()).expect("written");
    let steps = super::step::of_audit(file, &["letter-id".to_owned(), "first-id".to_owned()]).await.expect("read");
    let actions: Vec<&str> = steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(actions, ["retry", "edit", "look", "drop"]);
}
