use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use towpath_archive::Stats;
use towpath_local::{Browsed, GroupDepth, LetterCount};
use towpath_types::archive::{Archived as Event, Ending};
use towpath_types::clock::Timestamp;
use towpath_types::dead_letter::{DEAD_LETTER_ATTRIBUTE, DeadLetter};
use towpath_types::holds::{BreakerReport, Drain, Hold, HoldState};
use towpath_types::message::{Note, ORIGIN_ATTRIBUTE, Origin};
use towpath_types::outcome::{Answer, Attempt};
use towpath_types::queue::{Attribute, Attributes};

use super::*;
use crate::audit::AuditEntry;
use crate::dlq::edit::{Done, WebhookId};
use crate::dlq::{diff, redrive, stats};
use crate::letters::{Letter, Moved, NotSentBack, browsed_letter};
use crate::record::Saved;
use crate::secret_headers::SecretHeaders;
use crate::trace::MessagePlace;
use crate::waiting::Waiting;
use crate::{hold, status, story, trace};

const NOW: Timestamp = Timestamp(1_795_819_227_123);
const TEXT: &str = "2026-11-27T22:40:27.123Z";

fn stored_death() -> DeadLetter {
    let attempt =
        |answer| Attempt { target: "sss".into(), method: "POST".into(), path: "/t".into(), answer, millis: 12 };
    DeadLetter {
        v: 1,
        reason: "refused".to_owned(),
        detail: "sss: POST /t: 400".to_owned(),
        status: Some(400),
        attempts: vec![
            attempt(Answer::Status { status: 400, excerpt: "no".to_owned() }),
            attempt(Answer::None { problem: "timed out".to_owned() }),
        ],
        route: Some("crm".to_owned()),
        verified: true,
        id: "m-1".to_owned(),
        receive_count: 3,
        source: "events.fifo".to_owned(),
        sent_at: NOW,
        failed_at: NOW,
        ..DeadLetter::default()
    }
}

fn stored_letter() -> Letter {
    let note = Note { at: NOW, by: "ada".to_owned(), text: "ticket 1".to_owned(), unverified: false };
    let origin = Origin { id: "m-1".into(), sent_at: NOW, notes: vec![note], mac: None };
    let text = |value: Value| Attribute::text(value.to_string());
    let attributes = Attributes::from([
        (DEAD_LETTER_ATTRIBUTE.to_owned(), text(json!(stored_death()))),
        (ORIGIN_ATTRIBUTE.to_owned(), text(json!(origin))),
    ]);
    browsed_letter(Browsed {
        sequence: "00000000000000000007".to_owned(),
        id: "l-1".into(),
        group: "crm/1".into(),
        sent_at: NOW,
        receive_count: 1,
        source: None,
        attributes,
        body: "{}".into(),
        kept_since: NOW,
    })
}

fn death() -> Value {
    json!({
        "message_id": "m-1", "reason": "refused", "detail": "sss: POST /t: 400", "status": 400,
        "attempts": [
            { "target": "sss", "method": "POST", "path": "/t", "status": 400, "duration_ms": 12, "excerpt": "no" },
            { "target": "sss", "method": "POST", "path": "/t", "error": "timed out", "duration_ms": 12 },
        ],
        "route": "crm", "verified": true, "receive_count": 3, "queue": "events.fifo", "sent_at": TEXT, "failed_at": TEXT,
    })
}

fn stored_holds() -> HoldState {
    let hold = Hold { since: NOW, until: Some(NOW), reason: "release".to_owned(), by: "ada".to_owned() };
    HoldState {
        holds: BTreeMap::from([("sss".to_owned(), hold)]),
        drains: BTreeMap::from([("crm".to_owned(), Drain { at: NOW, per_second: 10.0 })]),
    }
}

fn holds() -> Value {
    json!({
        "holds": { "sss": { "started_at": TEXT, "ends_at": TEXT, "reason": "release", "by": "ada" } },
        "drains": { "crm": { "resumed_at": TEXT, "per_second": 10.0 } },
    })
}

/// The shapes of letters, each with what it must be.
fn letters() -> Vec<(&'static str, Value, Value)> {
    let letter = stored_letter();
    let note = json!({ "edited_at": TEXT, "by": "ada", "text": "ticket 1" });
    let listed = json!({ "message_id": "m-1", "letter_id": "l-1", "group": "crm/1", "letter": death() });
    let whole = json!({
        "message_id": "m-1", "letter_id": "l-1", "webhook_id": "m-1", "group": "crm/1", "letter": death(),
        "notes": [note], "method": "POST", "headers": [], "attributes": [ORIGIN_ATTRIBUTE], "body": "{}",
    });
    let done = Done {
        letter: letter.clone(),
        group: "crm/2".into(),
        before: b"{}".to_vec(),
        after: b"\xff".to_vec(),
        webhook_id: WebhookId::Kept { of_key: "msg_2".into() },
    };
    let edited = json!({
        "message_id": "m-1", "group": "crm/2", "group_before": "crm/1", "before": "{}", "after_base64": "/w==",
        "webhook_id": "m-1", "webhook_id_of_key": "msg_2",
    });
    let row = stats::Row { route: None, reason: "unreadable".to_owned(), letters: 2, first: NOW, last: NOW };
    let counted = json!({ "reason": "unreadable", "letters": 2, "first_failed_at": TEXT, "last_failed_at": TEXT });
    let compared = diff::Row {
        message_id: "m-1".into(),
        group: "crm/1".to_owned(),
        reason: "refused".to_owned(),
        changed: true,
        now: None,
        new: json!({ "retry": { "after_ms": 5 } }),
    };
    let differs = json!({
        "message_id": "m-1", "group": "crm/1", "reason": "refused", "changed": true, "new": { "retry": { "after_ms": 5 } },
    });
    vec![
        ("dlq list", json!(Listed::of(&letter)), listed),
        ("dlq show", json!(Whole::of(&letter, &SecretHeaders::of(None), |_| String::new())), whole),
        ("dlq edit", json!(Edited::of(&done)), edited),
        ("dlq stats", json!(Counted::of(&row)), counted),
        ("dlq diff", json!(compared), differs),
    ]
}

/// The shapes of a redrive and of the audit.
fn actions() -> Vec<(&'static str, Value, Value)> {
    let mut plan = redrive::Plan::default();
    plan.letters = 1;
    plan.groups = 1;
    plan.oldest = Some(NOW);
    plan.reasons = BTreeMap::from([("refused".to_owned(), 1)]);
    plan.held_targets = BTreeSet::from(["sss".to_owned()]);
    plan.digest = "9f".to_owned();
    let planned = json!({
        "letters": 1, "groups": 1, "oldest_sent_at": TEXT, "reasons": { "refused": 1 }, "parked_along": 0,
        "held_targets": ["sss"], "digest": "9f",
    });
    let failed = NotSentBack { id: "m-2".into(), problem: "too large".to_owned(), error: None };
    let moved = Moved { moved: 1, failed: vec![failed], perhaps_twice: vec!["m-3".into()] };
    let dropped = json!(Dropped::of(&moved));
    let report = redrive::Report { moved, died_again: 0, stopped: true };
    let reported = json!({
        "moved": 1, "failed": [{ "message_id": "m-2", "problem": "too large" }], "perhaps_twice": ["m-3"], "died_again": 0,
        "stopped": true,
    });
    let entry = AuditEntry {
        at: NOW,
        by: "ada".to_owned(),
        action: "redrive".to_owned(),
        reason: None,
        id: "l-1".into(),
        group: "crm/1".into(),
        note: String::new(),
        accepted_unverified: false,
        letter: stored_death(),
        body: None,
        attributes: Attributes::new(),
    };
    let action = json!({
        "recorded_at": TEXT, "by": "ada", "action": "redrive", "message_id": "m-1", "letter_id": "l-1", "group": "crm/1",
        "note": "", "letter": death(),
    });
    let saved = Saved { case: "cases/recorded-1".into(), group: "crm/1".to_owned(), known: false };
    vec![
        ("dlq redrive --plan", json!(Plan::of(&plan)), planned),
        ("dlq redrive", json!(Report::of(&report)), reported),
        ("dlq drop", dropped, json!({ "dropped": 1, "failed": [{ "message_id": "m-2", "problem": "too large" }] })),
        ("dlq audit", json!(Action::of(&entry)), action),
        ("record", json!(saved), json!({ "case": "cases/recorded-1", "group": "crm/1", "known": false })),
    ]
}

/// The shapes of holds and of the status.
fn targets() -> Vec<(&'static str, Value, Value)> {
    let resumed =
        hold::Resumed { state: stored_holds(), checks: Some(hold::Checks { by: NOW, older_by: NOW }), held_by: None };
    let mut checked = holds();
    checked["checked_again"] = json!({ "latest_at": TEXT, "older_latest_at": TEXT });
    let state = stored_holds();
    let target = status::TargetStatus {
        name: "sss".to_owned(),
        state: "held",
        hold: state.holds.get("sss").cloned(),
        checked_within: Some(std::time::Duration::from_secs(60)),
        held_by_config: false,
        drain: state.drains.get("crm").copied(),
        breaker: Some(BreakerReport { target: "sss".to_owned(), open: true, at: NOW, probe_at: Some(NOW) }),
    };
    let waiting = Waiting { messages: 3, invisible: 1, groups: Some(2), oldest: Some(NOW) };
    let status = status::Status {
        targets: vec![target],
        queue: Some(waiting),
        dead_letters: Waiting { messages: 0, invisible: 0, groups: None, oldest: None },
        letters: Some(vec![
            LetterCount { route: "crm".to_owned(), reason: "refused".to_owned(), messages: 2 },
            LetterCount { route: String::new(), reason: "other".to_owned(), messages: 1 },
        ]),
        refused: Some(Waiting { messages: 4, invisible: 0, groups: Some(1), oldest: None }),
        groups: Some(vec![GroupDepth {
            group: "crm/1".into(),
            messages: 3,
            oldest: NOW,
            ready_at: NOW,
            receive_count: 2,
        }]),
        archive: Some(Stats {
            events: 7,
            bytes: 4_096,
            segments: 2,
            ended: Some([NOW, NOW]),
            dropped: Some(1),
            damaged: 0,
        }),
        archive_problem: None,
        holds_problem: None,
    };
    let shown = json!({
        "targets": [{
            "name": "sss", "state": "held", "hold": holds()["holds"]["sss"], "checked_within_seconds": 60, "held_by_config": false,
            "drain": holds()["drains"]["crm"], "breaker": { "target": "sss", "opened_at": TEXT, "probe_at": TEXT },
        }],
        "queue": { "messages": 3, "invisible": 1, "groups": 2, "oldest_sent_at": TEXT },
        "dead_letters": { "messages": 0, "invisible": 0 },
        "letters": [{ "route": "crm", "reason": "refused", "letters": 2 }, { "reason": "other", "letters": 1 }],
        "refused": { "messages": 4, "invisible": 0, "groups": 1 },
        "groups": [{ "group": "crm/1", "messages": 3, "oldest_sent_at": TEXT, "ready_at": TEXT, "receive_count": 2 }],
        "archive": {
            "events": 7, "bytes": 4096, "segments": 2, "oldest_ended_at": TEXT, "newest_ended_at": TEXT, "dropped": 1, "damaged": 0,
        },
    });
    vec![
        ("hold", json!(Holds::of(&state)), holds()),
        ("resume", json!(Resumed::of(&resumed)), checked),
        ("status", json!(Status::of(&status)), shown),
    ]
}

/// The shapes of events in the archive.
fn archived() -> Vec<(&'static str, Value, Value)> {
    let origin = Origin { id: "m-1".into(), sent_at: NOW, notes: Vec::new(), mac: None };
    let answer = Answer::Status { status: 200, excerpt: String::new() };
    let attempt = Attempt { target: "sss".into(), method: "POST".into(), path: "/t".into(), answer, millis: 12 };
    let event = Event {
        id: "m-2".into(),
        webhook_id: "msg_1".into(),
        group: "crm/1".into(),
        dedup_id: None,
        sequence: Some("7".to_owned()),
        route: "crm".to_owned(),
        plugin: Some("crm".to_owned()),
        digest: Some("9f86".to_owned()),
        sent_at: NOW,
        ended_at: NOW,
        receive_count: 1,
        ending: Ending::Delivered,
        reason: None,
        attempts: vec![attempt],
        attributes: Attributes::from([(ORIGIN_ATTRIBUTE.to_owned(), Attribute::text(json!(origin).to_string()))]),
        redacted: true,
        body: "{}".into(),
    };
    let listed = json!({
        "message_id": "m-1", "queue_id": "m-2", "webhook_id": "msg_1", "group": "crm/1", "sequence": "7", "route": "crm",
        "plugin": "crm", "digest": "9f86", "outcome": "delivered",
        "attempts": [{ "target": "sss", "method": "POST", "path": "/t", "status": 200, "duration_ms": 12 }],
        "receive_count": 1, "sent_at": TEXT, "ended_at": TEXT, "redacted": true,
    });
    let mut whole = listed.clone();
    let more = json!({ "method": "POST", "headers": [], "attributes": [ORIGIN_ATTRIBUTE], "body": "{}" });
    whole.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let readable = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shown = ArchivedWhole::of(&event, &SecretHeaders::default(), readable);
    vec![("archive list", json!(Archived::of(&event)), listed), ("archive show", json!(shown), whole)]
}

/// The shapes of a story.
fn stories() -> Vec<(&'static str, Value, Value)> {
    let pass = r#"{"timestamp":"2026-11-27T22:40:27.123456Z","level":"INFO","fields":{"message":"pass","outcome":"unavailable",
        "attempts":"[{\"target\":\"sss\",\"method\":\"POST\",\"path\":\"/t\",\"status\":503,\"error\":null,\"ms\":12}]",
        "retry_after_s":1.5,"age_s":0.25,"took_ms":2.5},"target":"towpath.story",
        "span":{"group":"crm/1","message_id":"m-1","route":"crm","name":"message"}}"#;
    let pass = story::Entry::read(pass).expect("a line of a story");
    let line_of_pass = json!({
        "message": "pass", "outcome": "unavailable", "group": "crm/1", "message_id": "m-1", "route": "crm", "level": "INFO",
        "attempts": [{ "target": "sss", "method": "POST", "path": "/t", "status": 503, "duration_ms": 12 }],
        "retry_after_seconds": 1.5, "age_seconds": 0.25, "took_ms": 2.5, "logged_at": TEXT,
    });
    let traced = |entries, place| trace::Traced { id: "m-1".to_owned(), entries, place };
    let group = "crm/1".to_owned();
    let waits = MessagePlace::Waits { receives: 2, group: group.clone(), sent_at: NOW };
    let dead = MessagePlace::Dead { death: Box::new(stored_death()), letter: "l-1".into(), group };
    let now_waits = json!({ "state": "waits", "receive_count": 2, "group": "crm/1", "sent_at": TEXT });
    let now_dead = json!({ "state": "dead", "letter_id": "l-1", "group": "crm/1", "letter": death() });
    vec![
        ("tail", line(&pass), line_of_pass.clone()),
        (
            "trace of a message that waits",
            json!(Traced::of(&traced(vec![pass], waits))),
            json!({ "message_id": "m-1", "story": [line_of_pass], "now": now_waits }),
        ),
        (
            "trace of a dead letter",
            json!(Traced::of(&traced(Vec::new(), dead))),
            json!({ "message_id": "m-1", "story": [], "now": now_dead }),
        ),
        (
            "trace in a log without passes",
            json!(Traced::of(&traced(Vec::new(), MessagePlace::Unknown))),
            json!({ "message_id": "m-1", "story": [], "now": { "state": "unknown" } }),
        ),
    ]
}

#[test]
fn each_thing_has_its_one_shape() {
    for (name, shown, expected) in [letters(), actions(), targets(), archived(), stories()].concat() {
        assert_eq!(shown, expected, "{name}: {shown:#}");
    }
}

/// Every key below a value that is not named as the rules want, with its path.
fn misnamed(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| {
                let path = format!("{path}.{key}");
                let is_time = key == "at" || key.ends_with("_at");
                let wrong_time = is_time && value.as_str().is_none_or(|text| Rfc3339::read(text).is_none());
                let wrong_id = matches!(key.as_str(), "id" | "messageId");
                let wrong_unit = key.ends_with("_s") || matches!(key.as_str(), "ms" | "millis");
                let wrong = wrong_time || wrong_id || wrong_unit;
                misnamed(value, &path).into_iter().chain(wrong.then_some(path)).collect::<Vec<_>>()
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|item| misnamed(item, path)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn times_ids_and_durations_are_named_alike_everywhere() {
    for (name, shown, _) in [letters(), actions(), targets(), archived(), stories()].concat() {
        assert_eq!(misnamed(&shown, ""), [""; 0], "{name}");
        let text = shown.to_string();
        assert!(!text.contains(&NOW.0.to_string()), "{name} shows a time as a number: {text}");
    }
    let stored = json!([stored_death(), { "retry_after_s": 1 }]);
    assert_eq!(misnamed(&stored, "").len(), 6, "what is stored has other names: {stored}");
}

#[test]
fn a_line_without_a_time_has_none_and_a_time_of_another_form_stays() {
    let line_at = |time: &str| {
        let text = format!(r#"{{"level":"INFO",{time}"fields":{{"message":"stored"}},"target":"towpath.story"}}"#);
        line(&story::Entry::read(&text).expect("a line of a story"))
    };
    assert_eq!(line_at(""), json!({ "message": "stored", "level": "INFO" }));
    assert_eq!(line_at(r#""timestamp":"yesterday","#)["logged_at"], "yesterday");
}
