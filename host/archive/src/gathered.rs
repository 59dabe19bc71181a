//! Events that are kept elsewhere, sorted as those of a folder.

use std::io;

use towpath_types::archive::Archived;

use crate::events::{Events, Source};
use crate::filter::Filter;
use crate::index::{Index, Place};
use crate::spool::Spool;

/// Events that come in any order, perhaps repeated: those that match a filter are kept in a temporary file until they are read.
pub struct Gathered {
    filter: Filter,
    index: Index,
    spool: Spool,
}

impl Gathered {
    pub fn new(filter: &Filter) -> io::Result<Gathered> {
        Ok(Gathered { filter: filter.clone(), index: Index::new(), spool: Spool::new()? })
    }

    /// Keeps an event if it matches, as `needed` returns it, which may leave out what the caller does not need; not at all if it returns
    /// `None`.
    pub fn add(&mut self, event: Archived, needed: impl FnOnce(Archived) -> Option<Archived>) -> io::Result<()> {
        if !self.filter.matches(&event, || event.body.clone()) {
            return Ok(());
        }
        let Some(event) = needed(event) else { return Ok(()) };
        let (frame, offset) = self.spool.add(&event)?;
        self.index.add(Place::of(&event, frame, offset))
    }

    /// What was gathered: those of a group in the order of their sequence numbers, each once. `damaged` is what could not be read.
    pub fn events(mut self, damaged: u64) -> io::Result<Events> {
        self.spool.finish()?;
        Events::sorted(Source::Gathered(self.spool), self.index, &self.filter, damaged)
    }
}

#[cfg(test)]
mod tests {
    use towpath_types::archive::Ending;
    use towpath_types::body::Body;
    use towpath_types::envelope::Webhook;

    use super::*;
    use crate::filter::Limit;
    use crate::record::tests::event;

    fn found(filter: &Filter, events: &[Archived]) -> Vec<Archived> {
        let mut gathered = Gathered::new(filter).expect("a file");
        events.iter().for_each(|event| gathered.add(event.clone(), Some).expect("added"));
        gathered.events(0).expect("sorted").map(|event| event.expect("an event")).collect()
    }

    #[test]
    fn events_are_sorted_by_number_and_of_repeats_the_last_remains() {
        let ended = |number: u64, at: u64| {
            let mut event = event("g", number, format!("{number} {at}").as_str());
            event.ended_at.0 = at;
            event
        };
        let mixed = [ended(100, 5), ended(9, 7), ended(20, 1), ended(9, 8), ended(9, 6), ended(100, 5)];
        assert_eq!(found(&Filter::default(), &mixed), [ended(9, 8), ended(20, 1), ended(100, 5)]);
        let last = Filter { limit: Limit::Last(1), ..Filter::default() };
        assert_eq!(found(&last, &mixed), [ended(100, 5)]);
    }

    #[test]
    fn only_what_matches_is_found_also_in_its_body_and_by_its_last_ending() {
        let skipped = |number| Archived { ending: Ending::Skipped, ..event("g", number, "{\"a\":1}") };
        let again = Archived { ended_at: towpath_types::clock::Timestamp(u64::MAX), ..event("g", 1, "{\"a\":1}") };
        let events = [skipped(1), skipped(2), again.clone(), event("h", 3, "{\"a\":2}")];
        let of = |filter: Filter| found(&filter, &events);
        assert_eq!(of(Filter { ending: Some(Ending::Skipped), ..Filter::default() }), [skipped(2)]);
        assert_eq!(of(Filter { groups: vec!["h*".to_owned()], ..Filter::default() }), [event("h", 3, "{\"a\":2}")]);
        let values = vec![("/a".parse().expect("a pointer"), b"1".to_vec())];
        assert_eq!(of(Filter { values, ..Filter::default() }), [again, skipped(2)]);
    }

    #[test]
    fn what_is_not_needed_is_not_kept_and_the_rest_is_the_same_in_many_frames() {
        let body = |number: u64| -> Body {
            let bytes = std::iter::repeat_with(|| fastrand::u8(..)).take(30_000).collect();
            Webhook { body: bytes, query: number.to_string(), ..Webhook::default() }.into()
        };
        let events: Vec<Archived> = (0..100).map(|number| event("g", number, body(number))).collect();
        let mut gathered = Gathered::new(&Filter::default()).expect("a file");
        for event in events.iter().rev() {
            let is_even = |event: Archived| event.sent_at.0.is_multiple_of(2_000).then_some(event);
            gathered.add(event.clone(), is_even).expect("added");
        }
        let mut found = gathered.events(3).expect("sorted");
        let read: Vec<Archived> = found.by_ref().map(|event| event.expect("an event")).collect();
        assert_eq!(read, events.into_iter().step_by(2).collect::<Vec<_>>());
        assert_eq!(found.damaged(), 3);
    }
}
