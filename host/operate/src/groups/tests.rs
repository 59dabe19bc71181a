use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use towpath_config::{Config, Secrets};
use towpath_types::queue::{NewMessage, Queue as _, Receive};

use super::*;
use crate::audit::Audit;
use crate::letters::{self, Letter};

const CONFIG: &str = "
[[route]]
path = 'goes'
group = 'goes/{json:/id}'
plugin = 'p'
[[route]]
path = 'parks'
group = 'parks/{json:/id}'
plugin = 'p'
on_dead_letter = 'park'
[plugin.p]
path = 'p'
";

struct Setup {
    folder: TempDir,
    found: Found,
}

async fn setup() -> Setup {
    let folder = TempDir::new().expect("folder");
    let queues = Queues::open(folder.path()).await.expect("store");
    let config = Config::parse(CONFIG, Path::new("towpath.toml"), &Secrets::placeholders()).expect("config");
    let found = Found { by: "ada".to_owned(), ..Found::new(Backend::Local(Box::new(queues)), Some(config)) };
    Setup { folder, found }
}

impl Setup {
    fn queues(&self) -> &Queues {
        local(&self.found).expect("a store")
    }

    async fn send(&self, group: &str, bodies: &[&str]) {
        for body in bodies {
            let dedup_id = Some((*body).into());
            let body = (*body).into();
            let message = NewMessage { group: group.into(), dedup_id, body, attributes: Default::default() };
            self.queues().events.send(message).await.expect("send");
        }
    }

    /// What a host does with all that it can receive: it fails, and releases it for a while.
    async fn fail(&self) {
        let received = self.queues().events.receive(Receive::default()).await.expect("receive");
        let wait = Duration::from_secs(600);
        let released: Vec<_> = received.into_iter().rev().map(|message| (message.handle, wait)).collect();
        for result in self.queues().events.release(&released).await {
            result.expect("released");
        }
    }

    async fn left(&self) -> Vec<String> {
        let left = self.queues().events.browse(None, 2_000).await.expect("browse");
        left.into_iter().map(|message| message.body.text().into_owned()).collect()
    }

    async fn letters(&self) -> Vec<Letter> {
        let mut letters = letters::open(&self.found.backend, None, false).await.expect("letters");
        let mut all = Vec::new();
        loop {
            let page = letters.next().await.expect("read");
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    async fn redrive(&self) {
        let all = self.letters().await;
        let mut letters = letters::open(&self.found.backend, None, false).await.expect("letters");
        let moved = letters.send_back(all).await.expect("sent back");
        assert!(moved.failed.is_empty(), "{:?}", moved.failed);
    }

    fn audit(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap_or_default()
    }

    /// The outcomes in the audit, each with its action and number.
    fn outcomes(&self) -> Vec<(String, String, u64)> {
        let recent = Audit::of(&self.found).recent(None, 100).expect("the audit");
        let outcome = |line: crate::audit::Line| Some((line.action, line.outcome?, line.messages.unwrap_or_default()));
        recent.lines.into_iter().rev().filter_map(outcome).collect()
    }

    fn tell(&self, id: &MessageId, outcome: &str, detail: &str) {
        let line = serde_json::json!({
            "timestamp": "2026-03-02T09:15:01.250000Z", "level": "INFO", "target": "towpath.story",
            "fields": {"message": "pass", "outcome": outcome, "detail": detail, "decision": "retry", "attempts": "[]"},
            "span": {"message_id": id.as_str()},
        });
        let file = self.folder.path().join(STORY);
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(file, format!("{before}{line}\n")).expect("written");
    }
}

fn error(result: anyhow::Result<Done>) -> GroupError {
    let error = result.map(|done| done.messages).expect_err("refused");
    error.downcast_ref::<GroupError>().cloned().unwrap_or_else(|| panic!("{error:#}"))
}

#[tokio::test]
async fn a_list_says_why_each_head_waits_and_its_pages_join() {
    let setup = setup().await;
    setup.send("goes/1", &["1", "2"]).await;
    setup.send("goes/2", &["3"]).await;
    setup.fail().await;
    setup.send("goes/3", &["4"]).await;
    let first = show(&setup.found, &"goes/1".into()).await.expect("read").expect("it waits");
    setup.tell(&first.head.id, "held", "target sss: on hold");
    let all = list(&setup.found, Wanted::default()).await.expect("read").expect("a store");
    assert_eq!((all.groups.len(), all.next), (3, None));
    let group = |name: &str| all.groups.iter().find(|group| group.head.group.as_str() == name).expect(name);
    assert_eq!(["goes/1", "goes/2", "goes/3"].map(|name| group(name).state()), ["held", "waits", "ready"]);
    assert_eq!(group("goes/1").head.behind, 1);
    assert_eq!(all.groups[2].head.group.as_str(), "goes/3", "what waits comes first");
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let page =
            list(&setup.found, Wanted { after, limit: 1, ..Wanted::default() }).await.expect("read").expect("a store");
        names.extend(page.groups.into_iter().map(|group| group.head.group));
        let Some(next) = page.next else { break };
        after = Some(next.to_string().parse().expect("a cursor"));
    }
    assert_eq!(names, all.groups.iter().map(|group| group.head.group.clone()).collect::<Vec<_>>());
    let begins = Some("goes/2".to_owned());
    let named = list(&setup.found, Wanted { begins, ..Wanted::default() }).await.expect("read").expect("a store");
    assert_eq!(named.groups.len(), 1);
}

#[tokio::test]
async fn a_head_is_dead_lettered_with_who_and_why_and_the_rest_goes_on() {
    let setup = setup().await;
    let group = GroupId::from("goes/1");
    setup.send("goes/1", &["1", "2", "3"]).await;
    setup.fail().await;
    let head = show(&setup.found, &group).await.expect("read").expect("it waits").head.id;
    assert_eq!(error(dead_letter(&setup.found, &group, Some(&head), " ").await), GroupError::NoNote);
    let done = dead_letter(&setup.found, &group, Some(&head), "bad <data>").await.expect("moved");
    assert_eq!((done.messages, done.is_rest), (1, false));
    assert_eq!(setup.left().await, ["2", "3"]);
    let letters = setup.letters().await;
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.death.reason.as_str(), letter.death.detail.as_str()), ("operator", "by ada: bad <data>"));
    assert_eq!(
        (letter.first_id(), letter.death.route.as_deref(), letter.death.parks),
        (head.clone(), Some("goes"), false)
    );
    assert!(letter.death.is_verified(), "its route needs no verification");
    let audit = setup.audit();
    assert!(audit.contains(r#""by":"ada","action":"dead-letter""#) && audit.contains("bad <data>"), "{audit}");
    assert_eq!(setup.outcomes(), [("dead-letter".to_owned(), "done".to_owned(), 1)]);
    // It was done already.
    let again = dead_letter(&setup.found, &group, Some(&head), "twice").await;
    assert_eq!(error(again), GroupError::Changed { group, head });
    setup.redrive().await;
    assert_eq!(setup.left().await, ["2", "3", "1"]);
}

#[tokio::test]
async fn nothing_is_done_while_a_host_has_the_head_and_nothing_is_written_then() {
    let setup = setup().await;
    setup.send("parks/1", &["1", "2"]).await;
    let group = GroupId::from("parks/1");
    setup.queues().events.receive(Receive { max: 1, ..Receive::default() }).await.expect("receive");
    let busy = GroupError::Busy(group.clone());
    assert_eq!(error(retry(&setup.found, &group, None, "now").await), busy);
    assert_eq!(error(dead_letter(&setup.found, &group, None, "now").await), busy);
    assert_eq!(error(park(&setup.found, &group, None, "now").await), busy);
    assert_eq!((setup.left().await.len(), setup.letters().await.len(), setup.audit()), (2, 0, String::new()));
    let nothing = GroupId::from("goes/none");
    assert_eq!(error(retry(&setup.found, &nothing, None, "now").await), GroupError::Nothing(nothing));
}

#[tokio::test]
async fn a_head_is_retried_now() {
    let setup = setup().await;
    setup.send("goes/1", &["1", "2"]).await;
    setup.fail().await;
    let group = GroupId::from("goes/1");
    let done = retry(&setup.found, &group, None, "the target is back").await.expect("retried");
    assert_eq!(done.messages, 2);
    assert!(setup.audit().contains(r#""action":"retry""#), "{}", setup.audit());
    assert_eq!(setup.outcomes(), [("retry".to_owned(), "done".to_owned(), 2)]);
    let received = setup.queues().events.receive(Receive::default()).await.expect("receive");
    assert_eq!(received.len(), 2);
}

#[tokio::test]
async fn a_group_is_parked_in_order_and_comes_back_in_order_before_what_arrived_meanwhile() {
    let setup = setup().await;
    let group = GroupId::from("parks/1");
    let many: Vec<String> = (0..MOST_IN_ONE + 20).map(|n| format!("{n}")).collect();
    let all: Vec<&str> = many.iter().map(String::as_str).collect();
    setup.send("parks/1", &all).await;
    setup.fail().await;
    setup.send("goes/1", &["other"]).await;
    assert_eq!(
        error(park(&setup.found, &"goes/1".into(), None, "stop").await),
        GroupError::DoesNotPark("goes/1".into())
    );
    let without = Found { config: None, ..setup.found.clone() };
    assert_eq!(error(park(&without, &group, None, "stop").await), GroupError::NoConfig(group.clone()));
    let done = park(&setup.found, &group, None, "stop").await.expect("parked");
    assert_eq!((done.messages, done.is_rest), (all.len() as u64, false));
    assert_eq!(setup.outcomes(), [("park".to_owned(), "done".to_owned(), all.len() as u64)]);
    assert_eq!(setup.left().await, ["other"]);
    let letters = setup.letters().await;
    assert_eq!(letters[0].death.reason, "operator");
    assert!(letters[1..].iter().all(|letter| letter.is_parked()));
    assert!(letters.iter().all(|letter| letter.death.parks));
    setup.send("parks/1", &["late"]).await;
    setup.redrive().await;
    let expected: Vec<&str> = all.iter().copied().chain(["late"]).collect();
    let left = setup.left().await;
    assert_eq!(left.iter().filter(|body| *body != "other").collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_audit_says_that_nothing_was_done_if_the_group_became_busy() {
    let setup = setup().await;
    setup.send("parks/1", &["1", "2"]).await;
    let group = GroupId::from("parks/1");
    let (queues, before) = act::begin(&setup.found, Action::Park, &group, None, "stop").await.expect("it may be done");
    let undertaker = act::Undertaker::of(&setup.found, queues, &before, "stop").await.expect("keys");
    setup.queues().events.receive(Receive { max: 1, ..Receive::default() }).await.expect("receive");
    let mut messages = 0;
    let ended = undertaker.bury_all(queues, &before, &mut messages).await;
    let refused = act::end(&setup.found, Action::Park, before, messages, ended);
    assert_eq!(error(refused), GroupError::Busy(group));
    assert_eq!(setup.outcomes(), [("park".to_owned(), "refused".to_owned(), 0)]);
}

/// More than one transaction moves.
const MOST_IN_ONE: usize = towpath_local::MOST_MOVED;

#[tokio::test]
async fn a_consequence_says_what_happens_to_those_behind() {
    let setup = setup().await;
    setup.send("goes/1", &["1", "2", "3", "4"]).await;
    setup.send("parks/1", &["5", "6"]).await;
    let of = async |name: &str| show(&setup.found, &name.into()).await.expect("read").expect("it waits");
    let (goes, parks) = (of("goes/1").await, of("parks/1").await);
    assert_eq!(Action::DeadLetter.consequence(&goes), "3 events are delivered after it.");
    assert!(Action::DeadLetter.consequence(&parks).starts_with("1 event behind it is parked too"));
    assert!(Action::Park.consequence(&parks).starts_with("It and 1 event behind it go"));
    assert!(Action::Retry.consequence(&goes).contains("3 events behind it follow"));
}
