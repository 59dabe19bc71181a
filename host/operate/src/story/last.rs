//! The last passes of some messages, read from the end of a story: a story may have 100 MB, and what is wanted is mostly near its end.

use std::collections::{HashMap, HashSet};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use towpath_files::regular::{self, Links};
use towpath_telemetry::story::before;

use super::Entry;

/// How much is read at a time.
const BLOCK: u64 = 256 * 1024;

/// How much of a story is searched, from its end: some ten thousand passes.
pub const MOST_READ: u64 = 8 * 1024 * 1024;

/// What every line about a message has.
const ID: &[u8] = b"\"message_id\":\"";

/// The last pass of each of these messages, by their ids in the queue, as far as the end of the story has it. Blocks.
pub fn last_passes(story: &Path, ids: &HashSet<String>) -> io::Result<HashMap<String, Entry>> {
    let mut found: HashMap<String, Entry> = HashMap::new();
    let mut left = MOST_READ;
    for path in [story.to_owned(), before(story)] {
        let mut look = |line: &[u8]| {
            if let Some(id) = id_of(line).filter(|id| ids.contains(*id) && !found.contains_key(*id))
                && let Some(entry) = std::str::from_utf8(line).ok().and_then(Entry::read)
                && entry.is_pass()
            {
                found.insert(id.to_owned(), entry);
            }
            found.len() < ids.len()
        };
        if !backwards(&path, &mut left, &mut look)? {
            break;
        }
    }
    Ok(found)
}

/// The id in a line, without reading it as JSON.
fn id_of(line: &[u8]) -> Option<&str> {
    let at = line.windows(ID.len()).position(|window| window == ID)? + ID.len();
    let rest = line.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

/// Shows the complete lines of a file, last first, until `look` returns false or `left` bytes are read. Returns whether to continue.
pub(super) fn backwards(path: &Path, left: &mut u64, look: &mut impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
    let mut file = match regular::open(std::fs::OpenOptions::new().read(true), path, Links::Refuse) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        opened => opened?,
    };
    let mut end = file.metadata()?.len();
    // The beginning of the line that the last block began in.
    let mut rest: Vec<u8> = Vec::new();
    // What follows the last line break is still being written.
    let mut is_end = true;
    while end > 0 && *left > 0 {
        let size = BLOCK.min(end).min(*left);
        let mut block = vec![0; usize::try_from(size).unwrap_or_default()];
        file.seek(SeekFrom::Start(end - size))?;
        file.read_exact(&mut block)?;
        end -= size;
        *left -= size;
        block.extend_from_slice(&rest);
        let mut lines: Vec<&[u8]> = block.split(|byte| *byte == b'\n').collect();
        if std::mem::take(&mut is_end) && lines.len() > 1 {
            lines.pop();
        }
        let first = if end > 0 { Some(lines.remove(0).to_vec()) } else { None };
        if !lines.into_iter().rev().all(&mut *look) {
            return Ok(false);
        }
        rest = first.unwrap_or_default();
        // A line longer than any that hosts write.
        if rest.len() as u64 > 4 * BLOCK {
            rest.clear();
        }
    }
    Ok(*left > 0)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn pass(id: &str, outcome: &str) -> String {
        let line = r#"{"level":"INFO","fields":{"message":"pass","outcome":"OUTCOME"},"target":"towpath.story","span":{"message_id":"ID"}}"#;
        line.replace("ID", id).replace("OUTCOME", outcome) + "\n"
    }

    fn outcomes(story: &Path, ids: &[&str]) -> Vec<(String, String)> {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let found = last_passes(story, &ids).expect("read");
        let mut found: Vec<_> = found.into_iter().map(|(id, entry)| (id, entry.what())).collect();
        found.sort();
        found
    }

    #[test]
    fn the_last_pass_of_a_message_is_found_across_blocks_and_a_rotation() {
        let folder = tempfile::TempDir::new().expect("folder");
        let story = folder.path().join("story.jsonl");
        assert_eq!(outcomes(&story, &["a"]), []);
        std::fs::write(before(&story), pass("old", "held") + &pass("a", "refused")).expect("written");
        let mut text = pass("a", "unavailable") + &pass("a", "held");
        // More than two blocks of other messages, so that lines are split.
        for n in 0..5_000 {
            write!(text, "{}", pass(&format!("other-{n}"), "delivered")).expect("written");
        }
        text += &pass("b", "rejected");
        text += "{\"half a line\":\"message_id\":\"a";
        assert!(text.len() as u64 > 2 * BLOCK);
        std::fs::write(&story, text).expect("written");
        let own = |id: &str, outcome: &str| (id.to_owned(), outcome.to_owned());
        assert_eq!(outcomes(&story, &["a"]), [own("a", "held")]);
        let all = [own("a", "held"), own("b", "rejected"), own("old", "held"), own("other-0", "delivered")];
        assert_eq!(outcomes(&story, &["a", "b", "none", "old", "other-0"]), all);
    }

    #[test]
    fn no_more_than_the_end_of_a_story_is_read() {
        let folder = tempfile::TempDir::new().expect("folder");
        let story = folder.path().join("story.jsonl");
        let line = pass("other", "delivered");
        let many = usize::try_from(MOST_READ).expect("a size") / line.len() + 1;
        std::fs::write(&story, pass("a", "held") + &line.repeat(many)).expect("written");
        assert_eq!(outcomes(&story, &["a"]), []);
        assert_eq!(outcomes(&story, &["other"]).len(), 1);
    }
}
