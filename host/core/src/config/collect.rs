//! From TOML to shapes, table by table, going on after a mistake so that all are shown at once.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::Mistake;
use super::shape::Shape;

/// Reads every table; what is wrong is left out and listed.
pub(super) fn shapes(mut file: Table) -> (Shape, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let mut shape = Shape {
        queue: take_table(&mut file, "queue", &mut mistakes).unwrap_or_default(),
        dead_letters: take_table(&mut file, "dead_letters", &mut mistakes).unwrap_or_default(),
        ingest: take_table(&mut file, "ingest", &mut mistakes).unwrap_or_default(),
        holds: take_table(&mut file, "holds", &mut mistakes).unwrap_or_default(),
        registry: take_table(&mut file, "registry", &mut mistakes).unwrap_or_default(),
        secrets: take_table(&mut file, "secrets", &mut mistakes),
        ..Shape::default()
    };
    for (index, route) in take_routes(&mut file, &mut mistakes).into_iter().enumerate() {
        if let Some(route) = read(route, &format!("route[{index}]"), &mut mistakes) {
            shape.routes.push((index, route));
        }
    }
    for (name, plugin) in take_named(&mut file, "plugin", &mut shape, &mut mistakes) {
        if let Some(plugin) = read(plugin, &format!("plugin.{name}"), &mut mistakes) {
            shape.plugins.insert(name, plugin);
        }
    }
    for (name, target) in take_named(&mut file, "target", &mut shape, &mut mistakes) {
        if let Some(target) = read(target, &format!("target.{name}"), &mut mistakes) {
            shape.targets.insert(name, target);
        }
    }
    for (key, _) in file {
        let hint = "known are [queue], [dead_letters], [ingest], [holds], [registry], [secrets], [[route]], \
            [plugin.NAME] and [target.NAME]";
        mistakes.push(Mistake { at: key, problem: "unknown table".into(), hint: hint.into() });
    }
    (shape, mistakes)
}

fn take_table<T: DeserializeOwned>(file: &mut Table, key: &str, mistakes: &mut Vec<Mistake>) -> Option<T> {
    read(file.remove(key)?, key, mistakes)
}

fn take_routes(file: &mut Table, mistakes: &mut Vec<Mistake>) -> Vec<Value> {
    match file.remove("route") {
        None => Vec::new(),
        Some(Value::Array(routes)) => routes,
        Some(_) => {
            let hint = "write [[route]] with two pairs of brackets";
            mistakes.push(Mistake { at: "route".into(), problem: "not a list of tables".into(), hint: hint.into() });
            Vec::new()
        }
    }
}

fn take_named(
    file: &mut Table,
    key: &'static str,
    shape: &mut Shape,
    mistakes: &mut Vec<Mistake>,
) -> Vec<(String, Value)> {
    let tables = match file.remove(key) {
        None => Table::new(),
        Some(Value::Table(tables)) => tables,
        Some(_) => {
            let hint = format!("write [{key}.NAME]");
            mistakes.push(Mistake { at: key.into(), problem: "not a table of tables".into(), hint });
            Table::new()
        }
    };
    shape.named.insert(key, tables.keys().cloned().collect());
    tables.into_iter().collect()
}

/// Reads one table. serde stops at the first mistake, so the key that is wrong is taken out and the rest
/// read again, until nothing is wrong or what is wrong cannot be taken out.
fn read<T: DeserializeOwned>(mut value: Value, at: &str, mistakes: &mut Vec<Mistake>) -> Option<T> {
    let mut sound = true;
    let mut removed = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(value.clone()) {
            Ok(read) => return sound.then_some(read),
            Err(error) => error,
        };
        sound = false;
        let mut path: Vec<String> = error.path().iter().map(ToString::to_string).filter(|s| s != "?").collect();
        let problem = error.inner().to_string();
        let problem = problem.lines().next().unwrap_or_default().trim().to_owned();
        if let Some(field) = quoted_after(&problem, "missing field `") {
            // A key that was taken out because its value was wrong is not missing.
            if !removed.contains(&join(&path, Some(field))) {
                let hint = format!("add {field} = …");
                mistakes.push(Mistake { at: full(at, &path), problem, hint });
            }
            return None;
        }
        if let Some(field) = quoted_after(&problem, "unknown field `")
            && path.last().is_none_or(|last| last != field)
        {
            path.push(field.to_owned());
        }
        let (problem, hint) = split_hint(&problem);
        mistakes.push(Mistake { at: full(at, &path), problem, hint });
        removed.push(join(&path, None));
        if !remove(&mut value, &path) {
            return None;
        }
    }
}

fn quoted_after<'a>(problem: &'a str, intro: &str) -> Option<&'a str> {
    let (_, rest) = problem.split_once(intro)?;
    rest.split_once('`').map(|(field, _)| field)
}

/// `unknown field `x`, expected one of …` is a problem and a hint.
fn split_hint(problem: &str) -> (String, String) {
    match problem.split_once(", expected ") {
        Some((problem, expected)) => (problem.to_owned(), format!("expected {expected}")),
        None => (problem.to_owned(), String::new()),
    }
}

fn join(path: &[String], field: Option<&str>) -> String {
    let parts: Vec<&str> = path.iter().map(String::as_str).chain(field).collect();
    parts.join(".")
}

fn full(at: &str, path: &[String]) -> String {
    path.iter().fold(at.to_owned(), |at, part| match part.starts_with('[') {
        true => format!("{at}{part}"),
        false => format!("{at}.{part}"),
    })
}

/// Takes the value at a path out of its table; a path into a list takes the whole list out.
fn remove(value: &mut Value, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else { return false };
    let Value::Table(table) = value else { return false };
    let removed_inside = match table.get_mut(key) {
        Some(inner) if !rest.is_empty() => remove(inner, rest),
        _ => false,
    };
    removed_inside || table.remove(key).is_some()
}
