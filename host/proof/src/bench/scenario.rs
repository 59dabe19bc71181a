//! The events and the target of a benchmark.

use std::time::Duration;

/// One scenario. Event `n` belongs to group `n % groups`: within a group numbers grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// How many events are sent and measured.
    pub(crate) messages: u32,
    /// How many more are queued behind them.
    pub(crate) backlog: u32,
    pub(crate) groups: u32,
    /// The size of a body.
    pub(crate) bytes: u32,
    /// How long the target takes to answer.
    pub(crate) latency: Duration,
    /// The percentage of events that fail the first time.
    pub(crate) failing_percent: u32,
    /// Events per second; 0 for as many as possible.
    pub(crate) per_second: u32,
}

/// The base; every other scenario changes one thing.
const BASE: Scenario = Scenario {
    name: "base: 100 groups, 200 bytes",
    messages: 10_000,
    backlog: 0,
    groups: 100,
    bytes: 200,
    latency: Duration::ZERO,
    failing_percent: 0,
    per_second: 0,
};

impl Scenario {
    /// The base; every other scenario changes one thing.
    pub(crate) fn base() -> Scenario {
        BASE
    }

    /// All scenarios, the base first.
    pub(crate) fn all() -> Vec<Scenario> {
        vec![
            BASE,
            Scenario { name: "1 group", messages: 3_000, groups: 1, ..BASE },
            Scenario { name: "10,000 groups", groups: 10_000, ..BASE },
            Scenario { name: "7 KB bodies", bytes: 7_000, messages: 6_000, ..BASE },
            Scenario { name: "200 KB bodies", bytes: 200_000, messages: 500, ..BASE },
            Scenario { name: "target takes 20 ms", latency: Duration::from_millis(20), messages: 3_000, ..BASE },
            Scenario { name: "target takes 200 ms", latency: Duration::from_millis(200), messages: 400, ..BASE },
            Scenario { name: "5 % fail once", failing_percent: 5, messages: 5_000, ..BASE },
        ]
    }

    /// A thousand queued messages, and a million.
    pub(crate) fn backlogs() -> [Scenario; 2] {
        [
            Scenario { name: "1,000 queued", messages: 1_000, ..BASE },
            Scenario { name: "1,000,000 queued", messages: 10_000, backlog: 990_000, ..BASE },
        ]
    }

    pub(crate) fn group(&self, event: u32) -> u32 {
        event % self.groups
    }

    /// The body of an event that is sent `at`, in microseconds since the target started.
    pub(crate) fn body(&self, event: u32, at: u64) -> String {
        let head = format!(r#"{{"k":"d","i":{event},"g":{},"t":{at},"p":""#, self.group(event));
        let padding = (self.bytes as usize).saturating_sub(head.len() + 2);
        format!("{head}{}\"}}", "x".repeat(padding))
    }

    /// The event of a body, and when it was sent. Reads only the beginning: a target that parsed the whole body would measure itself.
    pub(crate) fn read(body: &[u8]) -> Option<(u32, u64)> {
        let head = std::str::from_utf8(body.get(..body.len().min(100))?).ok()?;
        let number = |name: &str| {
            let rest = head.split_once(name)?.1;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        Some((u32::try_from(number("\"i\":")?).ok()?, number("\"t\":")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_size_and_identifies_its_event() {
        for scenario in Scenario::all() {
            let body = scenario.body(123, 4_567);
            assert_eq!(body.len(), scenario.bytes as usize, "{}", scenario.name);
            assert_eq!(Scenario::read(body.as_bytes()), Some((123, 4_567)));
            assert_eq!(body.as_bytes().get(6), Some(&b'd'), "the mapping forwards it");
        }
        assert_eq!(Scenario::read(b"{}"), None);
    }
}
