//! The only place that writes to the terminal.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use console::{Style, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use similar::{ChangeTag, TextDiff};
use towpath_core::registry::Failures;

/// How a command ended. These are the exit codes of every command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// 0: done, and all is well.
    Done,
    /// 1: done, and something is not as it should be: a case differs, a config has mistakes.
    Findings,
    /// 2: the command line is wrong (clap's own), or the command could not do its work.
    Failed,
    /// 3: a plugin does not build or does not load.
    Broken,
    /// 130: interrupted; what was under way is in the store.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Findings => 1,
            Exit::Failed => 2,
            Exit::Broken => 3,
            Exit::Interrupted => 130,
        }
    }

    /// How a command ends that failed with this.
    pub fn of(error: &anyhow::Error) -> Exit {
        match error.is::<Broken>() || error.is::<Failures>() {
            true => Exit::Broken,
            false => Exit::Failed,
        }
    }
}

/// The context of an error that is a plugin's: what was done with it.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a write to standard output found that nobody reads it.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes lines, tables and JSON to standard output, errors and progress to standard error. Colours only
/// on a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// An output; with `json`, what a command lists is JSON.
    pub fn new(json: bool) -> Output {
        Output { json }
    }

    /// Whether standard error is a terminal.
    pub fn is_terminal() -> bool {
        std::io::stderr().is_terminal()
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// One line. Writing to a pipe that was closed is no error worth telling.
    pub(crate) fn line(&self, text: impl Display) {
        let written = writeln!(std::io::stdout().lock(), "{}", harmless(&text.to_string()));
        if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            CLOSED.store(true, Ordering::Relaxed);
        }
    }

    /// Whether nobody reads standard output any more, as with `towpath tail | head`: a command that only shows can end.
    pub(crate) fn is_closed(&self) -> bool {
        CLOSED.load(Ordering::Relaxed)
    }

    /// One line for people: nothing if JSON is asked for.
    pub(crate) fn say(&self, text: impl Display) {
        if !self.json {
            self.line(text);
        }
    }

    /// A line in bold for people.
    pub(crate) fn headline(&self, text: impl Display) {
        self.say(format!("\n{}", style(text).bold()));
    }

    /// Pretty JSON.
    pub(crate) fn json(&self, value: &impl serde::Serialize) {
        self.line(escaped(&serde_json::to_string_pretty(value).unwrap_or_default()));
    }

    /// JSON in one line.
    pub(crate) fn json_line(&self, value: &impl serde::Serialize) {
        self.line(escaped(&serde_json::to_string(value).unwrap_or_default()));
    }

    /// Bytes as they are, for a file or another command; a terminal gets them as text.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        let _ = match stdout.is_terminal() {
            true => writeln!(stdout, "{}", harmless(&String::from_utf8_lossy(bytes))),
            false => stdout.write_all(bytes),
        };
        let _ = stdout.flush();
    }

    /// An error with its causes, once.
    pub fn error(&self, error: &anyhow::Error) {
        let text = format!("{} {error:#}", style("error:").red().bold().for_stderr());
        let _ = writeln!(std::io::stderr().lock(), "{}", harmless(&text));
    }

    /// A line on standard error: what goes on beside the result.
    pub(crate) fn note(&self, text: impl Display) {
        let _ = writeln!(std::io::stderr().lock(), "{}", harmless(&text.to_string()));
    }

    /// A table with a header; columns are as wide as their widest cell.
    pub(crate) fn table(&self, header: &[&str], rows: &[Vec<String>]) {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(header.get(column).map(|name| name.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        let write = |cells: &[String], paint: &Style| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line = padded.collect::<Vec<_>>().join("  ");
            self.line(paint.apply_to(line.trim_end()));
        };
        let names: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        write(&names, &Style::new().dim());
        rows.iter().for_each(|row| write(row, &Style::new()));
    }

    /// Lines that differ, with three around them, for people.
    pub(crate) fn diff(&self, before: &str, after: &str) {
        let diff = TextDiff::from_lines(before, after);
        for group in diff.grouped_ops(3) {
            for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
                let text = change.value().trim_end_matches('\n');
                self.say(match change.tag() {
                    ChangeTag::Delete => style(format!("    - {text}")).red(),
                    ChangeTag::Insert => style(format!("    + {text}")).green(),
                    ChangeTag::Equal => style(format!("      {text}")).dim(),
                });
            }
        }
    }

    /// A progress bar on standard error; it shows only on a terminal and only if the work takes a second.
    pub(crate) fn progress(&self, length: u64, what: &'static str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let template = "{msg} {wide_bar} {pos}/{len} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_secs(1));
        bar
    }
}

/// JSON in which what [`harmless`] would replace is escaped, so that whoever reads it gets what was there. Beside line ends
/// such characters stand only in its strings.
fn escaped(json: &str) -> String {
    let escape = |c: char| match c {
        '\n' => "\n".to_owned(),
        c if c.is_control() || is_bidirectional(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    json.chars().map(escape).collect()
}

/// A text without what could do something to a terminal: events, answers and plugins write what they like. Line breaks,
/// tabs and colours stay.
fn harmless(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let colour = colour(rest);
        let kept = colour.unwrap_or(character.len_utf8());
        match character {
            '\n' | '\t' => plain.push(character),
            _ if colour.is_some() => plain.push_str(rest.get(..kept).unwrap_or_default()),
            _ if character.is_control() || is_bidirectional(character) => plain.push(char::REPLACEMENT_CHARACTER),
            _ => plain.push(character),
        }
        rest = rest.get(kept..).unwrap_or_default();
    }
    plain
}

/// How long the colour is that a text begins with: `ESC [ 1;31 m`.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters.get(end..)?.starts_with('m').then_some(2 + end + 1)
}

/// Characters that turn the order of others around, so that a text reads as another.
fn is_bidirectional(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_does_anything_to_a_terminal() {
        let cases = [
            ("plain\ttext\nand \u{1F6F6}", "plain\ttext\nand \u{1F6F6}"),
            ("\u{1b}[1;31mred\u{1b}[0m", "\u{1b}[1;31mred\u{1b}[0m"),
            ("\u{1b}]0;title\u{7}", "\u{fffd}]0;title\u{fffd}"),
            ("\u{1b}[2J\u{1b}[H", "\u{fffd}[2J\u{fffd}[H"),
            ("a\rb\u{8}\u{9b}5n\u{0}", "a\u{fffd}b\u{fffd}\u{fffd}5n\u{fffd}"),
            ("\u{1b}[", "\u{fffd}["),
            ("\u{202e}txt.exe", "\u{fffd}txt.exe"),
        ];
        for (text, expected) in cases {
            assert_eq!(harmless(text), expected, "{text:?}");
        }
    }

    #[test]
    fn json_says_all_and_does_nothing_to_a_terminal() {
        let text = "a\u{7f}b\u{9b}5n \u{202e}txt\u{1b}[31m\u{0}\u{1F6F6}\n\t";
        let json = escaped(&serde_json::to_string_pretty(&[text]).expect("JSON"));
        assert_eq!(harmless(&json), json);
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).expect("JSON"), [text]);
    }
}
