//! `split` of a route.

use super::super::{Config, shape};
use super::Checker;
use crate::split::Split;
use crate::verify::Verification;

impl Checker<'_> {
    pub(super) fn split(
        &mut self,
        at: &str,
        split: Option<shape::Split>,
        verify: Option<&Verification>,
    ) -> Option<Split> {
        let (pointer, rest) = match split? {
            shape::Split::At(pointer) => (pointer, false),
            shape::Split::Table(table) => (table.at, table.rest),
        };
        let key = format!("{at}.split");
        if verify.is_some_and(|verify| !verify.at_ingest) {
            let hint =
                "leave verify.at out: the proof covers the whole webhook, so an element cannot be verified later";
            self.wrong(key.clone(), "needs the verification at the front door", hint);
        }
        match pointer.parse() {
            Ok(at) => Some(Split { at, rest }),
            Err(error) => {
                self.wrong(key, error.to_string(), "split = \"/events\", or \"\" if the body itself is the array");
                None
            }
        }
    }

    /// On SQS front door and pipeline share no store, and so no key of their own.
    pub(super) fn splits(&mut self, config: &Config) {
        if config.queue.url.is_none() || !config.note_key_names.is_empty() {
            return;
        }
        for (index, _) in config.routes.iter().enumerate().filter(|(_, route)| route.is_vouched_for()) {
            let hint = "name a secret of 32 random bytes, for the front door and all hosts: [dead_letters] note_key = \"notes\"; \
                it proves that the elements were verified";
            self.wrong(format!("route[{index}].split"), "with verify and SQS it needs dead_letters.note_key", hint);
        }
    }
}
