//! Import cycles among the files of a room, by their `use` lines.

use std::collections::{BTreeMap, BTreeSet};

use super::{ARROWS, files, is_test, without_tests};

/// The files of a room by their module paths (`""` is `lib.rs`), each with what it imports of its own room.
type Room = BTreeMap<String, Module>;

#[derive(Default)]
struct Module {
    /// Whole paths below the room's root, such as `pipeline::shadow::Seat`.
    imports: Vec<String>,
    /// What it publishes of other modules: the name, and the path that it stands for.
    exports: BTreeMap<String, String>,
}

/// `src/pipeline/shadow.rs` is the module `pipeline::shadow`.
fn module_of(file: &str, room: &str) -> String {
    let inside = file.split_once(&format!("host/{room}/src/")).unwrap().1.trim_end_matches(".rs");
    match inside {
        "lib" | "main" => String::new(),
        inside => inside.replace('/', "::"),
    }
}

fn read(room: &str) -> Room {
    let sources = files(&format!("host/{room}/src"));
    let sources = sources.iter().filter(|(file, _)| !is_test(file));
    of(sources.map(|(file, code)| (module_of(file, room), without_tests(code).to_owned())).collect())
}

fn of(sources: Vec<(String, String)>) -> Room {
    let names: BTreeSet<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    sources.iter().map(|(name, code)| (name.clone(), module(name, code, &names))).collect()
}

fn module(name: &str, code: &str, names: &BTreeSet<&str>) -> Module {
    let mut module = Module::default();
    for statement in code.split(';') {
        let Some(at) = statement.rfind("use ") else { continue };
        let (before, tree) = statement.split_at(at);
        let before = before.lines().last().unwrap_or_default().trim();
        if !(before.is_empty() || before.starts_with("pub")) {
            continue;
        }
        for path in flat(tree.trim_start_matches("use ")) {
            let (path, alias) = path.split_once(" as ").unwrap_or((&path, ""));
            let Some(whole) = absolute(name, path, names) else { continue };
            if before.starts_with("pub") {
                let last = if alias.is_empty() { whole.rsplit("::").next().unwrap() } else { alias };
                module.exports.insert(last.to_owned(), whole.clone());
            }
            module.imports.push(whole);
        }
    }
    module
}

/// `a::{b, c::{d}}` is `a::b` and `a::c::d`.
fn flat(tree: &str) -> Vec<String> {
    let tree: String = tree.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((prefix, list)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let list = list.strip_suffix('}').unwrap_or(list);
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(|part| flat(&format!("{prefix}{part}"))).collect()
}

/// The path below the room's root, if it is one of the room: `crate::…`, `super::…`, `self::…`, or of a module in this file.
fn absolute(name: &str, path: &str, names: &BTreeSet<&str>) -> Option<String> {
    let mut here: Vec<&str> = name.split("::").filter(|part| !part.is_empty()).collect();
    let mut rest: Vec<&str> = path.trim().split("::").map(str::trim).collect();
    match *rest.first()? {
        "crate" => here.clear(),
        "self" => {}
        "super" => {
            while rest.first() == Some(&"super") {
                here.pop();
                rest.remove(0);
            }
            rest.insert(0, "");
        }
        first if names.contains([name, first].join("::").trim_start_matches(':')) => rest.insert(0, ""),
        _ => return None,
    }
    rest.remove(0);
    if rest.last() == Some(&"self") {
        rest.pop();
    }
    here.extend(rest);
    Some(here.join("::"))
}

/// The file that a path leads to: where it is defined, however often it is published again on the way.
fn definition(room: &Room, path: &str) -> String {
    let parts: Vec<&str> = path.split("::").collect();
    // The longest beginning that is a file; what follows is a name in it.
    for length in (0..=parts.len()).rev() {
        let module = parts[..length].join("::");
        let Some(found) = room.get(&module) else { continue };
        return match parts.get(length).and_then(|name| found.exports.get(*name)) {
            Some(further) if further != path => definition(room, further),
            _ => module,
        };
    }
    String::new()
}

fn arrows(room: &Room) -> BTreeMap<String, BTreeSet<String>> {
    let of = |(name, module): (&String, &Module)| {
        // What a file publishes of another one it does not need itself.
        let imports = module.imports.iter().filter(|path| !module.exports.values().any(|export| export == *path));
        let to: BTreeSet<String> = imports.map(|path| definition(room, path)).filter(|to| to != name).collect();
        (name.clone(), to)
    };
    room.iter().map(of).collect()
}

/// A way from a file back to itself, if there is one.
fn cycle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk<'a>(
        at: &'a str,
        arrows: &'a BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(from) = way.iter().position(|file| *file == at) {
            return Some(way[from..].iter().chain([&at]).map(|file| (*file).to_owned()).collect());
        }
        if !done.insert(at) {
            return None;
        }
        way.push(at);
        let found = arrows.get(at).into_iter().flatten().find_map(|next| walk(next, arrows, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    arrows.keys().find_map(|file| walk(file, arrows, &mut Vec::new(), &mut done))
}

#[test]
fn a_cycle_is_found_through_everything_that_an_import_can_be() {
    let room = |sources: &[(&str, &str)]| -> Room {
        of(sources.iter().map(|(name, code)| ((*name).to_owned(), (*code).to_owned())).collect())
    };
    let straight = room(&[("", "pub mod a;\npub use a::A;"), ("a", "use crate::b::B;"), ("b", "use std::fmt;")]);
    assert_eq!(cycle(&arrows(&straight)), None);
    let cases = [
        room(&[("a", "use crate::b::B;"), ("b", "use crate::{a::A, c};"), ("c", "")]),
        room(&[("", "pub use self::a::A;"), ("a", "use super::b::{self, B};"), ("b", "use crate::A;")]),
        room(&[
            ("a", "pub(crate) use c::C;\nuse self::c::D;"),
            ("a::c", "use super::super::b;"),
            ("b", "use crate::a::c::{C};"),
        ]),
    ];
    for case in cases {
        assert!(cycle(&arrows(&case)).is_some(), "{:?}", arrows(&case));
    }
}

#[test]
fn no_room_has_an_import_cycle() {
    let mut found = Vec::new();
    for (room, _) in ARROWS {
        let arrows = arrows(&read(room));
        assert!(!arrows.is_empty(), "host/{room} has no files");
        found.extend(cycle(&arrows).map(|way| format!("host/{room}: {}", way.join(" -> "))));
    }
    assert_eq!(found, [""; 0]);
}
