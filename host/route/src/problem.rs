//! Keys that could not be read.

use std::fmt;

use towpath_config::value::Value;
use towpath_select::Unreadable;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyProblem {
    /// The key of the route: `group` or `dedup`.
    pub key: &'static str,
    /// Where its value should have been.
    pub value: Value,
    pub why: Unreadable,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.key, self.value, self.why)
    }
}
