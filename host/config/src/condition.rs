//! Conditions: which requests a table of the config is meant for.

use http::Method;

use crate::value::{Template, Value};

/// All that is given must hold. A condition that gives nothing always holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Condition {
    /// Any one of them; empty for all methods.
    pub methods: Vec<Method>,
    /// Values that are not empty.
    pub present: Vec<Value>,
    /// Values that are missing, `null` or empty.
    pub absent: Vec<Value>,
    /// Values that have these texts.
    pub equal: Vec<(Value, Template)>,
    /// Whether the body has no bytes.
    pub is_empty: Option<bool>,
}

impl Condition {
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        let equal = self.equal.iter().flat_map(|(value, template)| std::iter::once(value).chain(template.values()));
        self.present.iter().chain(&self.absent).chain(equal)
    }
}
