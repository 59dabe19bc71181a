//! The events of a run. Each is identified by its body, byte for byte.

use serde::Deserialize;

/// What must happen to an event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The plugin forwards it and the target accepts it.
    Deliver,
    /// The plugin forwards it and the target refuses it.
    Refuse,
    /// The plugin skips it.
    Skip,
    /// The plugin rejects it.
    Reject,
    /// The plugin traps on it.
    Trap,
}

impl Kind {
    /// The letter in a body that the mapping reads.
    fn letter(self) -> char {
        match self {
            Kind::Deliver => 'd',
            Kind::Refuse => 'x',
            Kind::Skip => 's',
            Kind::Reject => 'r',
            Kind::Trap => 't',
        }
    }

    fn of(letter: &str) -> Option<Kind> {
        let all = [Kind::Deliver, Kind::Refuse, Kind::Skip, Kind::Reject, Kind::Trap];
        all.into_iter().find(|kind| letter.chars().eq([kind.letter()]))
    }

    /// The reason of its dead letter, if it must have one.
    pub fn death(self) -> Option<&'static str> {
        match self {
            Kind::Deliver | Kind::Skip => None,
            Kind::Refuse => Some("refused"),
            Kind::Reject => Some("rejected"),
            Kind::Trap => Some("plugin-trap"),
        }
    }
}

/// One event: the `number`th of its group, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Event {
    /// Its group.
    pub group: u32,
    /// Its number in the group.
    pub number: u32,
    /// What must happen to it.
    pub kind: Kind,
}

#[derive(Deserialize)]
struct Body {
    k: String,
    g: u32,
    n: u32,
}

impl Event {
    /// The body: the letter of its kind at byte 6, and some padding.
    pub fn body(&self) -> String {
        let Event { group, number, kind } = self;
        let padding = "x".repeat(group.wrapping_mul(31).wrapping_add(number.wrapping_mul(97)) as usize % 600);
        format!(r#"{{"k":"{}","id":"{group}-{number}","g":{group},"n":{number},"p":"{padding}"}}"#, kind.letter())
    }

    /// The event that has exactly this body.
    pub fn read(body: &[u8]) -> Option<Event> {
        let Body { k, g, n } = serde_json::from_slice(body).ok()?;
        let event = Event { group: g, number: n, kind: Kind::of(&k)? };
        (event.body().as_bytes() == body).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_from_its_body_and_from_no_other() {
        for kind in [Kind::Deliver, Kind::Refuse, Kind::Skip, Kind::Reject, Kind::Trap] {
            let event = Event { group: 7, number: 12, kind };
            let body = event.body();
            assert_eq!(Event::read(body.as_bytes()), Some(event));
            assert_eq!(body.as_bytes().get(6).copied(), u8::try_from(kind.letter()).ok());
            assert_eq!(Event::read(body.replacen("x\"}", "y\"}", 1).as_bytes()), None);
            assert_eq!(Event::read(&body.as_bytes()[..body.len() - 1]), None);
        }
    }
}
