//! What else tells of events: the story, the audit, and the files of replays.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Map, Value};
use towpath_types::body::Body;

use super::lines::{self, END, Judge};
use super::person::Person;
use super::{Counts, replays};
use crate::audit::{Audit, AuditEntry};
use crate::queues::STORY;

/// What the audit keeps of an entry.
const KEPT: [&str; 5] = ["at", "by", "action", "run", "events"];

/// How often a story that is rotated meanwhile is read again.
const TRIES: usize = 5;

/// Counts what tells of a person's events in the folder.
pub(super) fn count(folder: &Path, person: &Person) -> anyhow::Result<Counts> {
    let story = |line: &str| in_story(person, line);
    let audit = |line: &str| in_audit(person, line);
    let mut counts = Counts { replays: replays::count(folder, person)?, ..Counts::default() };
    for file in story_files(folder) {
        counts.story += lines::count(&file, &story).with_context(|| reading(&file))?;
    }
    let file = Audit::in_folder(folder).file().to_owned();
    counts.audit = lines::count(&file, &audit).with_context(|| reading(&file))?;
    Ok(counts)
}

/// Erases what tells of a person's events.
pub(super) fn erase(folder: &Path, person: &Person) -> anyhow::Result<Counts> {
    let audit = |line: &str| in_audit(person, line);
    let mut counts = Counts { replays: replays::erase(folder, person)?, ..Counts::default() };
    counts.story = erase_story(folder, &|line| in_story(person, line))?;
    let file = Audit::in_folder(folder).file().to_owned();
    counts.audit = lines::erase(&file, &audit).with_context(|| reading(&file))?;
    Ok(counts)
}

/// The current file first: a rotation makes it the previous one.
fn story_files(folder: &Path) -> [PathBuf; 2] {
    let current = folder.join(STORY);
    [current.clone(), current.with_added_extension("1")]
}

fn erase_story(folder: &Path, judge: Judge<'_>) -> anyhow::Result<u64> {
    let [current, _] = story_files(folder);
    let identity = || std::fs::symlink_metadata(&current).map(|found| found.ino()).ok();
    let mut erased = 0;
    for _ in 0..TRIES {
        let before = identity();
        for file in story_files(folder) {
            erased += lines::erase(&file, judge).with_context(|| reading(&file))?;
        }
        if identity() == before {
            return Ok(erased);
        }
    }
    Err(io::Error::other("it is rotated all the time")).with_context(|| reading(&current))
}

fn reading(file: &Path) -> String {
    format!("reading {}", file.display())
}

fn in_story(person: &Person, line: &str) -> Option<String> {
    let is_about = match serde_json::from_str(line) {
        Ok(value) => mentions(person, "", &value),
        Err(_) => has_text(person, line),
    };
    is_about.then(String::new)
}

/// The entry stays without its content.
fn in_audit(person: &Person, line: &str) -> Option<String> {
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return has_text(person, line).then(String::new);
    };
    if !mentions(person, "", &value) && !is_entry_of(person, line) {
        return None;
    }
    let kept = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())));
    let kept = serde_json::to_string(&kept.collect::<Map<_, _>>()).unwrap_or_default();
    let separator = if kept == "{}" { "" } else { "," };
    kept.strip_suffix('}').map(|kept| format!("{kept}{separator}{END}"))
}

/// Whether it is an entry about a letter that has the person's values.
fn is_entry_of(person: &Person, line: &str) -> bool {
    let Ok(AuditEntry { group, body: Some(body), .. }) = serde_json::from_str(line) else { return false };
    person.has(group.as_str(), || Body::from(body))
}

/// Whether a value names the person: an id of an event anywhere, a group where groups are, a value where a replay was asked for.
fn mentions(person: &Person, name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let is_group = matches!(name, "group" | "groups") && person.is_group(text);
            is_group || person.knows(text) || name == "contains" && person.has_value_in(text)
        }
        Value::Array(items) if name == "where" => items.iter().any(|pair| is_condition(person, pair)),
        Value::Array(items) => items.iter().any(|item| mentions(person, name, item)),
        Value::Object(members) => members.iter().any(|(name, value)| mentions(person, name, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_condition(person: &Person, pair: &Value) -> bool {
    let Ok((at, value)) = serde_json::from_value::<(String, String)>(pair.clone()) else { return false };
    person.subject.values.contains(&(at, value))
}

/// Whether a line that is torn has a name or an id of the person.
fn has_text(person: &Person, line: &str) -> bool {
    let quoted = |text: &String| serde_json::to_string(text).unwrap_or_default();
    person.whole_groups().iter().any(|group| line.contains(&quoted(group)))
        || person.ids.iter().any(|id| line.contains(id.as_str()))
}
