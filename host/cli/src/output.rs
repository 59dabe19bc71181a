//! The only place that writes to the terminal. It escapes all text, because most output contains text from events, responses
//! and plugins. Only this module makes line breaks and colours.

use std::fmt::Display;
use std::io::{BufRead, BufReader, IsTerminal as _, Read, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use console::{Alignment, Style, measure_text_width, pad_str, style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use towpath_registry::Failures;
use towpath_types::foreign::{self, Foreign};

use crate::hints::hint;

/// How a command ended. These are the exit codes of every command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// 0: success.
    Done,
    /// 1: the command worked and found a problem: a case differs, a config has mistakes.
    Findings,
    /// 2: the command line is wrong (clap's own code), or the command failed.
    Failed,
    /// 3: a plugin does not build or does not load.
    Broken,
    /// 130: interrupted; unfinished messages are in the store.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Findings => 1,
            Exit::Failed => 2,
            Exit::Broken => 3,
            Exit::Interrupted => 130,
        }
    }

    /// The exit of a command that failed with this error.
    pub fn of(error: &anyhow::Error) -> Exit {
        if error.is::<Broken>() || error.is::<Failures>() { Exit::Broken } else { Exit::Failed }
    }
}

/// A failure as JSON.
#[derive(Serialize)]
struct Failure {
    error: String,
    causes: Vec<String>,
    /// The option that avoids it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// The context of an error that the plugin caused: what was done with the plugin.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a write to standard output failed because its reader is gone.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether anything was written to standard output.
static WRITTEN: AtomicBool = AtomicBool::new(false);

/// The most characters of a table cell, a block and an error.
const MAX_CELL: usize = 500;
const MAX_BLOCK: usize = 32 * 1024;
const MAX_ERROR: usize = 64 * 1024;

/// The longest line of another program that is relayed in one piece.
pub(crate) const MAX_RELAYED: u64 = 1024 * 1024;

/// A part of a line, with its style.
pub(crate) type Span = (Style, String);

/// A part of a line without a style.
pub(crate) fn plain(text: impl Display) -> Span {
    (Style::new(), text.to_string())
}

/// `ok` or `FAILED`.
pub(crate) fn mark(ok: bool) -> Span {
    if ok { (Style::new().green(), "ok".to_owned()) } else { (Style::new().red().bold(), "FAILED".to_owned()) }
}

/// Writes lines, tables and JSON to standard output, errors and progress to standard error. Colours only
/// on a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// An output; with `json`, results are JSON.
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

    /// Writes text that is escaped already. A closed pipe is not reported as an error.
    fn write(&self, text: impl Display) {
        WRITTEN.store(true, Ordering::Relaxed);
        let written = writeln!(std::io::stdout().lock(), "{text}");
        if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            CLOSED.store(true, Ordering::Relaxed);
        }
    }

    /// One line; line breaks in the text are escaped.
    pub(crate) fn line(&self, text: impl Display) {
        self.write(Foreign::line(&text.to_string()));
    }

    /// One line of styled parts.
    pub(crate) fn spans<const N: usize>(&self, spans: [Span; N]) {
        let painted = spans.map(|(style, text)| style.apply_to(Foreign::line(&text).to_string()).to_string());
        self.write(painted.concat());
    }

    /// Several lines of our own, such as a TOML table. Foreign text in them must not contain line breaks.
    pub(crate) fn lines(&self, text: &str) {
        text.lines().for_each(|line| self.line(line));
    }

    /// Foreign text with its own line breaks. Every line is indented, so that none looks like one of ours. Very long text is
    /// truncated.
    pub(crate) fn block(&self, indent: &str, text: &str) {
        self.write(Foreign::block(text.trim_end_matches('\n'), indent).at_most(MAX_BLOCK));
    }

    /// Like [`Output::block`] without truncation, for a body that the user asked for.
    pub(crate) fn body(&self, indent: &str, text: &str) {
        self.write(Foreign::block(text.trim_end_matches('\n'), indent));
    }

    /// Whether the reader of standard output is gone, as with `towpath tail | head`: a command that only prints can exit.
    pub(crate) fn is_closed(&self) -> bool {
        CLOSED.load(Ordering::Relaxed)
    }

    /// One line for people; nothing with `--json`.
    pub(crate) fn say(&self, text: impl Display) {
        if !self.json {
            self.line(text);
        }
    }

    /// Like [`Output::spans`], for people.
    pub(crate) fn say_spans<const N: usize>(&self, spans: [Span; N]) {
        if !self.json {
            self.spans(spans);
        }
    }

    /// Like [`Output::block`], for people.
    pub(crate) fn say_block(&self, indent: &str, text: &str) {
        if !self.json {
            self.block(indent, text);
        }
    }

    /// An empty line and a bold one, for people.
    pub(crate) fn headline(&self, text: impl Display) {
        self.say("");
        self.say_spans([(Style::new().bold(), text.to_string())]);
    }

    /// Pretty JSON.
    pub(crate) fn json(&self, value: &impl Serialize) {
        self.write(foreign::json(&serde_json::to_string_pretty(value).unwrap_or_default()));
    }

    /// JSON on one line.
    pub(crate) fn json_line(&self, value: &impl Serialize) {
        self.write(foreign::json(&serde_json::to_string(value).unwrap_or_default()));
    }

    /// Raw bytes, for a file or another command; a terminal gets escaped text.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        WRITTEN.store(true, Ordering::Relaxed);
        let mut stdout = std::io::stdout().lock();
        let _ = if stdout.is_terminal() {
            writeln!(stdout, "{}", Foreign::block(&String::from_utf8_lossy(bytes), ""))
        } else {
            stdout.write_all(bytes)
        };
        let _ = stdout.flush();
    }

    /// An error with its causes, and a hint if an option avoids it.
    pub fn error(&self, error: &anyhow::Error) {
        let begin = style("error:").red().bold().for_stderr();
        let _ = writeln!(std::io::stderr().lock(), "{begin} {}", indented(&format!("{error:#}")));
        if let Some(hint) = hint(error) {
            let _ = writeln!(std::io::stderr().lock(), "  {hint}");
        }
    }

    /// Reports the error of a failed command; with `--json` also on standard output, unless a result was written before.
    pub fn failure(&self, error: &anyhow::Error) {
        self.error(error);
        if self.json && !WRITTEN.load(Ordering::Relaxed) {
            let causes = error.chain().skip(1).map(ToString::to_string).collect();
            self.json(&Failure { error: error.to_string(), causes, hint: hint(error) });
        }
    }

    /// A line on standard error: progress and warnings.
    pub(crate) fn note(&self, text: impl Display) {
        let _ = writeln!(std::io::stderr().lock(), "{}", Foreign::line(&text.to_string()));
    }

    /// Relays the output of another program to standard error, line by line, until it ends.
    pub(crate) fn relay(&self, program: impl Read) {
        let mut reader = BufReader::new(program);
        let mut line = Vec::new();
        while reader.by_ref().take(MAX_RELAYED).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            self.relayed(&line);
            line.clear();
        }
    }

    /// A line of another program.
    pub(crate) fn relayed(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        let shown = Foreign::line(text).at_most(usize::MAX);
        let _ = writeln!(std::io::stderr().lock(), "{shown}");
    }

    /// A table with a header. A column is as wide as its widest cell; a row is one line.
    pub(crate) fn table(&self, header: &[&str], rows: &[Vec<String>]) {
        let shown = |cell: &String| Foreign::line(cell).at_most(MAX_CELL).to_string();
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell));
            cells.chain(header.get(column).map(|name| measure_text_width(name))).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        let write = |cells: &[String], paint: &Style| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| pad_str(cell, *width, Alignment::Left, None));
            let line = padded.collect::<Vec<_>>().join("  ");
            self.write(paint.apply_to(line.trim_end()));
        };
        let names: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        write(&names, &Style::new().dim());
        rows.iter().for_each(|row| write(row, &Style::new()));
    }

    /// A diff with three lines of context, for people.
    pub(crate) fn diff(&self, before: &str, after: &str) {
        let diff = TextDiff::from_lines(before, after);
        for group in diff.grouped_ops(3) {
            for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
                let text = change.value().trim_end_matches('\n');
                self.say_spans(match change.tag() {
                    ChangeTag::Delete => [(Style::new().red(), format!("    - {text}"))],
                    ChangeTag::Insert => [(Style::new().green(), format!("    + {text}"))],
                    ChangeTag::Equal => [(Style::new().dim(), format!("      {text}"))],
                });
            }
        }
    }

    /// A progress bar on standard error. It appears only on a terminal, after a second.
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

/// An error's text, with every line but the first indented: some errors list foreign text, and none of it may look like a line of
/// ours.
fn indented(text: &str) -> String {
    let shown = Foreign::block(text, "").at_most(MAX_ERROR).to_string();
    let mut lines = shown.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(
        first,
        |text, line| if line.is_empty() || line.starts_with("  ") { text + "\n" + line } else { text + "\n  " + line },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_in_an_error_begins_a_line() {
        let text = "x has 1 mistake:\n  a: wrong\nerror: forged\n\n\u{1b}[2Jx\r\u{202e}";
        let shown = "x has 1 mistake:\n  a: wrong\n  error: forged\n\n  \\u{1b}[2Jx\\r\\u{202e}";
        assert_eq!(indented(text), shown);
        assert_eq!(indented(""), "");
    }
}
