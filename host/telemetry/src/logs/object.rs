//! Writes each log event as one JSON object. The fields of a span are written once, when it begins, and copied into each line: the
//! format of `tracing-subscriber` parses them again for every line.

use std::fmt::{self, Debug, Write};

use serde_json::Number;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// `{"timestamp":…,"level":…,"fields":{…},"target":…,"span":{…,"name":…}}`
pub(super) struct Object {
    pub(super) times: bool,
}

impl<S> FormatEvent<S, Members> for Object
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Members>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        line.write_char('{')?;
        if self.times {
            line.write_str("\"timestamp\":\"")?;
            SystemTime.format_time(&mut line)?;
            line.write_str("\",")?;
        }
        write!(line, "\"level\":\"{}\",\"fields\":{{", metadata.level())?;
        context.format_fields(line.by_ref(), event)?;
        line.write_str("},\"target\":")?;
        quoted(&mut line, metadata.target())?;
        if let Some(span) = event.parent().and_then(|id| context.span(id)).or_else(|| context.lookup_current()) {
            line.write_str(",\"span\":{")?;
            if let Some(members) = span.extensions().get::<FormattedFields<Members>>().filter(|all| !all.is_empty()) {
                write!(line, "{members},")?;
            }
            line.write_str("\"name\":")?;
            quoted(&mut line, span.name())?;
            line.write_char('}')?;
        }
        line.write_str("}\n")
    }
}

/// Fields as the members of a JSON object, without its braces.
pub(super) struct Members;

impl<'writer> FormatFields<'writer> for Members {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut writing = Writing { writer, begun: false, result: Ok(()) };
        fields.record(&mut writing);
        writing.result
    }

    fn add_fields(&self, members: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        if !members.is_empty() && !fields.is_empty() {
            members.fields.push(',');
        }
        self.format_fields(members.as_writer(), fields)
    }
}

struct Writing<'writer> {
    writer: Writer<'writer>,
    begun: bool,
    result: fmt::Result,
}

impl Writing<'_> {
    fn member(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.try_member(field, write);
        }
    }

    fn try_member(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) -> fmt::Result {
        if self.begun {
            self.writer.write_char(',')?;
        }
        self.begun = true;
        quoted(&mut self.writer, field.name())?;
        self.writer.write_char(':')?;
        write(&mut self.writer)
    }
}

impl Visit for Writing<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, |writer| match Number::from_f64(value) {
            Some(number) => write!(writer, "{number}"),
            None => writer.write_str("null"),
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |writer| quoted(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field, |writer| {
            writer.write_char('"')?;
            write!(Escaping(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

fn quoted(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaping(writer).write_str(text)?;
    writer.write_char('"')
}

/// Writes text as the inside of a JSON string.
struct Escaping<'a, 'writer>(&'a mut Writer<'writer>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Each piece ends with a character that JSON does not allow in a string, except the last one.
        for piece in text.split_inclusive(is_special) {
            let Some(special) = piece.chars().next_back().filter(|last| is_special(*last)) else {
                self.0.write_str(piece)?;
                continue;
            };
            self.0.write_str(piece.strip_suffix(special).unwrap_or_default())?;
            match special {
                '"' | '\\' => write!(self.0, "\\{special}")?,
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                _ => write!(self.0, "\\u{:04x}", u32::from(special))?,
            }
        }
        Ok(())
    }
}

fn is_special(character: char) -> bool {
    matches!(character, '"' | '\\' | '\0'..='\x1f')
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use serde_json::{Value, json};
    use tracing::{Span, error, error_span, info};
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt as _;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(times: bool, log: impl FnOnce()) -> Vec<Value> {
        let kept = Captured::default();
        let writer = kept.clone();
        let layer = super::super::json(move || writer.clone(), Targets::new().with_default(LevelFilter::TRACE), times);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let text = String::from_utf8(kept.0.lock().clone()).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    #[test]
    fn a_line_has_the_fields_of_its_event_and_of_the_innermost_span() {
        let all: String = ('\0'..='\u{ff}').chain(['\u{2028}', '\u{1F6F6}', '"', '\\']).collect();
        let written = lines(true, || {
            let outer = error_span!("outer", hidden = 1);
            let _entered = outer.enter();
            let span =
                error_span!("message", group = %all, plain = all, nothing = None::<&str>, late = tracing::field::Empty);
            span.record("late", 7);
            let _entered = span.enter();
            info!(target: "a\"b", n = -3, u = u64::MAX, half = 0.5, whole = 2.0, nan = f64::NAN, yes = true, shown = %all, "said {}", "so");
        });
        let [line] = &written[..] else { panic!("{written:?}") };
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        assert_eq!((&line["level"], &line["target"]), (&json!("INFO"), &json!("a\"b")));
        let fields = json!({ "message": "said so", "n": -3, "u": u64::MAX, "half": 0.5, "whole": 2.0, "nan": null, "yes": true, "shown": all });
        assert_eq!(line["fields"], fields);
        assert_eq!(line["span"], json!({ "group": all, "plain": all, "late": 7, "name": "message" }));
    }

    #[test]
    fn a_line_outside_of_a_span_and_one_in_a_span_without_fields_are_complete() {
        let written = lines(false, || {
            error!("alone");
            let span = error_span!("bare", late = tracing::field::Empty, later = tracing::field::Empty);
            span.in_scope(|| error!("inside"));
            span.record("late", "1");
            span.record("later", 2);
            error!(parent: &span, "named");
            error!(parent: Span::none(), "root");
        });
        let spans: Vec<Value> = written.iter().map(|line| line["span"].clone()).collect();
        let late = json!({ "late": "1", "later": 2, "name": "bare" });
        assert_eq!(spans, [Value::Null, json!({ "name": "bare" }), late, Value::Null]);
        assert!(written.iter().all(|line| line.get("timestamp").is_none()));
    }
}
