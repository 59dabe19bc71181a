//! Log lines: text for people, JSON for machines. Each event is exactly one line and cannot control a terminal. A line
//! that cannot be written, on a full disk perhaps, is dropped.

mod object;
mod one_line;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt};

use object::{Members, Object};
use one_line::{Escaped, OneLine};
use towpath_metrics::STORY;

/// A layer that writes lines.
pub type Lines<S> = Box<dyn Layer<S> + Send + Sync>;

/// One JSON object per line, including the story of messages from level `info`. CloudWatch adds its own times.
pub fn json<S, W>(writer: W, filter: Targets, times: bool) -> Lines<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = fmt::layer().fmt_fields(Members).event_format(Object { times }).with_writer(Escaped(writer));
    lines.with_ansi(false).log_internal_errors(false).with_filter(filter).boxed()
}

/// Lines for people. The story of messages appears only from level `debug`, because it repeats what other lines say
/// about failures.
pub fn text<S, W>(writer: W, filter: Targets, colours: bool) -> Lines<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let story = match filter.default_level() {
        Some(level) if level >= Level::DEBUG => level,
        _ => LevelFilter::OFF,
    };
    let filter = filter.with_target(STORY, story);
    let lines = fmt::layer().with_writer(writer).with_ansi(colours).log_internal_errors(false);
    lines.compact().fmt_fields(OneLine).with_filter(filter).boxed()
}

/// The story of messages, plus warnings and errors: what `towpath tail` and `towpath trace` read.
pub fn story() -> Targets {
    Targets::new().with_default(LevelFilter::WARN).with_target(STORY, LevelFilter::INFO)
}
