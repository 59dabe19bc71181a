//! An archived event as a line of JSON, as it lies in S3.

use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use towpath_types::archive::Archived;
use towpath_types::clock::Timestamp;

/// A line: the fields of [`Archived`] as they serialize, but times as text and with the body.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    event: Map<String, Value>,
    /// RFC 3339 in UTC, which Athena reads.
    sent_at: String,
    /// RFC 3339 in UTC.
    ended_at: String,
    /// As SQS holds it: the text that was sent, or an envelope.
    body: String,
}

/// Why a line is not an archived event.
#[derive(Debug, thiserror::Error)]
pub enum NotALine {
    #[error("not an archived event")]
    Json(#[from] serde_json::Error),
    #[error("{0:?} is not a time in RFC 3339")]
    Time(String),
}

/// The line of an event, with its newline.
pub(super) fn write(archived: &Archived) -> Result<Vec<u8>, serde_json::Error> {
    let mut event: Map<String, Value> = serde_json::from_value(serde_json::to_value(archived)?)?;
    event.retain(|key, _| key != "sent_at" && key != "ended_at");
    let line = Line {
        event,
        sent_at: archived.sent_at.to_string(),
        ended_at: archived.ended_at.to_string(),
        body: archived.body.text().into_owned(),
    };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    Ok(text)
}

/// The event of a line. Its body is the text that SQS held.
pub fn read(line: &str) -> Result<Archived, NotALine> {
    let Line { mut event, sent_at, ended_at, body } = serde_json::from_str(line)?;
    event.insert("sent_at".to_owned(), time(sent_at)?.0.into());
    event.insert("ended_at".to_owned(), time(ended_at)?.0.into());
    let archived: Archived = serde_json::from_value(Value::Object(event))?;
    Ok(Archived { body: body.into(), ..archived })
}

fn time(text: String) -> Result<Timestamp, NotALine> {
    let since = humantime::parse_rfc3339(&text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let millis = since.and_then(|since| u64::try_from(since.as_millis()).ok());
    millis.map(Timestamp).ok_or(NotALine::Time(text))
}

#[cfg(test)]
mod tests {
    use towpath_types::archive::Ending;
    use towpath_types::envelope::Webhook;
    use towpath_types::outcome::{Answer, Attempt};
    use towpath_types::queue::{Attribute, AttributeValue, Attributes};
    use towpath_types::verdict::Reason;

    use super::*;

    fn event() -> Archived {
        let answer = Answer::Status { status: 200, excerpt: String::new() };
        let binary = Attribute { data_type: "Binary".into(), value: AttributeValue::Binary(vec![0, 255]) };
        Archived {
            id: "m-2".into(),
            webhook_id: "m-1".into(),
            group: "crm/\"7\"".into(),
            dedup_id: Some("d".into()),
            sequence: Some("18849496460467696128".to_owned()),
            route: "crm".to_owned(),
            plugin: Some("crm".to_owned()),
            digest: Some("ab12".to_owned()),
            sent_at: Timestamp(1_700_000_000_001),
            ended_at: Timestamp(1_700_000_003_000),
            receive_count: 2,
            ending: Ending::Delivered,
            reason: None,
            attempts: vec![Attempt {
                target: "sss".into(),
                method: "POST".into(),
                path: "/".into(),
                answer,
                millis: 3,
            }],
            attributes: Attributes::from([("a".into(), Attribute::text("1")), ("b".into(), binary)]),
            redacted: true,
            body: "{\"n\":1}\nnext \u{1F6F6}".into(),
        }
    }

    fn text(event: &Archived) -> String {
        String::from_utf8(write(event).unwrap()).unwrap()
    }

    #[test]
    fn an_event_is_the_same_after_it_was_written_as_a_line() {
        let reason = Reason { code: "old".to_owned(), message: "too old".to_owned() };
        let skipped = Archived {
            ending: Ending::Skipped,
            reason: Some(reason),
            sequence: None,
            plugin: None,
            digest: None,
            attempts: Vec::new(),
            redacted: false,
            ..event()
        };
        for event in [event(), skipped] {
            assert_eq!(read(&text(&event)).unwrap(), event);
        }
    }

    #[test]
    fn a_webhook_is_written_as_sqs_holds_it() {
        let webhook = Webhook { body: b"\xff\x00".to_vec(), ..Webhook::default() };
        let event = Archived { body: webhook.clone().into(), ..event() };
        assert_eq!(*read(&text(&event)).unwrap().body.webhook().unwrap(), webhook);
    }

    #[test]
    fn a_line_is_one_line_and_its_times_are_those_that_athena_reads() {
        let text = text(&event());
        assert_eq!((text.matches('\n').count(), text.ends_with('\n')), (1, true), "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["sent_at"], "2023-11-14T22:13:20.001Z");
        assert_eq!(line["ended_at"], "2023-11-14T22:13:23.000Z");
        assert_eq!((&line["ending"], &line["sequence"]), (&"delivered".into(), &"18849496460467696128".into()));
    }

    #[test]
    fn what_is_not_a_line_is_an_error() {
        let written = text(&event());
        for wrong in ["", "{}", "[]", &written.replace("2023-11-14T22:13:20.001Z", "today")] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read(&written.replace("2023-11-14T22:13:20.001Z", "1969-01-01T00:00:00Z")).is_err(), "before 1970");
    }
}
