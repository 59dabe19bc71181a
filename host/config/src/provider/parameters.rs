//! What a user gives a provider: secrets by their names, and texts such as the public URL of the route.

use toml::{Table, Value};

use super::Provider;

/// The keys whose values are names of secrets.
const NAMES_A_SECRET: [&str; 2] = ["secret", "bearer"];

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    pub name: String,
    /// Where to get the value.
    pub about: String,
    /// The name of the secret if none is given; `None` for a text, which must be given.
    pub secret: Option<String>,
    /// Whether the route keeps it from a handshake.
    pub is_learned: bool,
}

impl Provider {
    /// Everything that a route can, or must, give; the secret first.
    pub fn parameters(&self) -> Vec<Parameter> {
        let secret = self.secret.iter().map(|about| ("secret", about));
        let others = self.parameters.iter().map(|(name, about)| (name.as_str(), about));
        secret.chain(others).map(|(name, about)| self.parameter(name, about)).collect()
    }

    fn parameter(&self, name: &str, about: &str) -> Parameter {
        let default = match name {
            "secret" => self.name.to_owned(),
            name => format!("{}-{}", self.name, name.replace('_', "-")),
        };
        let secret = names_a_secret(&self.route, &format!("${name}")).then_some(default);
        let is_learned = name == "secret" && self.sends_secret();
        Parameter { name: name.to_owned(), about: about.to_owned(), secret, is_learned }
    }
}

/// Whether this parameter is used as the name of a secret.
fn names_a_secret(table: &Table, parameter: &str) -> bool {
    table.iter().any(|(key, value)| match value {
        Value::String(text) => text == parameter && NAMES_A_SECRET.contains(&key.as_str()),
        Value::Table(inner) => names_a_secret(inner, parameter),
        Value::Array(list) => list.iter().filter_map(Value::as_table).any(|inner| names_a_secret(inner, parameter)),
        _ => false,
    })
}
