//! What a route gives for the parameters of its provider.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{Parameter, Provider};
use crate::collect::{Mistakes, meant};
use crate::origins::Origin;

/// The values by the names of parameters.
pub(super) struct Arguments {
    provider: &'static str,
    /// The key of the provider.
    at: String,
    given: BTreeMap<String, (Parameter, Option<Given>)>,
}

struct Given {
    value: Value,
    /// The key where it was written.
    at: String,
}

impl Arguments {
    /// Reads the table of a provider without its name.
    pub(super) fn read(provider: &Provider, mut table: Table, at: &str, found: &mut Mistakes) -> Arguments {
        let mut given = BTreeMap::new();
        for parameter in provider.parameters() {
            let at_name = format!("{at}.{}", parameter.name);
            let argument = match (table.remove(&parameter.name), &parameter.secret) {
                (Some(value), _) if is_text(&value) => Some(Given { value, at: at_name }),
                (Some(other), _) => {
                    let problem = format!("invalid type: {}, expected text, or a list of texts", other.type_str());
                    found.break_off(&at_name, &at_name, problem, &parameter.about);
                    None
                }
                (None, Some(secret)) => Some(Given { value: secret.as_str().into(), at: at.to_owned() }),
                (None, None) => None,
            };
            given.insert(parameter.name.clone(), (parameter, argument));
        }
        let known: Vec<&str> = given.keys().map(String::as_str).collect();
        for (unknown, _) in table {
            let guess = meant(&unknown, known.iter().copied());
            let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let problem = format!("{:?} has no such parameter", provider.name);
            found.wrong(format!("{at}.{unknown}"), problem, format!("{guess}its parameters: {list}"));
        }
        Arguments { provider: provider.name, at: at.to_owned(), given }
    }

    /// Puts the arguments into a value of the provider's file. One that is missing is a mistake only if it is needed.
    pub(super) fn fill(&self, value: Value, at: &str, found: &mut Mistakes) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix('$').and_then(|name| self.given.get(name)) {
                Some((_, Some(given))) => {
                    found.origins.note(at.to_owned(), Origin::Written(given.at.clone()));
                    given.value.clone()
                }
                Some((parameter, None)) => {
                    self.miss(parameter, found);
                    found.leave_out(at);
                    Value::String(text)
                }
                None => Value::String(text),
            },
            Value::Table(table) => Value::Table(self.fill_table(table, at, found)),
            Value::Array(list) => {
                let filled = list.into_iter().enumerate();
                let filled = filled.map(|(index, value)| self.fill(value, &format!("{at}[{index}]"), found));
                Value::Array(filled.collect())
            }
            other => other,
        }
    }

    pub(super) fn fill_table(&self, table: Table, at: &str, found: &mut Mistakes) -> Table {
        let filled = table.into_iter().map(|(key, value)| {
            let value = self.fill(value, &format!("{at}.{key}"), found);
            (key, value)
        });
        filled.collect()
    }

    fn miss(&self, Parameter { name, about, .. }: &Parameter, found: &mut Mistakes) {
        let at = &self.at;
        let hint = format!("provider = {{ name = {:?}, {name} = \"…\" }}: {about}", self.provider);
        found.break_off(&format!("{at}.{name}"), at, format!("{:?} needs {name:?}", self.provider), &hint);
    }
}

fn is_text(value: &Value) -> bool {
    value.is_str() || value.as_array().is_some_and(|list| list.iter().all(Value::is_str))
}
