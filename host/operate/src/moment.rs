//! Moments as operators write them: an age, or a time.

use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use towpath_types::clock::Timestamp;

/// A longer age is a typo.
const LONGEST_AGO: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// A moment: an age, or a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// An age.
    Ago(Duration),
    /// A time.
    At(Timestamp),
}

impl Moment {
    /// The time that it means.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Moment::Ago(ago) => now - ago,
            Moment::At(at) => at,
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return if ago <= LONGEST_AGO {
                Ok(Moment::Ago(ago))
            } else {
                Err("an age is at most 100 years".to_owned())
            };
        }
        let time = humantime::parse_rfc3339_weak(text)
            .map_err(|_| format!("{text:?} is neither an age such as 2h nor a time such as 2026-03-02T09:15:00Z"))?;
        let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Ok(Moment::At(Timestamp(u64::try_from(millis).unwrap_or_default())))
    }
}
