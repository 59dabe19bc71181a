//! Keeps each log event on one line that cannot control a terminal, whatever its fields contain.

use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::io::{self, Write};

use towpath_types::foreign::{Foreign, json};
use tracing::Metadata;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, MakeWriter};

/// Fields for people: the name in italics where there are colours, the value as one line of foreign text.
pub(super) struct OneLine;

impl<'writer> FormatFields<'writer> for OneLine {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Fields { writer, value: String::new(), begun: false, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct Fields<'writer> {
    writer: Writer<'writer>,
    /// Of the field that is being written.
    value: String,
    begun: bool,
    result: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field) {
        let separator = if self.begun { " " } else { "" };
        self.begun = true;
        let value = Foreign::line(&self.value);
        let written = match (field.name(), self.writer.has_ansi_escapes()) {
            ("message", _) => write!(self.writer, "{separator}{value}"),
            (name, true) => write!(self.writer, "{separator}\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}"),
            (name, false) => write!(self.writer, "{separator}{name}={value}"),
        };
        self.result = self.result.and(written);
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            _ => self.record_debug(field, &value),
        }
    }

    /// An error with its causes.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(deeper) = cause {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {deeper}");
            cause = deeper.source();
        }
        self.record_debug(field, &format_args!("{text}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.value.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.value, "{value:?}");
        self.write(field);
    }
}

/// A writer of JSON lines that also escapes what JSON allows verbatim: line separators, DEL, C1, and bidirectional
/// controls.
pub(super) struct Escaped<M>(pub(super) M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Escaped<M> {
    type Writer = EscapedLine<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        EscapedLine(self.0.make_writer())
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        EscapedLine(self.0.make_writer_for(meta))
    }
}

pub(super) struct EscapedLine<W>(W);

impl<W: Write> Write for EscapedLine<W> {
    /// A line arrives in one write, and leaves in one.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(json(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::{error, error_span};
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::{Lines, text};
    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Ends a line, forges another with our colours, and reverses the text after it.
    const HOSTILE: &str =
        "x\r\n2026-01-01T00:00:00Z ERROR forged\u{1b}[31m\u{1b}]0;t\u{7}\u{9b}2J\u{85}\u{2028}\u{202e}\u{e0041}";

    #[derive(Debug, thiserror::Error)]
    #[error("outer {HOSTILE}")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner {HOSTILE}")]
    struct Inner;

    /// Everything written for events with hostile fields, by every way to log them.
    fn written(layer: impl FnOnce(Captured) -> Lines<tracing_subscriber::Registry>) -> String {
        let kept = Captured::default();
        let subscriber = tracing_subscriber::registry().with(layer(kept.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let span = error_span!("message", group = %HOSTILE, late = tracing::field::Empty);
            span.record("late", tracing::field::display(HOSTILE));
            let _entered = span.entered();
            error!(text = HOSTILE, shown = %HOSTILE, debugged = ?HOSTILE, "constant");
            error!(error = &Outer(Inner) as &dyn Error, "failed");
            error!("{HOSTILE}");
            error!(number = 7, yes = true, "plain");
        });
        let kept = kept.0.lock().clone();
        String::from_utf8(kept).expect("text")
    }

    fn wanted() -> Targets {
        Targets::new().with_default(LevelFilter::TRACE)
    }

    #[test]
    fn a_text_line_is_one_line_whatever_its_fields_contain() {
        for colours in [false, true] {
            let text = written(|kept| text(move || kept.clone(), wanted(), colours));
            let lines: Vec<&str> = text.split('\n').collect();
            assert_eq!(lines.len(), 5, "{text}");
            for line in lines.iter().take(4) {
                let ours = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[3m", "\u{1b}[31m"];
                let plain = ours.iter().fold((*line).to_owned(), |line, colour| line.replace(colour, ""));
                assert_eq!(Foreign::line(&plain).to_string(), plain, "{plain:?}");
                assert!(colours || !line.contains('\u{1b}'), "{line:?}");
                assert!(!line.contains("forged\u{1b}[31m"), "{line:?}");
            }
        }
        let text = written(|kept| text(move || kept.clone(), wanted(), false));
        assert!(text.contains(r"error=outer x\r\n2026") && text.contains(r": inner x\r\n"), "{text}");
        assert!(text.contains("plain number=7 yes=true") && text.contains(r#"text="x\r\n"#), "{text}");
        assert!(text.contains(r"late=x\r\n"), "what a span learns later: {text}");
    }

    #[test]
    fn a_json_line_is_complete_and_cannot_affect_a_terminal() {
        let text = written(|kept| super::super::json(move || kept.clone(), wanted(), true));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        for line in &lines {
            assert_eq!(Foreign::line(line).to_string(), *line);
        }
        let first: serde_json::Value = serde_json::from_str(lines[0]).expect("JSON");
        assert_eq!((&first["fields"]["shown"], &first["span"]["group"]), (&HOSTILE.into(), &HOSTILE.into()));
    }
}
