//! Decides from what a host observes when to alert somebody, and what to say. It observes and sends nothing itself: a host hands in what it sees, and
//! sends the notices to their targets.

mod notice;
mod observed;
mod rule;
mod window;

use std::collections::BTreeSet;

use towpath_config::Notify;
use towpath_types::clock::Timestamp;

pub use notice::{Notice, State};
pub use observed::{Lasting, Observed};
use rule::Rule;

/// The rules, and what they remember.
#[derive(Clone, Debug)]
pub struct Alerts {
    rules: Vec<Rule>,
    /// Where the console is, for links.
    link: Option<String>,
}

impl Alerts {
    /// These rules. `link` is the URL of the console.
    pub fn new(rules: Vec<Notify>, link: Option<String>) -> Alerts {
        Alerts { rules: rules.into_iter().map(Rule::new).collect(), link }
    }

    /// The targets that get alerts.
    pub fn targets(&self) -> BTreeSet<String> {
        self.rules.iter().map(|rule| rule.to().to_owned()).collect()
    }

    /// What is to be sent after this look. Looks are some seconds apart.
    pub fn observe(&mut self, observed: &Observed, now: Timestamp) -> Vec<Notice> {
        let link = self.link.as_deref();
        self.rules.iter_mut().flat_map(|rule| rule.observe(observed, now, link)).collect()
    }
}

#[cfg(test)]
mod tests;
