//! Files of replays: they name groups, ids and values.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use towpath_files::private;

use super::person::Person;
use crate::replay::{Record, State, write};

/// How many files name the person.
pub(super) fn count(folder: &Path, person: &Person) -> anyhow::Result<u64> {
    let mut named = 0;
    for path in files(folder, "json")? {
        named += u64::from(read(&path)?.is_some_and(|record| without(record.clone(), person) != Some(record)));
    }
    Ok(named)
}

/// Takes the person out of the files. One that would have no condition left is removed: it selected only events that are erased.
pub(super) fn erase(folder: &Path, person: &Person) -> anyhow::Result<u64> {
    let mut erased = 0;
    for path in files(folder, "json")? {
        let Some(record) = read(&path)? else { continue };
        match without(record.clone(), person) {
            Some(left) if left == record => continue,
            Some(left) => write(folder, &left)?,
            None => remove(&path)?,
        }
        erased += 1;
    }
    // No replay runs, so they are what a crash left.
    files(folder, "tmp")?.iter().try_for_each(|path| remove(path))?;
    Ok(erased)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    std::fs::remove_file(path).with_context(|| format!("removing {}", path.display()))
}

fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("reading {}", folder.display()))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    let is_replay = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("replay-") && path.extension().is_some_and(|found| found == extension)
    };
    Ok(paths.into_iter().filter(is_replay).collect())
}

/// `None` for a file that is none of a run.
fn read(path: &Path) -> anyhow::Result<Option<Record>> {
    let text = private::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The run without the person; `None` if it was about nobody else.
fn without(mut record: Record, person: &Person) -> Option<Record> {
    let asked = &mut record.request.conditions;
    let is_named = |text: &String| person.knows(text);
    for (names, is_gone) in [
        (&mut asked.groups, &(|name: &String| person.is_group(name)) as &dyn Fn(&String) -> bool),
        (&mut asked.ids, &is_named),
    ] {
        let had_some = !names.is_empty();
        names.retain(|name| !is_gone(name));
        if had_some && names.is_empty() {
            return None;
        }
    }
    let is_value = |value: &(String, String)| person.subject.values.contains(value);
    if asked.values.iter().any(is_value) || asked.contains.as_ref().is_some_and(|text| person.has_value_in(text)) {
        return None;
    }
    record.position = record.position.map(|position| position.without(|id| person.knows(id)));
    // It may name a group.
    if let State::Failed(problem) = &record.state
        && person.whole_groups().iter().any(|group| problem.contains(group.as_str()))
    {
        record.state = State::Failed("erased".to_owned());
    }
    Some(record)
}
