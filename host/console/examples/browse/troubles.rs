//! A store with troubles of every kind: groups that are stuck, held and in flight, letters of many reasons with their stories, what ingest turned
//! away, a target on hold, and an audit. `tests/browser/troubles.js` has the same names.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use towpath_operate::audit::Audit;
use towpath_operate::place::Found;
use towpath_operate::queues::Queues;
use towpath_operate::{groups, hold};
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::{DeadLetter, Seen};
use towpath_types::envelope::Webhook;
use towpath_types::outcome::{Answer, Attempt};
use towpath_types::queue::{MessageId, NewMessage, Queue as _, Receive};

/// No spaces: a group has none.
const HOSTILE: &str = "<script>alert('body')</script><img/src/onerror=alert(1)>";

/// The size of the largest body.
const LARGE: usize = 1024 * 1024;

/// The beginning of a digest of the build in the config.
const DIGEST: &str = "43bf022baa3b";

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A group whose head failed: its number, what came of its last pass, and how many wait behind it.
const STUCK: [(u32, &str, usize); 6] = [
    (2001, "unavailable", 3),
    (2002, "held", 11),
    (2003, "unavailable", 1),
    (2004, "unavailable", 1),
    (2005, "unavailable", 2),
    (2007, "unavailable", 1),
];

/// Fills the store, and writes the story of what is in it.
pub(crate) async fn fill(found: &Found, queues: &Queues, story: &Path) -> anyhow::Result<()> {
    let mut told = Story { now: queues.events.store().now(), lines: Vec::new() };
    passes_of_today(&mut told);
    waiting(queues, &mut told).await?;
    letters(queues, &mut told).await?;
    refused(queues, told.now).await?;
    told.write(story)?;
    let ben = Found { by: "ben".to_owned(), ..found.clone() };
    hold::hold(&ben, "billing", None, Some("release 4.2".to_owned())).await?;
    groups::retry(&ben, &"crm/4001".into(), None, "ticket 4711: it answers again").await?;
    groups::dead_letter(&ben, &"crm/4002".into(), None, HOSTILE).await?;
    Audit::of(&ben).look(&id(1).as_str().into(), &"crm/1001".into())
}

/// The id of the letter with this number.
fn id(number: u32) -> String {
    format!("{number:04}c0de-4f1a-4b7e-9d3c-5a1e7b2f9d{number:02}")
}

/// An event of a workflow, as the plugin `approval` takes it.
fn event(id: &str, title: &str) -> Webhook {
    let body = json!({
        "id": id,
        "event": "approval.completed",
        "occurred_at": "2026-03-02T11:02:45Z",
        "workflow": { "id": format!("WF-{id}"), "title": title, "amount": { "value": 1_250_000, "currency": "JPY" } },
    });
    posted(body.to_string())
}

fn posted(body: String) -> Webhook {
    let headers = [("content-type", "application/json"), ("user-agent", "WorkflowHooks/3.2"), ("x-html", HOSTILE)];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    Webhook { headers: headers.to_vec(), body: body.into_bytes(), ..Webhook::default() }
}

/// An event of exactly [`LARGE`] bytes.
fn large() -> Webhook {
    let mut webhook = event("large", HOSTILE);
    webhook.body.pop();
    webhook.body.extend_from_slice(b",\"text\":\"");
    let filled = LARGE.saturating_sub(2);
    webhook.body.resize(filled, b'x');
    webhook.body.extend_from_slice(b"\"}");
    webhook
}

/// Sends an event, and returns its id in the queue.
async fn send(queues: &Queues, group: &str, number: usize) -> anyhow::Result<MessageId> {
    let name = group.rsplit('/').next().unwrap_or_default();
    let message = NewMessage {
        group: group.into(),
        dedup_id: Some(format!("{group}-{number}").into()),
        body: event(name, &format!("Discount {number}")).into(),
        attributes: Default::default(),
    };
    Ok(queues.events.send(message).await?.id)
}

/// Groups whose heads failed, one that is in flight, and some that are ready.
async fn waiting(queues: &Queues, told: &mut Story) -> anyhow::Result<()> {
    for (number, outcome, _) in STUCK {
        let group = format!("crm/{number}");
        let id = send(queues, &group, 0).await?;
        let reason = if outcome == "held" { "billing is on hold: release 4.2" } else { "" };
        let attempts = if outcome == "held" { json!([]) } else { json!([attempt("sss", number, 503)]) };
        told.pass(2 * MINUTE, &Pass { id: id.as_str(), group: &group, outcome, reason, attempts, is_last: false });
    }
    let received = queues.events.receive(Receive::default()).await?;
    let released: Vec<_> = received.into_iter().rev().map(|message| (message.handle, HOUR)).collect();
    for result in queues.events.release(&released).await {
        result?;
    }
    send(queues, "crm/2006", 0).await?;
    queues.events.receive(Receive { visibility: Some(HOUR), ..Receive::default() }).await?;
    for (number, _, behind) in STUCK {
        for at in 1..=behind {
            send(queues, &format!("crm/{number}"), at).await?;
        }
    }
    for group in ["crm/4001", "crm/4002", "shop/7", &format!("crm/1{HOSTILE}")] {
        send(queues, group, 0).await?;
    }
    Ok(())
}

/// Letters of many reasons.
async fn letters(queues: &Queues, told: &mut Story) -> anyhow::Result<()> {
    let now = told.now;
    let of_crm = DeadLetter {
        v: 1,
        route: Some("crm".to_owned()),
        plugin: Some("approval".to_owned()),
        digest: Some(DIGEST.repeat(5)),
        verified: true,
        receive_count: 3,
        source: "events.fifo".to_owned(),
        ..DeadLetter::default()
    };
    let no_event = "no-event: the header x-github-event is missing";
    let of_shop = DeadLetter { route: Some("shop".to_owned()), plugin: None, digest: None, ..of_crm.clone() };
    let kinds: [(u32, &str, &str, &str, &DeadLetter); 20] = [
        (1, "crm/1001", "rejected", no_event, &of_crm),
        (2, "crm/1002", "refused", "sss refused it", &of_crm),
        (3, "crm/1002", "parked", "behind an earlier dead letter", &of_crm),
        (4, "crm/1002", "parked", "behind an earlier dead letter", &of_crm),
        (5, "crm/1005", "rejected", no_event, &of_crm),
        (6, "crm/1006", "plugin-trap", "wasm trap: wasm `unreachable` instruction executed", &of_crm),
        (7, "shop/31", "waited-too-long", "billing did not take it within 13 days", &of_shop),
        (8, "shop/32", "waited-too-long", "billing did not take it within 13 days", &of_shop),
        (9, "crm/large", "bad-request", "the request would be too long", &of_crm),
        (10, "crm/8<script>alert(8)</script>", "unverified", HOSTILE, &of_crm),
        (11, "crm/3001", "plugin-timeout", "no verdict within 2 s", &of_crm),
        (12, "crm/3002", "plugin-timeout", "no verdict within 2 s", &of_crm),
        (13, "crm/3003", "plugin-timeout", "no verdict within 2 s", &of_crm),
        (14, "crm/3004", "expired", "older than 14 days", &of_crm),
        (15, "crm/3005", "expired", "older than 14 days", &of_crm),
        (16, "crm/3006", "expired", "older than 14 days", &of_crm),
        (17, "crm/1017", "rejected", no_event, &of_crm),
        (18, "shop/33", "refused", "billing refused it", &of_shop),
        (19, "shop/34", "refused", "billing refused it", &of_shop),
        (20, "shop/35", "max-receives", "moved by the queue after 100 receives", &of_shop),
    ];
    for (number, group, reason, detail, common) in kinds {
        let age = HOUR * (21 - number);
        let mut letter = DeadLetter {
            id: id(number),
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            sent_at: now - age - 10 * MINUTE,
            failed_at: now - age,
            ..common.clone()
        };
        decorate(&mut letter, number);
        told.letter(&letter, group, age);
        let name = group.rsplit('/').next().unwrap_or_default();
        let webhook = if group == "crm/large" { large() } else { event(name, HOSTILE) };
        let letter = letter.carried_by(group.into(), webhook.into(), Default::default());
        queues.dead_letters.send(letter).await?;
    }
    Ok(())
}

/// Adds what only letters of some reasons have.
fn decorate(letter: &mut DeadLetter, number: u32) {
    match letter.reason.as_str() {
        "refused" => {
            let excerpt = format!("{{\"error\":\"the amount is missing\",\"html\":\"{HOSTILE}\"}}");
            let target = if letter.plugin.is_some() { "sss" } else { "billing" };
            letter.attempts = vec![Attempt {
                target: target.to_owned(),
                method: "PUT".to_owned(),
                path: format!("/approvals/WF-{number}/progress"),
                answer: Answer::Status { status: 422, excerpt: excerpt.clone() },
                millis: 38,
            }];
            letter.status = Some(422);
            letter.excerpt = excerpt;
            letter.parks = letter.plugin.is_some();
        }
        "plugin-trap" => {
            letter.trace = ["approval::amount", "approval::transform"].map(str::to_owned).to_vec();
            letter.stderr = format!("thread panicked: {HOSTILE}\n");
        }
        "unverified" => letter.verified = false,
        _ => {}
    }
}

/// What ingest turned away.
async fn refused(queues: &Queues, now: Timestamp) -> anyhow::Result<()> {
    let kinds = [
        (31, "crm/5001", Some("crm"), "unverified", HOSTILE),
        (32, "crm/5002", Some("crm"), "missing-key", "the group needs /id"),
        (33, "crm/5003", Some(HOSTILE), "no-route", "no route has this path"),
    ];
    for (number, group, route, reason, detail) in kinds {
        let seen = Seen { route, plugin: Some("approval"), ..Seen::default() };
        let letter = DeadLetter::refused_at_ingest(id(number), seen, reason, detail.to_owned(), now - HOUR);
        let name = group.rsplit('/').next().unwrap_or_default();
        let body = event(name, HOSTILE).into();
        queues.refused.send(letter.carried_by(group.into(), body, Default::default())).await?;
    }
    Ok(())
}

/// Passes of another event each, all of them a minute ago.
fn passes_of_today(told: &mut Story) {
    for (outcome, reason) in [("delivered", ""), ("unavailable", "no answer"), ("refused", HOSTILE)] {
        let id = format!("8f3c2b1a-{outcome}");
        let pass = Pass { id: &id, group: "crm/1", outcome, reason, attempts: json!([]), is_last: false };
        told.pass(MINUTE, &pass);
    }
}

fn attempt(target: &str, number: u32, status: u16) -> Value {
    json!({ "target": target, "method": "PUT", "path": format!("/approvals/WF-{number}/progress"), "status": status, "ms": 38 })
}

/// The lines of a story, each with its time.
struct Story {
    now: Timestamp,
    lines: Vec<(Timestamp, Value)>,
}

/// A pass of an event.
struct Pass<'a> {
    id: &'a str,
    group: &'a str,
    outcome: &'a str,
    reason: &'a str,
    attempts: Value,
    /// Whether it became a dead letter.
    is_last: bool,
}

impl Story {
    /// A pass, so long ago.
    fn pass(&mut self, ago: Duration, pass: &Pass<'_>) {
        let Pass { id, group, outcome, reason, attempts, is_last } = pass;
        let decision = match (*outcome, is_last) {
            ("delivered", _) => "ack",
            (_, true) => "dead-letter",
            _ => "retry",
        };
        let fields = json!({
            "message": "pass", "outcome": outcome, "decision": decision, "reason": reason, "attempts": attempts.to_string(),
            "took_ms": 41.5, "retry_after_s": 3600.0, "age_s": 600.0,
        });
        self.line(ago, id, group, &fields);
    }

    /// The story of a letter: it was stored, tried, and given up.
    fn letter(&mut self, letter: &DeadLetter, group: &str, ago: Duration) {
        let number = letter.id.get(..4).and_then(|number| number.parse().ok()).unwrap_or_default();
        let attempts = |status| match letter.attempts.first() {
            Some(own) => json!([attempt(&own.target, number, status)]),
            None => json!([]),
        };
        let pass =
            Pass { id: &letter.id, group, outcome: "unavailable", reason: "", attempts: attempts(503), is_last: false };
        self.line(
            ago + 10 * MINUTE,
            &letter.id,
            group,
            &json!({ "message": "stored", "sequence": "18", "verified_by": "hmac" }),
        );
        self.pass(ago + 9 * MINUTE, &pass);
        self.pass(ago + 4 * MINUTE, &pass);
        let end =
            Pass { outcome: &letter.reason, reason: &letter.detail, attempts: attempts(422), is_last: true, ..pass };
        self.pass(ago, &end);
    }

    fn line(&mut self, ago: Duration, id: &str, group: &str, fields: &Value) {
        let at = self.now - ago;
        let route = group.split('/').next().unwrap_or_default();
        let line = json!({
            "timestamp": at.to_string(), "level": "INFO", "target": "towpath.story", "fields": fields,
            "span": { "message_id": id, "group": group, "route": route, "plugin": "approval", "digest": DIGEST },
        });
        self.lines.push((at, line));
    }

    /// Writes the lines, the oldest first.
    fn write(mut self, file: &Path) -> std::io::Result<()> {
        self.lines.sort_by_key(|(at, _)| *at);
        let text: String = self.lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        std::fs::write(file, text)
    }
}
