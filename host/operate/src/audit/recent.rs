//! The end of the audit, read from the back: its cost does not grow with the file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use towpath_files::regular::{self, Links};
use towpath_types::clock::Timestamp;

/// How much is read at first. A line with a whole letter may be longer.
const WINDOW: u64 = 256 * 1024;

/// A longer line is none of ours.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Any line of the audit, without bodies.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Line {
    /// When it was recorded.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// Such as `redrive` or `look`.
    pub action: String,
    /// `begin` or `end` of an erasure.
    #[serde(default)]
    pub step: Option<String>,
    /// `done`, `refused` or `failed`, if the line is the outcome of one before it.
    #[serde(default)]
    pub outcome: Option<String>,
    /// How many messages it was done to.
    #[serde(default)]
    pub messages: Option<u64>,
    /// `retention` if a rule of the config did it.
    #[serde(default)]
    pub reason: Option<String>,
    /// Why it was done.
    #[serde(default)]
    pub note: String,
    /// The id of the message in its queue.
    #[serde(default)]
    pub id: Option<String>,
    /// The group of the message.
    #[serde(default)]
    pub group: Option<String>,
    /// The letter, if there is one.
    #[serde(default)]
    pub letter: Option<Named>,
    /// The run of a replay.
    #[serde(default)]
    pub run: Option<String>,
    /// The plugin whose channel was moved.
    #[serde(default)]
    pub plugin: Option<String>,
    /// The channel.
    #[serde(default)]
    pub channel: Option<String>,
    /// The version to which it was moved.
    #[serde(default)]
    pub version: Option<String>,
}

/// What a line says about a letter.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Named {
    /// The id under which its message was first stored.
    pub id: String,
    /// Why it was dead-lettered.
    pub reason: String,
}

/// The last lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    /// The lines, newest first. Unreadable ones are left out.
    pub lines: Vec<Line>,
    /// Where to go on; `None` if these were all.
    pub next: Option<u64>,
}

pub(super) fn read(path: &Path, before: Option<u64>, most: usize) -> io::Result<Recent> {
    let mut file = match regular::open(OpenOptions::new().read(true), path, Links::Refuse) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Recent::default()),
        opened => opened?,
    };
    let length = file.metadata()?.len();
    let mut end = before.unwrap_or(length).min(length);
    let mut recent = Recent::default();
    let mut window = WINDOW;
    while end > 0 && recent.lines.len() < most {
        let start = end.saturating_sub(window);
        let bytes = part(&mut file, start, end)?;
        // What comes before the first line end is the rest of a line that begins earlier.
        let first = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let whole = if start == 0 { 0 } else { first };
        let Some(lines) = bytes.get(whole..).filter(|lines| !lines.is_empty()) else {
            if window >= LONGEST {
                return Err(io::Error::new(ErrorKind::InvalidData, "a line is too long"));
            }
            window *= 4;
            continue;
        };
        window = WINDOW;
        end = take(lines, end, most, &mut recent.lines);
    }
    recent.next = Some(end).filter(|end| *end > 0);
    Ok(recent)
}

/// Adds the last of these lines, which end at this place. Returns where the first of them begins.
fn take(lines: &[u8], mut end: u64, most: usize, taken: &mut Vec<Line>) -> u64 {
    for line in lines.split_inclusive(|byte| *byte == b'\n').rev() {
        if taken.len() == most {
            break;
        }
        end -= line.len() as u64;
        taken.extend(serde_json::from_slice::<Line>(line));
    }
    end
}

fn part(file: &mut File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(end - start).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_is_read_from_its_end_page_by_page_however_long_its_lines_are() {
        let folder = tempfile::TempDir::new().expect("folder");
        let path = folder.path().join("audit.jsonl");
        assert_eq!(read(&path, None, 10).expect("no file"), Recent::default());
        let mut text = String::new();
        for number in 0..25 {
            let body = "x".repeat(if number % 7 == 0 { 600_000 } else { 10 });
            text += &format!("{{\"at\":{number},\"by\":\"ann\",\"action\":\"drop\",\"body\":\"{body}\"}}\n");
        }
        std::fs::write(&path, text + "{\"torn\":").expect("written");
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let recent = read(&path, before, 4).expect("read");
            assert!(recent.lines.len() <= 4);
            seen.extend(recent.lines.iter().map(|line| line.at.0));
            before = recent.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..25).rev().collect::<Vec<u64>>());
    }
}
