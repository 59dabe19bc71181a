//! Counts the passes of plugins by build, at the end of a story.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use towpath_telemetry::story::before;

use super::Entry;
use super::last::{MOST_READ, backwards};

/// What the line of a pass has.
const PASS: &[u8] = b"\"pass\"";

/// How often a build ran, and how that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Passes {
    /// Delivered or skipped.
    pub done: u64,
    /// Everything else: retried, held, dead-lettered.
    pub other: u64,
}

/// The passes by plugin and the first characters of the build's digest, as far as the end of the story has them. Blocks.
pub fn passes(story: &Path) -> io::Result<BTreeMap<(String, String), Passes>> {
    let mut found: BTreeMap<(String, String), Passes> = BTreeMap::new();
    let mut left = MOST_READ;
    for path in [story.to_owned(), before(story)] {
        let mut look = |line: &[u8]| {
            if line.windows(PASS.len()).any(|window| window == PASS)
                && let Some(entry) = std::str::from_utf8(line).ok().and_then(Entry::read)
                && entry.is_pass()
                && !entry.field("plugin").is_empty()
            {
                let build = (entry.field("plugin").to_owned(), entry.field("digest").to_owned());
                let passes = found.entry(build).or_default();
                let is_done = matches!(entry.field("outcome"), "delivered" | "skipped");
                *if is_done { &mut passes.done } else { &mut passes.other } += 1;
            }
            true
        };
        if !backwards(&path, &mut left, &mut look)? {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_counted_by_build_across_a_rotation() {
        let folder = tempfile::TempDir::new().expect("folder");
        let story = folder.path().join("story.jsonl");
        assert_eq!(passes(&story).expect("no story"), BTreeMap::new());
        let line = |plugin: &str, digest: &str, outcome: &str| {
            let line = serde_json::json!({
                "level": "INFO", "target": "towpath.story", "fields": { "message": "pass", "outcome": outcome },
                "span": { "message_id": "m", "plugin": plugin, "digest": digest },
            });
            format!("{line}\n")
        };
        std::fs::write(before(&story), line("crm", "aa", "delivered")).expect("written");
        let text = [("crm", "aa", "skipped"), ("crm", "bb", "delivered"), ("crm@candidate", "bb", "held")];
        let stored =
            r#"{"level":"INFO","target":"towpath.story","fields":{"message":"stored"},"span":{"plugin":"crm"}}"#;
        let text: String = text.iter().map(|(plugin, digest, outcome)| line(plugin, digest, outcome)).collect();
        std::fs::write(&story, format!("{text}{stored}\n")).expect("written");
        let of =
            |plugin: &str, digest: &str, done, other| ((plugin.to_owned(), digest.to_owned()), Passes { done, other });
        let expected = [of("crm", "aa", 2, 0), of("crm", "bb", 1, 0), of("crm@candidate", "bb", 0, 1)];
        assert_eq!(passes(&story).expect("read"), expected.into());
    }
}
