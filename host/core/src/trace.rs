//! Where a message's trace goes on: what the webhook brought, and what its target is told.
//!
//! A webhook brings `traceparent` ([W3C Trace Context](https://www.w3.org/TR/trace-context/)) as a header, or AWS's own
//! `AWSTraceHeader` as a system attribute of SQS
//! ([X-Ray](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader)).

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header's name.
pub const TRACEPARENT: &str = "traceparent";

/// The trace that a webhook came with: its own header counts more than what the queue was told.
pub(crate) fn brought(headers: &[(String, Vec<u8>)], aws: Option<&str>) -> Option<SpanContext> {
    let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT));
    let header = header.and_then(|(_, value)| std::str::from_utf8(value).ok());
    header.and_then(parse).or_else(|| aws.and_then(parse_aws))
}

/// Makes this span, which nobody entered yet, go on with that trace. Without a collector it changes nothing.
pub(crate) fn follow(span: &tracing::Span, parent: &SpanContext) {
    let parent = Context::new().with_remote_span_context(parent.clone());
    // A span that nobody collects cannot follow.
    let _ = span.set_parent(parent);
}

/// What a target is told: the span that runs now where spans are collected, else what the webhook brought.
pub(crate) fn told(brought: Option<&SpanContext>) -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let own = Some(span.span_context()).filter(|own| own.is_valid());
    own.or(brought).map(write)
}

fn write(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8())
}

/// `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`. Later versions may have more behind it.
fn parse(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = version.len() == 2 && version != "ff" && (version != "00" || parts.next().is_none());
    let lower =
        |part: &str, length| part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !known || !lower(version, 2) || !lower(trace, 32) || !lower(span, 16) || !lower(flags, 2) {
        return None;
    }
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    context(trace, span, sampled)
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
fn parse_aws(text: &str) -> Option<SpanContext> {
    let part = |name: &str| text.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let (time, random) = part("Root")?.strip_prefix("1-")?.split_once('-')?;
    context(&format!("{time}{random}"), part("Parent")?, part("Sampled") == Some("1"))
}

fn context(trace: &str, span: &str, sampled: bool) -> Option<SpanContext> {
    let trace = Some(trace).filter(|trace| trace.len() == 32).and_then(|trace| TraceId::from_hex(trace).ok())?;
    let span = Some(span).filter(|span| span.len() == 16).and_then(|span| SpanId::from_hex(span).ok())?;
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let cases = [
            (PARENT, true),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true),
            ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later", true),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false),
            ("00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01", false),
            ("", false),
        ];
        for (text, valid) in cases {
            assert_eq!(parse(text).is_some(), valid, "{text}");
        }
        assert_eq!(parse(PARENT).as_ref().map(write).as_deref(), Some(PARENT), "and written again");
    }

    #[test]
    fn a_trace_header_of_aws_is_the_same_trace() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let expected = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
        assert_eq!(parse_aws(header).as_ref().map(write).as_deref(), Some(expected));
        for wrong in ["Root=1-5759e988-bd862e3fe1be46a994272793", "Root=2-5759e988-bd86;Parent=53995c3f42cd8ad8", "x"] {
            assert_eq!(parse_aws(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn without_a_collector_a_target_is_told_what_the_webhook_brought() {
        let brought = parse(PARENT);
        assert_eq!(told(brought.as_ref()).as_deref(), Some(PARENT));
        assert_eq!(told(None), None);
    }
}
