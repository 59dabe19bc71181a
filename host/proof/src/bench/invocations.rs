//! The event source mapping of a benchmark: passes messages to a function, and failed ones again.
//! Source: "Using Lambda with Amazon SQS" in the developer guide of AWS Lambda: an error returns the whole batch, a
//! response of `ReportBatchItemFailures` the messages that it names.

use std::collections::{HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::body::Bytes;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::lab::BATCH;
use super::meter::Meter;
use super::scenario::Scenario;
use super::usage::Usage;
use crate::runtime_api::{Answer, Function};

/// How long one invocation may take.
const INVOCATION: Duration = Duration::from_secs(60);

/// The invocations before the measured ones: they open connections.
const WARM: usize = 10;

/// Passes all events to a function, ten at a time; returns its usage. Failed events are passed again at once, before all others,
/// because their groups wait for them.
pub(crate) async fn invoke(function: &mut Function, meter: &Meter, scenario: &Scenario) -> anyhow::Result<Usage> {
    function.ready().await?;
    let mut waiting: VecDeque<u32> = (0..scenario.messages).collect();
    let mut invocations = 0;
    let mut warm = 0;
    let mut before = Usage::default();
    while !waiting.is_empty() {
        if invocations == WARM {
            (warm, before) = (scenario.messages as usize - waiting.len(), Usage::of(function.id()));
        }
        invocations += 1;
        // An event fails at most once.
        ensure!(
            invocations <= 2 * scenario.messages as usize + WARM,
            "the function makes no progress: it was invoked twice per message"
        );
        let batch: Vec<u32> = waiting.drain(..waiting.len().min(BATCH as usize)).collect();
        let records: Vec<Value> = batch.iter().map(|event| record(*event, meter, scenario)).collect();
        let (answer, _) = function.invoke(json!({ "Records": records }), INVOCATION).await?;
        ensure!(answer.is_ok() || scenario.failing_percent > 0, "the function failed: {answer:?}");
        let failed = failed(&answer, &batch);
        ensure!(failed.is_empty() || scenario.failing_percent > 0, "{} messages of a batch failed", failed.len());
        failed.into_iter().rev().for_each(|event| waiting.push_front(event));
    }
    let after = Usage::of(function.id());
    let part = f64::from(scenario.messages) / (scenario.messages as usize - warm).max(1) as f64;
    Ok(Usage { cpu: after.cpu.saturating_sub(before.cpu).mul_f64(part), peak: after.peak })
}

/// The events to pass again, in order.
fn failed(answer: &Answer, batch: &[u32]) -> Vec<u32> {
    let Ok(answer) = answer else { return batch.to_vec() };
    let named = answer.get("batchItemFailures").and_then(Value::as_array).into_iter().flatten();
    let named: HashSet<&str> = named.filter_map(|failure| failure.get("itemIdentifier")?.as_str()).collect();
    batch.iter().copied().filter(|event| named.contains(id(*event).as_str())).collect()
}

fn id(event: u32) -> String {
    format!("m-{event}")
}

fn record(event: u32, meter: &Meter, scenario: &Scenario) -> Value {
    json!({
        "messageId": id(event), "receiptHandle": "h", "body": meter.body(event),
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1795641491000", "SequenceNumber": event.to_string(),
            "MessageGroupId": format!("events/{}", scenario.group(event)), "MessageDeduplicationId": format!("d-{event}")
        },
        "messageAttributes": {}, "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:e.fifo"
    })
}

/// A queue to which the function releases messages. It accepts every request, and runs until it is dropped.
pub(crate) async fn queue() -> anyhow::Result<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("starting the queue")?;
    let address = listener.local_addr().context("starting the queue")?;
    let mut server = JoinSet::new();
    server.spawn(async move {
        let _ = axum::serve(listener, Router::new().fallback(agree)).await;
    });
    Ok((address, server))
}

async fn agree(body: Bytes) -> Json<Value> {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let entries = asked.get("Entries").and_then(Value::as_array).into_iter().flatten();
    let done: Vec<Value> = entries.filter_map(|entry| Some(json!({ "Id": entry.get("Id")? }))).collect();
    Json(json!({ "Successful": done, "Failed": [] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_an_answer_names_are_passed_again_and_all_after_an_error() {
        let batch = [4, 5, 6];
        let named = |ids: &[&str]| {
            let failures: Vec<Value> = ids.iter().map(|id| json!({ "itemIdentifier": id })).collect();
            failed(&Ok(json!({ "batchItemFailures": failures })), &batch)
        };
        assert_eq!(named(&["m-6", "m-4"]), [4, 6], "in their order");
        assert_eq!(named(&[]), [0; 0]);
        assert_eq!(failed(&Ok(json!({ "statusCode": 200 })), &batch), [0; 0], "a handler that knows nothing of it");
        assert_eq!(failed(&Err("HTTP Error 503".to_owned()), &batch), batch);
    }
}
