//! Maps the keys of a TOML file to its lines.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

/// Lines by key path, such as `route[0].verify.secret`.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// The lines of a file; empty if it is not TOML.
    pub(super) fn of(text: &str) -> Lines {
        let mut lines = Lines::default();
        if let Ok(file) = DeTable::parse(text) {
            let starts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
            let line = |offset: usize| starts.partition_point(|start| *start < offset) + 1;
            lines.note_table("", file.get_ref(), &line);
        }
        lines
    }

    /// The line of a key, or of the closest table above it in the file.
    pub(super) fn find(&self, at: &str) -> Option<usize> {
        let mut at = at;
        loop {
            if let Some(line) = self.0.get(at) {
                return Some(*line);
            }
            at = at.get(..at.rfind(['.', '['])?)?;
        }
    }

    fn note_table(&mut self, above: &str, table: &DeTable<'_>, line: &impl Fn(usize) -> usize) {
        for (key, value) in table {
            let at = if above.is_empty() { key.get_ref().to_string() } else { format!("{above}.{}", key.get_ref()) };
            self.0.insert(at.clone(), line(key.span().start));
            self.note(&at, value.get_ref(), line);
        }
    }

    fn note(&mut self, at: &str, value: &DeValue<'_>, line: &impl Fn(usize) -> usize) {
        match value {
            DeValue::Table(table) => self.note_table(at, table, line),
            DeValue::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    let at = format!("{at}[{index}]");
                    self.0.insert(at.clone(), line(value.span().start));
                    self.note(&at, value.get_ref(), line);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_line_and_a_missing_one_that_of_its_table() {
        let text = "[queue]\nurl = 'a'\n\n[[route]]\npath = 'a'\n[[route]]\nverify = { secret = [\n 'a',\n 'b'] }\n";
        let lines = Lines::of(text);
        for (at, line) in [
            ("queue.url", Some(2)),
            ("queue.dead_letter_url", Some(1)),
            ("route[0].path", Some(5)),
            ("route[1]", Some(6)),
            ("route[1].plugin", Some(6)),
            ("route[1].verify.secret[1]", Some(9)),
            ("plugin.crm.path", None),
        ] {
            assert_eq!(lines.find(at), line, "{at}");
        }
        assert_eq!(Lines::of("{\"a\": 1}").find("a"), None);
    }
}
