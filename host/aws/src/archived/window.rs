//! Which files may have the events that are looked for.
//!
//! A file lies in the folder of the day, in UTC, on which its oldest record arrived at Firehose. Source: "Understand custom prefixes for
//! Amazon S3 objects" in the guide of Amazon Data Firehose.

use std::time::Duration;

use towpath_types::clock::Timestamp;
use towpath_types::queue::MAX_RETENTION;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long Firehose keeps records while it cannot write them. The oldest record of a file, which names its folder, can be this much older than
/// another one in it.
const KEPT_BY_FIREHOSE: Duration = DAY;

/// How much earlier than an event was stored its file may seem to be written, or its folder to begin: Firehose collects for at most 15 minutes,
/// and clocks differ.
const COLLECTED: Duration = Duration::from_secs(3600);

/// How much later than it was first stored an event may arrive: it waited in the queue for as long as SQS keeps messages, and clocks differ.
/// Only a dead letter that was sent back may arrive later still.
const LATE: Duration = Duration::from_secs(MAX_RETENTION.as_secs() + DAY.as_secs());

/// When the events that are looked for were first stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Window {
    pub since: Option<Timestamp>,
    /// Excluded.
    pub until: Option<Timestamp>,
}

impl Window {
    /// The first folder with such events, as `YYYY/MM/DD`.
    pub(super) fn first_day(self) -> Option<String> {
        self.since.map(|since| folder(since - KEPT_BY_FIREHOSE - COLLECTED))
    }

    /// The last folder with such events.
    pub(super) fn last_day(self) -> Option<String> {
        self.until.map(|until| folder(until + LATE))
    }

    /// Whether a file that was written then may have such events: an event is written after it was stored.
    pub(super) fn may_have_written(self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time + COLLECTED >= since)
    }
}

/// The folder of the files that begin at this time.
fn folder(time: Timestamp) -> String {
    let text = time.to_string();
    let date = text.split('T').next().unwrap_or_default();
    date.replace('-', "/")
}

/// The folder of a file by its name, if that has a date.
pub(super) fn day(name: &str) -> Option<&str> {
    let day = name.get(..10).filter(|_| name.get(10..11) == Some("/"))?;
    let is_right = |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'/' } else { byte.is_ascii_digit() };
    day.bytes().enumerate().all(is_right).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        let time =
            humantime::parse_rfc3339(text).expect("a time").duration_since(std::time::UNIX_EPOCH).expect("later");
        Timestamp(time.as_millis() as u64)
    }

    #[test]
    fn a_window_reaches_back_a_day_for_firehose_and_ahead_for_the_retention_of_the_queue() {
        let since = |since| Window { since: Some(time(since)), until: None };
        let until = |until| Window { since: None, until: Some(time(until)) };
        assert_eq!((Window::default().first_day(), Window::default().last_day()), (None, None));
        for (at, day) in [
            ("2026-03-02T12:00:00Z", "2026/03/01"),
            ("2026-03-02T01:00:00Z", "2026/03/01"),
            ("2026-03-02T00:59:59Z", "2026/02/28"),
            ("2026-01-01T00:30:00Z", "2025/12/30"),
        ] {
            assert_eq!(since(at).first_day().as_deref(), Some(day), "{at}");
        }
        assert_eq!(until("2026-03-02T00:00:00Z").last_day().as_deref(), Some("2026/03/17"));
        assert_eq!(until("2026-03-02T23:59:59Z").last_day().as_deref(), Some("2026/03/17"));
        assert_eq!(Window { since: Some(Timestamp(0)), until: None }.first_day().as_deref(), Some("1970/01/01"));
    }

    #[test]
    fn a_file_that_was_written_before_the_window_has_none_of_its_events() {
        let window = Window { since: Some(time("2026-03-02T12:00:00Z")), until: None };
        assert!(!window.may_have_written(time("2026-03-02T10:59:59Z")));
        assert!(window.may_have_written(time("2026-03-02T11:00:00Z")));
        assert!(Window::default().may_have_written(Timestamp(0)));
    }

    #[test]
    fn a_name_begins_with_its_date_or_has_none() {
        assert_eq!(day("2026/03/02/a-1-2026-03-02-12-00-00-uuid.gz"), Some("2026/03/02"));
        assert_eq!(day("2026/03/02/12/a.gz"), Some("2026/03/02"));
        for name in
            ["", "2026/03/02", "2026-03-02/a", "events/2026/03/02/a", "2026/03/0x/a", "2026/03/021", "äääää/03/02/a"]
        {
            assert_eq!(day(name), None, "{name}");
        }
    }
}
