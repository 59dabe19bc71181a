//! The text in which a learned secret is stored, in a file or in Secrets Manager: the secret itself, or a first line that
//! arms it for a new one and the previous secret below.

use std::fmt;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use towpath_types::clock::Timestamp;

/// The beginning of the line that arms a secret. No secret begins with it.
pub(super) const MARKER: &str = "towpath-armed";

/// What is stored of a learned secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The secret that verifies webhooks; `None` if none was learned.
    pub secret: Option<Arc<str>>,
    /// Until when a handshake may bring a new one.
    pub armed_until: Option<Timestamp>,
}

impl Stored {
    /// Reads the text. A marker whose time is unreadable arms nothing.
    pub fn read(text: &str) -> Stored {
        let (armed_until, secret) = match text.strip_prefix(MARKER) {
            Some(rest) => {
                let (line, secret) = rest.split_once('\n').unwrap_or((rest, ""));
                (line.trim().strip_prefix("until=").and_then(read_time), secret)
            }
            None => (None, text),
        };
        let secret = secret.strip_suffix("\r\n").or_else(|| secret.strip_suffix('\n')).unwrap_or(secret);
        Stored { secret: (!secret.is_empty()).then(|| secret.into()), armed_until }
    }

    /// The text to store. Never empty: Secrets Manager stores no empty text.
    pub fn text(&self) -> String {
        let until = match (self.armed_until, &self.secret) {
            (None, Some(secret)) => return secret.to_string(),
            (until, _) => until.unwrap_or_default(),
        };
        let secret = self.secret.as_deref().unwrap_or_default();
        format!("{MARKER} until={until}\n{secret}")
    }

    /// Whether a handshake may bring a new secret.
    pub fn is_armed(&self, now: Timestamp) -> bool {
        self.armed_until.is_some_and(|until| now < until)
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.secret.as_ref().map(|_| "..");
        f.debug_struct("Stored").field("secret", &secret).field("armed_until", &self.armed_until).finish()
    }
}

fn read_time(text: &str) -> Option<Timestamp> {
    let since = humantime::parse_rfc3339(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp(u64::try_from(since.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNTIL: Timestamp = Timestamp(1_790_000_000_000);

    #[test]
    fn what_is_written_is_read_again() {
        let secrets = [None, Some("s3cret".into()), Some("a b=c".into())];
        for secret in secrets {
            let armed = Stored { secret: secret.clone(), armed_until: Some(UNTIL) };
            assert_eq!(Stored::read(&armed.text()), armed);
            let plain = Stored { secret: secret.clone(), armed_until: None };
            let read = Stored::read(&plain.text());
            assert_eq!((&read.secret, read.is_armed(Timestamp(1))), (&secret, false), "{}", plain.text());
        }
    }

    #[test]
    fn a_secret_is_armed_until_its_time_and_an_unreadable_time_arms_nothing() {
        let stored = Stored::read("towpath-armed until=2026-09-21T14:13:20Z\nold");
        assert_eq!(stored.armed_until, Some(UNTIL));
        assert!(stored.is_armed(Timestamp(UNTIL.0 - 1)) && !stored.is_armed(UNTIL));
        for text in ["towpath-armed", "towpath-armed\nold", "towpath-armed until=soon\nold", "towpath-armedold\nold"] {
            let stored = Stored::read(text);
            assert!(!stored.is_armed(Timestamp(1)), "{text}");
            assert_eq!(stored.secret.is_some(), text.ends_with("\nold"), "{text}");
        }
    }

    #[test]
    fn one_line_break_at_the_end_is_no_part_of_the_secret() {
        for text in ["old\n", "old\r\n", "old", "towpath-armed until=2026-09-21T14:13:20Z\nold\n"] {
            assert_eq!(Stored::read(text).secret.as_deref(), Some("old"), "{text:?}");
        }
        assert_eq!(Stored::read(""), Stored::default());
        assert_eq!(Stored::read("\n"), Stored::default());
    }

    #[test]
    fn it_prints_no_secret() {
        assert!(!format!("{:?}", Stored::read("s3cret")).contains("s3cret"));
    }
}
