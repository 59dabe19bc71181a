//! The lines about one message, found in a story or an audit without reading it into memory. What is held is one block, and the lines that were found.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use towpath_telemetry::story::before;

use super::Entry;
use super::last::backwards;

/// How many lines about one message are kept, the last ones: a message on hold is checked for days.
pub const MOST_LINES: usize = 500;

/// What a story says about one message.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct About {
    /// Its lines, oldest first.
    pub entries: Vec<Entry>,
    /// Whether there were more lines before them.
    pub is_cut: bool,
}

/// The lines about a message with an id that begins so. Blocks.
pub fn about(story: &Path, id: &str) -> io::Result<About> {
    let mut found = VecDeque::new();
    let mut is_cut = false;
    for path in [story.to_owned(), before(story)] {
        let is_more = each_with(&path, &[id], |line| {
            if let Some(entry) = Entry::read(line).filter(|entry| entry.is_about(id)) {
                is_cut = found.len() == MOST_LINES;
                if !is_cut {
                    found.push_front(entry);
                }
            }
            !is_cut
        })?;
        if !is_more {
            break;
        }
    }
    Ok(About { entries: found.into(), is_cut })
}

/// Shows the lines of a file that contain one of these texts, last first, until `look` returns false. Returns whether to continue. A file that does not
/// exist has none. Blocks.
pub(crate) fn each_with(path: &Path, texts: &[&str], mut look: impl FnMut(&str) -> bool) -> io::Result<bool> {
    if texts.iter().any(|text| text.is_empty()) {
        return Ok(true);
    }
    let mut left = u64::MAX;
    backwards(path, &mut left, &mut |line: &[u8]| match std::str::from_utf8(line) {
        Ok(line) if texts.iter().any(|text| line.contains(text)) => look(line),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, number: usize) -> String {
        let line = r#"{"level":"INFO","fields":{"message":"pass","outcome":"held","reason":"N"},"target":"towpath.story","span":{"message_id":"ID"}}"#;
        line.replace("ID", id).replace('N', &number.to_string()) + "\n"
    }

    #[test]
    fn the_lines_about_a_message_are_in_order_and_the_last_ones_if_there_are_many() {
        let folder = tempfile::TempDir::new().expect("folder");
        let story = folder.path().join("story.jsonl");
        assert_eq!(about(&story, "a").expect("read"), About::default());
        std::fs::write(before(&story), line("a-1", 1) + &line("b-1", 2)).expect("written");
        let others: String = (0..5_000).map(|n| line("other", n)).collect();
        std::fs::write(&story, others.clone() + &line("a-1", 3) + &others + &line("a-1", 4)).expect("written");
        let numbers = |about: &About| about.entries.iter().map(|e| e.field("reason").to_owned()).collect::<Vec<_>>();
        let found = about(&story, "a-1").expect("read");
        assert_eq!((numbers(&found), found.is_cut), (vec!["1".into(), "3".into(), "4".into()], false));
        let many = about(&story, "other").expect("read");
        assert_eq!((many.entries.len(), many.is_cut), (MOST_LINES, true));
        assert_eq!(numbers(&many).last().map(String::as_str), Some("4999"));
    }
}
