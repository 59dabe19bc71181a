//! Parses TOML into shapes, table by table, continuing after mistakes so that all are shown at once.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::Mistake;
use super::origins::Origins;
use super::shape::Shape;

/// How similar a word must be to a known one to be suggested.
const ALIKE: f64 = 0.6;

/// The mistakes so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    pub(super) mistakes: Vec<Mistake>,
    /// Keys whose values were left out, and missing ones. Their stand-ins are not checked.
    broken: BTreeSet<String>,
    /// Where the keys of routes with a provider were written.
    pub(super) origins: Origins,
}

impl Mistakes {
    /// Records a mistake, unless it concerns a key that was left out, or follows from one.
    pub(super) fn wrong(&mut self, at: impl Into<String>, problem: impl Into<String>, hint: impl Into<String>) {
        let at = at.into();
        let follows = |broken: &String| is_within(&at, broken) || is_within(broken, &at);
        if !self.broken.iter().any(follows) {
            self.mistakes.push(Mistake { at, problem: problem.into(), hint: hint.into(), line: None });
        }
    }

    /// Records a mistake about a key, and leaves its value out.
    pub(super) fn break_off(&mut self, key: &str, at: &str, problem: String, hint: &str) {
        if self.broken.insert(key.to_owned()) {
            self.mistakes.push(Mistake { at: at.to_owned(), problem, hint: hint.to_owned(), line: None });
        }
    }

    /// Whatever is wrong at this key follows from a mistake that is recorded.
    pub(super) fn leave_out(&mut self, key: &str) {
        self.broken.insert(key.to_owned());
    }

    /// All mistakes, each at a key that is in the file.
    pub(super) fn located(self) -> Vec<Mistake> {
        let mut located: Vec<Mistake> = Vec::new();
        for mut mistake in self.mistakes {
            self.origins.relocate(&mut mistake);
            // One parameter can be in several ways of a provider.
            if !located.contains(&mistake) {
                located.push(mistake);
            }
        }
        located
    }

    /// Whether nothing is wrong at this key or below it.
    pub(super) fn is_sound(&self, at: &str) -> bool {
        !self.mistakes.iter().any(|mistake| is_within(&mistake.at, at))
    }
}

/// Whether a key equals another one, or is below it.
fn is_within(key: &str, above: &str) -> bool {
    key.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Reads every table; leaves out and lists what is wrong.
pub(super) fn shapes(mut file: Table, found: &mut Mistakes) -> Shape {
    let mut shape = Shape {
        queue: take_table(&mut file, "queue", found).unwrap_or_default(),
        dead_letters: take_table(&mut file, "dead_letters", found).unwrap_or_default(),
        archive: take_table(&mut file, "archive", found).unwrap_or_default(),
        ingest: take_table(&mut file, "ingest", found).unwrap_or_default(),
        console: take_table(&mut file, "console", found),
        holds: take_table(&mut file, "holds", found).unwrap_or_default(),
        registry: take_table(&mut file, "registry", found).unwrap_or_default(),
        secrets: take_table(&mut file, "secrets", found),
        ..Shape::default()
    };
    shape.routes = take_list(&mut file, "route", found);
    shape.notify = take_list(&mut file, "notify", found);
    for (name, plugin) in take_named(&mut file, "plugin", &mut shape, found) {
        if let Some(plugin) = read(plugin, &format!("plugin.{name}"), found) {
            shape.plugins.insert(name, plugin);
        }
    }
    for (name, target) in take_named(&mut file, "target", &mut shape, found) {
        if let Some(target) = read(target, &format!("target.{name}"), found) {
            shape.targets.insert(name, target);
        }
    }
    for (key, _) in file {
        let known = [
            "queue",
            "dead_letters",
            "archive",
            "ingest",
            "console",
            "holds",
            "registry",
            "secrets",
            "route",
            "plugin",
            "target",
            "notify",
        ];
        let hint = "known are [queue], [dead_letters], [archive], [ingest], [console], [holds], [registry], [secrets], \
            [[route]], [plugin.NAME], [target.NAME] and [[notify]]";
        let hint = format!("{}{hint}", meant(&key, known));
        found.wrong(key, "unknown table", hint);
    }
    shape
}

fn take_table<T: DeserializeOwned>(file: &mut Table, key: &str, found: &mut Mistakes) -> Option<T> {
    read(file.remove(key)?, key, found)
}

fn take_list<T: DeserializeOwned>(file: &mut Table, key: &str, found: &mut Mistakes) -> Vec<(usize, T)> {
    let tables = match file.remove(key) {
        None => Vec::new(),
        Some(Value::Array(tables)) => tables,
        Some(_) => {
            found.wrong(key, "not a list of tables", format!("write [[{key}]] with two pairs of brackets"));
            Vec::new()
        }
    };
    let read = |(index, table)| Some((index, read(table, &format!("{key}[{index}]"), found)?));
    tables.into_iter().enumerate().filter_map(read).collect()
}

fn take_named(file: &mut Table, key: &'static str, shape: &mut Shape, found: &mut Mistakes) -> Vec<(String, Value)> {
    let tables = match file.remove(key) {
        None => Table::new(),
        Some(Value::Table(tables)) => tables,
        Some(_) => {
            found.wrong(key, "must be a table of tables", format!("write [{key}.NAME]"));
            Table::new()
        }
    };
    shape.named.insert(key, tables.keys().cloned().collect());
    tables.into_iter().collect()
}

/// Reads one table. serde stops at the first mistake, so the wrong key is removed, or a missing one added, and the rest
/// is read again until nothing is wrong. `None` if nothing remains usable.
fn read<T: DeserializeOwned>(value: Value, at: &str, found: &mut Mistakes) -> Option<T> {
    read_below(value, at, None, found)
}

/// Reads a table whose key `scheme` decides which other keys it has.
pub(super) fn read_scheme<T: DeserializeOwned>(value: Value, at: &str, found: &mut Mistakes) -> Option<T> {
    let hint = "write { scheme = \"…\", … }";
    let Value::Table(mut table) = value else {
        found.wrong(at, format!("invalid type: {}, expected a table", value.type_str()), hint);
        return None;
    };
    let scheme = match table.remove("scheme") {
        Some(Value::String(scheme)) => scheme,
        Some(other) => {
            found.wrong(format!("{at}.scheme"), format!("invalid type: {}, expected text", other.type_str()), hint);
            return None;
        }
        None => {
            found.wrong(at, "missing field `scheme`", hint);
            return None;
        }
    };
    let tagged = Table::from_iter([(scheme.clone(), Value::Table(table))]);
    read_below(Value::Table(tagged), at, Some(&scheme), found)
}

/// Reads a value. With a tag, serde's paths have an extra level, which no key path shows.
fn read_below<T: DeserializeOwned>(mut value: Value, at: &str, tag: Option<&str>, found: &mut Mistakes) -> Option<T> {
    let full = |path: &[String]| match tag {
        Some(_) => full(at, path.get(1..).unwrap_or_default()),
        None => full(at, path),
    };
    let mut stand_ins = BTreeSet::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(value.clone()) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let mut path: Vec<String> = error.path().iter().map(ToString::to_string).filter(|s| s != "?").collect();
        // The scheme may be written under another of its names.
        if let (Some(tag), Some(first)) = (tag, path.first_mut()) {
            tag.clone_into(first);
        }
        let problem = error.inner().to_string();
        let problem = problem.lines().next().unwrap_or_default().trim().to_owned();
        if let Some(field) = quoted_after(&problem, "missing field `") {
            let table = full(&path);
            path.push(field.to_owned());
            let hint = format!("add {field} = …");
            found.break_off(&full(&path), &table, problem.clone(), &hint);
            // A text stands in for it, so that the rest is checked too.
            if !stand_ins.insert(path.clone()) || !put(&mut value, &path) {
                return None;
            }
            continue;
        }
        let (problem, hint) = with_hint(&problem);
        if let Some(field) = quoted_after(&problem, "unknown field `") {
            if path.last().is_none_or(|last| last != field) {
                path.push(field.to_owned());
            }
            found.wrong(full(&path), problem, hint);
        } else if quoted_after(&problem, "unknown variant `").is_some_and(|variant| tag == Some(variant)) {
            found.wrong(format!("{at}.scheme"), problem, hint);
            return None;
        } else {
            found.break_off(&full(&path), &full(&path), problem, &hint);
        }
        if !remove(&mut value, &path) {
            return None;
        }
    }
}

fn quoted_after<'a>(problem: &'a str, intro: &str) -> Option<&'a str> {
    let (_, rest) = problem.split_once(intro)?;
    rest.split_once('`').map(|(field, _)| field)
}

/// Splits `unknown field `x`, expected one of …` into problem and hint.
fn with_hint(problem: &str) -> (String, String) {
    let Some((problem, expected)) = problem.split_once(", expected ") else {
        return (problem.to_owned(), String::new());
    };
    let known = expected.split('`').skip(1).step_by(2);
    let word = quoted_after(problem, "unknown field `").or_else(|| quoted_after(problem, "unknown variant `"));
    let guess = word.map_or(String::new(), |word| meant(word, known));
    (problem.to_owned(), format!("{guess}expected {expected}"))
}

/// `did you mean "path"? `, if a known word is similar to this one.
pub fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let alike = |known: &'a str| (strsim::normalized_damerau_levenshtein(word, known), known);
    let closest =
        known.into_iter().map(alike).filter(|(alike, _)| *alike >= ALIKE).max_by(|(a, _), (b, _)| a.total_cmp(b));
    closest.map_or(String::new(), |(_, known)| format!("did you mean {known:?}? "))
}

fn full(at: &str, path: &[String]) -> String {
    path.iter().fold(
        at.to_owned(),
        |at, part| if part.starts_with('[') { format!("{at}{part}") } else { format!("{at}.{part}") },
    )
}

/// Inserts a text at a path without a value; false if there is no table for it.
fn put(value: &mut Value, path: &[String]) -> bool {
    let Value::Table(table) = value else { return false };
    match path.split_first() {
        None => false,
        Some((key, [])) => table.insert(key.clone(), Value::String(String::new())).is_none(),
        Some((key, rest)) => table.get_mut(key).is_some_and(|inner| put(inner, rest)),
    }
}

/// Removes the value at a path from its table; a path into a list removes the whole list.
fn remove(value: &mut Value, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else { return false };
    let Value::Table(table) = value else { return false };
    let removed_inside = match table.get_mut(key) {
        Some(inner) if !rest.is_empty() => remove(inner, rest),
        _ => false,
    };
    removed_inside || table.remove(key).is_some()
}
