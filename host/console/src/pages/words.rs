//! Ages, times and numbers as pages write them.

use std::time::Duration;

use maud::{Markup, html};
use towpath_types::clock::{Clock, Timestamp};

/// How long ago something was, with the time itself on hover.
pub(crate) fn ago(at: Timestamp) -> Markup {
    html! { time datetime=(at.to_string()) title=(at.to_string()) { (short(Clock::wall().now().since(at))) " ago" } }
}

/// A duration in its two largest units: `3h 20m`.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (large, small) = match seconds {
        0 => return format!("{} ms", duration.as_millis()),
        1..60 => return format!("{seconds}s"),
        60..3600 => ((seconds / 60, "m"), (seconds % 60, "s")),
        3600..86_400 => ((seconds / 3600, "h"), (seconds % 3600 / 60, "m")),
        _ => ((seconds / 86_400, "d"), (seconds % 86_400 / 3600, "h")),
    };
    match small {
        (0, _) => format!("{}{}", large.0, large.1),
        small => format!("{}{} {}{}", large.0, large.1, small.0, small.1),
    }
}

/// A number with thin groups of three digits: `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `1 event`, `2 events`.
pub(crate) fn count(amount: u64, noun: &str) -> String {
    let plural = if amount == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(amount))
}

/// A text as one segment of a path.
pub(crate) fn urlencoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The page of a group. Browsers take `.` and `..` for steps in a path, however they are written.
pub(crate) fn group_link(group: &str) -> String {
    match group {
        "." | ".." => format!("/groups?begins={group}"),
        name => format!("/groups/{}", urlencoded(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_and_numbers_groups() {
        for (seconds, expected) in
            [(1, "1s"), (60, "1m"), (61, "1m 1s"), (3600, "1h"), (12_000, "3h 20m"), (90_000, "1d 1h")]
        {
            assert_eq!(short(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(short(Duration::from_millis(12)), "12 ms");
        for (amount, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(amount), expected);
        }
        assert_eq!((count(1, "event"), count(1200, "event")), ("1 event".to_owned(), "1,200 events".to_owned()));
    }
}
