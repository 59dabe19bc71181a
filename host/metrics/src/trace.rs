//! Trace propagation: from the webhook to the request to its target.
//!
//! A webhook brings `traceparent` ([W3C Trace Context](https://www.w3.org/TR/trace-context/)) as a header, or AWS's own
//! `AWSTraceHeader` as a system attribute of SQS
//! ([X-Ray](https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader)).

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub const TRACEPARENT: &str = "traceparent";

/// The vendor-specific companion of [`TRACEPARENT`].
pub const TRACESTATE: &str = "tracestate";

/// A longer `tracestate` is dropped: every system must propagate at least 512 characters. Source: section 3.3.1.5.
const MAX_STATE: usize = 512;

/// The trace context that came with a webhook: its own header wins over the queue's attribute.
pub fn brought(headers: &[(String, Vec<u8>)], aws: Option<&str>) -> Option<SpanContext> {
    let all = |wanted| {
        let headers = headers.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
        headers.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    };
    let state = || all(TRACESTATE).collect::<Vec<_>>().join(",");
    all(TRACEPARENT).next().and_then(|parent| parse(parent, state())).or_else(|| aws.and_then(parse_aws))
}

/// An unreadable `tracestate` is dropped; `traceparent` is still used.
fn parse(parent: &str, state: String) -> Option<SpanContext> {
    // OpenTelemetry's propagator pads short ids, and accepts signs as digits: check strictly first.
    let is_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = parent.trim().split('-');
    let lengths = [2, 32, 16, 2];
    let is_whole = lengths.into_iter().all(|length| parts.next().is_some_and(|part| is_hex(part, length)));
    // Later versions may add parts; version 0 has none.
    if !is_whole || parts.next().is_some_and(|_| parent.trim().starts_with("00-")) {
        return None;
    }
    let mut headers = HashMap::from([(TRACEPARENT.to_owned(), parent.to_owned())]);
    if state.len() <= MAX_STATE {
        headers.insert(TRACESTATE.to_owned(), state);
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
}

/// Makes `parent` the remote parent of a span that was not entered yet. Without a collector this does nothing.
pub fn follow(span: &tracing::Span, parent: &SpanContext) {
    let parent = Context::new().with_remote_span_context(parent.clone());
    // Fails only for a span that is not collected.
    let _ = span.set_parent(parent);
}

/// The `traceparent` and `tracestate` to send to a target: the current span's where spans are collected, else the
/// webhook's own.
pub fn told(brought: Option<&SpanContext>) -> Option<(String, String)> {
    let own = tracing::Span::current().context();
    let context = if own.span().span_context().is_valid() {
        own
    } else {
        Context::new().with_remote_span_context(brought?.clone())
    };
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut headers);
    Some((headers.remove(TRACEPARENT)?, headers.remove(TRACESTATE).unwrap_or_default()))
}

/// By hand: `opentelemetry-aws` would copy AWS's own fields, such as `Lineage`, into the `tracestate` for the target.
/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
fn parse_aws(text: &str) -> Option<SpanContext> {
    let part = |name: &str| text.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let (time, random) = part("Root")?.strip_prefix("1-")?.split_once('-')?;
    let trace = Some(format!("{time}{random}")).filter(|trace| trace.len() == 32)?;
    let trace = TraceId::from_hex(&trace).ok()?;
    let span = part("Parent").filter(|span| span.len() == 16).and_then(|span| SpanId::from_hex(span).ok())?;
    let flags = if part("Sampled") == Some("1") { TraceFlags::SAMPLED } else { TraceFlags::default() };
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn written(brought: Option<SpanContext>) -> Option<String> {
        told(brought.as_ref()).map(|(parent, _)| parent)
    }

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
            ("00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-", false),
            ("", false),
        ];
        for (text, valid) in cases {
            assert_eq!(parse(text, String::new()).is_some(), valid, "{text}");
        }
        assert_eq!(written(parse(PARENT, String::new())).as_deref(), Some(PARENT), "and written again");
    }

    #[test]
    fn a_trace_header_of_aws_is_the_same_trace() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let expected = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
        assert_eq!(written(parse_aws(header)).as_deref(), Some(expected));
        for wrong in ["Root=1-5759e988-bd862e3fe1be46a994272793", "Root=2-5759e988-bd86;Parent=53995c3f42cd8ad8", "x"] {
            assert_eq!(parse_aws(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn without_a_collector_the_webhooks_own_trace_is_sent_to_the_target() {
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let told = |states: &[&str]| {
            let mut headers = vec![header("traceparent", PARENT)];
            headers.extend(states.iter().map(|state| header("tracestate", state)));
            told(brought(&headers, None).as_ref()).expect("a trace")
        };
        let parent = PARENT.to_owned();
        assert_eq!(told(&[]), (parent.clone(), String::new()));
        assert_eq!(
            told(&["congo=t61rcWkgMzE", "rojo=00f067"]),
            (parent.clone(), "congo=t61rcWkgMzE,rojo=00f067".to_owned())
        );
        for unreadable in ["congo", "UPPER CASE=x", &format!("a={}", "x".repeat(512))] {
            assert_eq!(told(&[unreadable]), (parent.clone(), String::new()), "{unreadable}");
        }
        assert_eq!(super::told(None), None);
        let alone = [header("tracestate", "congo=t61rcWkgMzE")];
        assert_eq!(brought(&alone, None), None, "it means nothing without the other");
    }
}
