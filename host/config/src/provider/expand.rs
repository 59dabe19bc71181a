//! Puts what a provider's file says under the keys of a route, before anything is checked.

use toml::{Table, Value};
use towpath_types::queue::may_be_in_id;

use super::Provider;
use super::arguments::Arguments;
use crate::collect::Mistakes;
use crate::origins::Origin;

/// Tables that the route and the provider share key by key. Any other key of the route replaces the provider's.
const MERGED: [&str; 2] = ["verify", "ack"];

/// Replaces `provider` and `order` of every route by what they stand for.
pub(crate) fn expand_routes(file: &mut Table, found: &mut Mistakes) {
    let routes = file.get_mut("route").and_then(Value::as_array_mut).into_iter().flatten();
    for (index, route) in routes.enumerate() {
        if let Some(route) = route.as_table_mut() {
            expand(route, &format!("route[{index}]"), found);
        }
    }
}

pub(super) fn expand(route: &mut Table, at: &str, found: &mut Mistakes) {
    let provider = route.remove("provider");
    let mut expansion = Expansion { at, route, found };
    if let Some(provider) = provider {
        expansion.provider(provider);
    }
    expansion.order();
}

struct Expansion<'a> {
    /// The route's key.
    at: &'a str,
    route: &'a mut Table,
    found: &'a mut Mistakes,
}

impl Expansion<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.at)
    }

    fn provider(&mut self, written: Value) {
        let at = self.key("provider");
        let (name, parameters) = match written {
            Value::String(name) => (Some(name), Table::new()),
            Value::Table(mut table) => (table.remove("name").and_then(text), table),
            _ => (None, Table::new()),
        };
        let Some(provider) = name.as_deref().and_then(Provider::find) else {
            let (problem, hint) = match name {
                Some(name) => (format!("there is no provider {name:?}"), Provider::hint(&name)),
                None => (
                    "names no provider".to_owned(),
                    "provider = \"github\", or provider = { name = \"github\", secret = \"github-prod\" }".to_owned(),
                ),
            };
            // It would have given a group.
            self.found.break_off(&self.key("group"), &at, problem, &hint);
            return;
        };
        let arguments = Arguments::read(&provider, parameters, &at, self.found);
        for (key, value) in provider.route {
            // A group replaces the provider's order.
            if key != "order" || !self.route.contains_key("group") {
                self.put_under(&key, value, &arguments, &at);
            }
        }
        if !self.route.contains_key("group") && !self.route.contains_key("order") {
            self.group(None, Origin::Provided { at, key: "group".to_owned() });
        }
    }

    /// Puts a key of the provider under the route's own.
    fn put_under(&mut self, key: &str, below: Value, arguments: &Arguments, provider: &str) {
        let at = self.key(key);
        let provided = |key: String| Origin::Provided { at: provider.to_owned(), key };
        let merged = match (self.route.remove(key), below) {
            (None, below) => {
                self.found.origins.note(at.clone(), provided(key.to_owned()));
                arguments.fill(below, &at, self.found)
            }
            (Some(Value::Table(own)), Value::Table(mut below)) if may_merge(key, &own, &below) => {
                below.retain(|name, _| !own.contains_key(name));
                for name in below.keys() {
                    self.found.origins.note(format!("{at}.{name}"), provided(format!("{key}.{name}")));
                }
                let below = arguments.fill_table(below, &at, self.found);
                Value::Table(below.into_iter().chain(own).collect())
            }
            // Several ways: the route's keys go into each of them.
            (Some(Value::Table(own)), Value::Array(ways)) if key == "verify" && !own.contains_key("scheme") => {
                self.found.origins.note(at.clone(), provided(key.to_owned()));
                let ways = ways.into_iter().filter_map(table).enumerate().map(|(index, mut way)| {
                    let at_way = format!("{at}[{index}]");
                    way.retain(|name, _| !own.contains_key(name));
                    for name in own.keys() {
                        let written = Origin::Written(format!("{at}.{name}"));
                        self.found.origins.note(format!("{at_way}.{name}"), written);
                    }
                    let way = arguments.fill_table(way, &at_way, self.found);
                    Value::Table(way.into_iter().chain(own.clone()).collect())
                });
                Value::Array(ways.collect())
            }
            (Some(own), _) => own,
        };
        self.route.insert(key.to_owned(), merged);
    }

    /// `order` is short for a group: the route's path, and a value.
    fn order(&mut self) {
        let at = self.key("order");
        let Some(order) = self.route.remove("order") else { return };
        if self.route.contains_key("group") {
            let hint = "order = \"json:/id\" is short for group = \"PATH/{json:/id}\": leave out one of them";
            self.found.wrong(at, "cannot stand beside group", hint);
            return;
        }
        let hint = "order = \"json:/id\" takes one value; a template is a group = \"PATH/{json:/a}/{json:/b}\"";
        let problem = match &order {
            Value::String(order) if order.contains(['{', '}']) => format!("{order:?} is a template"),
            Value::String(order) => {
                let origin = self.found.origins.get(&at).cloned().unwrap_or(Origin::Written(at));
                return self.group(Some(order), origin);
            }
            other => format!("invalid type: {}, expected text", other.type_str()),
        };
        self.found.break_off(&self.key("group"), &at, problem, hint);
    }

    fn group(&mut self, order: Option<&str>, origin: Origin) {
        let path = self.route.get("path").and_then(Value::as_str).unwrap_or_default();
        let group = group(path, order);
        self.found.origins.note(self.key("group"), origin);
        self.route.insert("group".to_owned(), Value::String(group));
    }
}

/// The group of a path. Named segments are part of it, so that tenants do not share groups. Without an order key all events of
/// the path are one group: nothing else would keep them in order.
pub(super) fn group(path: &str, order: Option<&str>) -> String {
    let mut group = String::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty() && *segment != "*") {
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => group.push_str(&format!("{{path:{name}}}")),
            None => group.extend(segment.chars().filter(|c| may_stand(*c))),
        }
        group.push('/');
    }
    match order {
        Some(order) => group + &format!("{{{order}}}"),
        None => group + "all",
    }
}

/// Other characters are a mistake of the path, and need not be one of the group too.
fn may_stand(character: char) -> bool {
    u8::try_from(character).is_ok_and(may_be_in_id) && !"{}".contains(character)
}

fn may_merge(key: &str, own: &Table, below: &Table) -> bool {
    // The keys of one scheme are mistakes in another.
    MERGED.contains(&key) && own.get("scheme").is_none_or(|scheme| below.get("scheme") == Some(scheme))
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn table(value: Value) -> Option<Table> {
    match value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}
