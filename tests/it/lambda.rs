//! The built `bootstrap`, driven over the Lambda Runtime API, with an SQS endpoint that records and fails.

mod sqs_endpoint;

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_plugin::precompile;
use towpath_tests::guest::Guest;
use towpath_tests::runtime_api::Function;
use towpath_tests::target::{Answer, Call, Target};

use sqs_endpoint::SqsEndpoint;

/// A function with a guest `forward`, one that traps and one that spins; its target and its queues.
struct Setup {
    function: Function,
    target: Target,
    sqs: SqsEndpoint,
    _folder: TempDir,
}

async fn setup(target: Target) -> Setup {
    setup_with(target, |config| config).await
}

async fn setup_with(target: Target, change: impl FnOnce(String) -> String) -> Setup {
    let folder = TempDir::new().unwrap();
    let spin = Guest::code("(loop $l (br $l))");
    for (name, guest) in [("forward", Guest::forward()), ("trap", Guest::code("(unreachable)")), ("spin", spin)] {
        let (cwasm, manifest) = precompile(&guest.build(), None).unwrap();
        std::fs::write(folder.path().join(format!("{name}.cwasm")), cwasm).unwrap();
        let manifest = serde_json::to_vec(&manifest).unwrap();
        std::fs::write(folder.path().join(format!("{name}.cwasm.json")), manifest).unwrap();
    }
    let sqs = SqsEndpoint::start().await;
    let mut config = format!(
        "[queue]\nurl = \"{url}/1/events.fifo\"\ndead_letter_url = \"{url}/1/dead.fifo\"\n\
        [target.sss]\nurl = \"{}\"\nallow_private = true\ntimeout = \"30s\"\n",
        target.url,
        url = sqs.url
    );
    for name in ["forward", "trap", "spin"] {
        config += &format!("[[route]]\npath = \"{name}\"\ngroup = \"{name}/{{json:/k}}\"\nplugin = \"{name}\"\n");
        config += &format!("[plugin.{name}]\npath = \"{name}.cwasm\"\n");
    }
    config += "[[route]]\npath = \"plain\"\ngroup = \"plain/{json:/k}\"\ntarget = \"sss\"\n";
    config = config.replace("spin.cwasm\"", "spin.cwasm\"\nlimits = { fuel = 90_000_000_000, timeout = \"60s\" }");
    std::fs::write(folder.path().join("towpath.toml"), change(config)).unwrap();
    let function = Function::start(&folder.path().join("towpath.toml"), &sqs.url).await;
    Setup { function, target, sqs, _folder: folder }
}

/// A record as Lambda hands it over: `A1` is the first of group `forward/A`.
fn record(name: &str) -> Value {
    record_of("forward", name, "1")
}

fn record_of(plugin: &str, name: &str, receives: &str) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    json!({
        "messageId": format!("id-{name}"),
        "receiptHandle": format!("handle-{name}"),
        "body": name,
        "attributes": {
            "ApproximateReceiveCount": receives,
            "SentTimestamp": now.to_string(),
            "SequenceNumber": "18849496460467696128",
            "MessageGroupId": format!("{plugin}/{}", &name[..1]),
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "MessageDeduplicationId": format!("dedup-{name}"),
            "ApproximateFirstReceiveTimestamp": now.to_string()
        },
        "messageAttributes": { "x-source": { "stringValue": "crm", "stringListValues": [], "binaryListValues": [], "dataType": "String" } },
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:events.fifo",
        "awsRegion": "eu-west-1"
    })
}

fn event(records: Vec<Value>) -> Value {
    json!({ "Records": records })
}

fn names(names: &[&str]) -> Value {
    event(names.iter().map(|name| record(name)).collect())
}

fn failures(ids: &[&str]) -> Value {
    let failures: Vec<Value> = ids.iter().map(|name| json!({ "itemIdentifier": format!("id-{name}") })).collect();
    json!({ "batchItemFailures": failures })
}

/// A target at which these bodies fail for now; all others are fine.
async fn failing(bodies: &'static [&'static str]) -> Target {
    Target::answering(move |call| {
        if bodies.iter().any(|body| body.as_bytes() == call.body.as_ref()) {
            Answer::Status(503, String::new())
        } else {
            Answer::Status(200, String::new())
        }
    })
    .await
}

/// Lets the function extend the messages of its batches.
fn extending(config: String) -> String {
    config.replace("[queue]\n", "[queue]\nextend_visibility = true\n")
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_batch_that_succeeds_names_no_failure() {
    let mut setup = setup(Target::fine().await).await;
    let answer = setup.function.invoke(&names(&["A1", "A2", "B1"]), MINUTE).await;
    assert_eq!(answer, Ok(failures(&[])));
    let mut bodies = setup.target.bodies();
    bodies.sort();
    assert_eq!(bodies, ["A1", "A2", "B1"]);
    assert_eq!(setup.target.calls()[0].header("webhook-id").get(..3), Some("id-"));
    assert!(setup.sqs.calls().is_empty(), "nothing to give back");
    assert_eq!(setup.function.invoke(&event(vec![]), MINUTE).await, Ok(failures(&[])));
}

#[tokio::test]
async fn a_batch_is_extended_to_the_end_of_its_invocation_before_it_is_processed() {
    let mut setup = setup_with(failing(&["B1"]).await, extending).await;
    assert_eq!(setup.function.invoke(&names(&["A1", "A2", "B1"]), MINUTE).await, Ok(failures(&["B1"])));
    let changes = setup.sqs.visibility_changes();
    let (extended, released) = changes.split_at(3);
    assert_eq!(
        extended.iter().map(|(handle, _)| handle.as_str()).collect::<Vec<_>>(),
        ["handle-A1", "handle-A2", "handle-B1"]
    );
    assert!(extended.iter().all(|(_, seconds)| (89..=91).contains(seconds)), "{extended:?}");
    assert_eq!(
        released.iter().map(|(handle, _)| handle.as_str()).collect::<Vec<_>>(),
        ["handle-B1"],
        "it waits for its backoff"
    );
}

#[tokio::test]
async fn what_cannot_be_extended_is_not_processed_and_nothing_of_its_group_behind_it() {
    let mut setup = setup_with(Target::fine().await, extending).await;
    setup.sqs.reject("handle-A2");
    let answer = setup.function.invoke(&names(&["A1", "A2", "A3", "B1"]), MINUTE).await;
    assert_eq!(answer, Ok(failures(&["A2", "A3"])));
    let mut bodies = setup.target.bodies();
    bodies.sort();
    assert_eq!(bodies, ["A1", "B1"]);
    setup.sqs.fail("ChangeMessageVisibilityBatch");
    assert_eq!(setup.function.invoke(&names(&["C1", "D1"]), MINUTE).await, Ok(failures(&["C1", "D1"])));
    assert_eq!(setup.target.bodies().len(), 2, "nothing is sent without a lease");
}

#[tokio::test]
async fn a_route_without_a_plugin_forwards_in_order() {
    let mut setup = setup(failing(&["A2"]).await).await;
    let records = ["A1", "A2", "A3", "B1"].map(|name| record_of("plain", name, "1"));
    assert_eq!(setup.function.invoke(&event(records.to_vec()), MINUTE).await, Ok(failures(&["A2", "A3"])));
    let mut bodies = setup.target.bodies();
    bodies.sort();
    assert_eq!(bodies, ["A1", "A2", "B1"]);
    let calls = setup.target.calls();
    let call = &calls[0];
    assert_eq!((call.method.as_str(), call.path.as_str(), call.header("x-source")), ("POST", "/", "crm"));
}

#[tokio::test]
async fn a_failing_message_comes_back_with_the_rest_of_its_group_only() {
    let mut setup = setup(failing(&["A2"]).await).await;
    let answer = setup.function.invoke(&names(&["A1", "A2", "A3", "B1"]), MINUTE).await;
    assert_eq!(answer, Ok(failures(&["A2", "A3"])));
    let bodies = setup.target.bodies();
    assert!(!bodies.contains(&"A3".to_owned()), "A3 was not tried: {bodies:?}");
    assert!(bodies.contains(&"B1".to_owned()), "{bodies:?}");
    // Tail to head, and no mate waits longer than its head.
    let changes = setup.sqs.visibility_changes();
    assert_eq!(changes, [("handle-A3".to_owned(), 2), ("handle-A2".to_owned(), 2)]);
}

#[tokio::test]
async fn interleaved_groups_fail_each_for_itself_in_record_order() {
    let mut setup = setup(failing(&["A1", "C1"]).await).await;
    let answer = setup.function.invoke(&names(&["A1", "B1", "A2", "C1", "B2", "C2"]), MINUTE).await;
    assert_eq!(answer, Ok(failures(&["A1", "A2", "C1", "C2"])));
    let mut of_b = setup.target.bodies();
    of_b.retain(|body| body.starts_with('B'));
    assert_eq!(of_b, ["B1", "B2"]);
}

#[tokio::test]
async fn a_batch_in_which_all_fail_is_an_answer_and_no_error_and_the_next_one_is_tried() {
    let mut setup = setup(failing(&["A1", "B1"]).await).await;
    assert_eq!(setup.function.invoke(&names(&["A1", "B1"]), MINUTE).await, Ok(failures(&["A1", "B1"])));
    setup.target.answer(|_| Answer::Status(200, String::new()));
    assert_eq!(setup.function.invoke(&names(&["A1", "B1"]), MINUTE).await, Ok(failures(&[])));
    assert_eq!(setup.target.calls().len(), 4);
}

#[tokio::test]
async fn a_trap_dead_letters_its_message_and_the_process_lives() {
    let mut setup = setup(Target::fine().await).await;
    let batch = event(vec![record_of("trap", "A1", "1"), record_of("trap", "A2", "1"), record("B1")]);
    assert_eq!(setup.function.invoke(&batch, MINUTE).await, Ok(failures(&[])));
    let letters = setup.sqs.sent();
    assert_eq!(letters.len(), 2);
    assert_eq!((&letters[0]["MessageBody"], &letters[0]["MessageGroupId"]), (&json!("A1"), &json!("trap/A")));
    assert_eq!(letters[0]["MessageDeduplicationId"], "id-A1");
    assert_eq!(letters[0]["MessageAttributes"]["x-source"]["StringValue"], "crm");
    let letter = letters[0]["MessageAttributes"]["towpath-dead-letter"]["StringValue"].as_str().unwrap();
    let letter: Value = serde_json::from_str(letter).unwrap();
    assert_eq!((&letter["reason"], &letter["id"]), (&json!("plugin-trap"), &json!("id-A1")));
    assert_eq!(setup.function.invoke(&names(&["C1"]), MINUTE).await, Ok(failures(&[])));
    assert_eq!(setup.target.bodies(), ["B1", "C1"]);
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_sent_keeps_its_message_and_what_is_behind_it() {
    let mut setup = setup(Target::answering(|_| Answer::Status(404, String::new())).await).await;
    setup.sqs.fail("SendMessage");
    assert_eq!(setup.function.invoke(&names(&["A1", "A2"]), MINUTE).await, Ok(failures(&["A1", "A2"])));
    assert_eq!(setup.target.bodies(), ["A1"]);
    setup.sqs.recover();
    assert_eq!(setup.function.invoke(&names(&["A1", "A2"]), MINUTE).await, Ok(failures(&[])));
    assert_eq!(setup.sqs.sent().len(), 2, "one letter each in the end");
}

#[tokio::test]
async fn a_dead_letter_is_deleted_before_its_group_goes_on_for_a_timeout_would_bring_it_back() {
    let refuses = |call: &Call| match call.body.as_ref() {
        b"A1" => Answer::Status(404, String::new()),
        _ => Answer::Status(200, String::new()),
    };
    let mut setup = setup(Target::answering(refuses).await).await;
    assert_eq!(setup.function.invoke(&names(&["A1", "A2"]), MINUTE).await, Ok(failures(&[])));
    assert_eq!(setup.target.bodies(), ["A1", "A2"]);
    let calls = setup.sqs.calls();
    let (action, request) = &calls[1];
    assert_eq!((calls.len(), action.as_str()), (2, "DeleteMessageBatch"), "what is delivered Lambda deletes");
    assert_eq!(request["Entries"][0]["ReceiptHandle"], "handle-A1");

    setup.sqs.fail("DeleteMessageBatch");
    let again = setup.function.invoke(&names(&["A1", "A2", "B1"]), MINUTE).await;
    assert_eq!(again, Ok(failures(&["A2"])), "the answer deletes the dead letter, and A2 comes again");
    let mut bodies = setup.target.bodies().split_off(2);
    bodies.sort();
    assert_eq!(bodies, ["A1", "B1"]);
    assert_eq!(setup.sqs.visibility_changes(), [("handle-A2".to_owned(), 0)]);
}

#[tokio::test]
async fn a_visibility_that_cannot_be_changed_is_no_reason_to_lose_anything() {
    let mut setup = setup(failing(&["A1"]).await).await;
    setup.sqs.fail("ChangeMessageVisibilityBatch");
    assert_eq!(setup.function.invoke(&names(&["A1", "A2", "B1"]), MINUTE).await, Ok(failures(&["A1", "A2"])));
}

#[tokio::test]
async fn an_unreadable_record_comes_back_alone_with_what_is_behind_it() {
    let mut setup = setup(Target::fine().await).await;
    let mut odd = record("A1");
    odd["body"] = Value::Null;
    let batch = event(vec![odd, record("A2"), record("B1")]);
    assert_eq!(setup.function.invoke(&batch, MINUTE).await, Ok(failures(&["A1", "A2"])));
    assert_eq!(setup.target.bodies(), ["B1"], "nothing of its group overtakes it");
    let mut odd = record("C1");
    odd["attributes"] = json!({ "MessageGroupId": "forward/C", "ApproximateReceiveCount": "many" });
    odd["somethingNew"] = json!({ "a": [1] });
    assert_eq!(setup.function.invoke(&event(vec![odd]), MINUTE).await, Ok(failures(&[])));
}

#[tokio::test]
async fn a_record_without_an_id_fails_the_invocation_and_nothing_is_tried() {
    let mut setup = setup(Target::fine().await).await;
    let mut odd = record("A2");
    odd.as_object_mut().unwrap().remove("messageId");
    let error = setup.function.invoke(&event(vec![record("A1"), odd]), MINUTE).await.expect_err("an error");
    assert!(error.contains("record 1 has no messageId"), "{error}");
    let error = setup.function.invoke(&json!({ "detail": 1 }), MINUTE).await.expect_err("an error");
    assert!(error.contains("no list of Records"), "{error}");
    assert!(setup.target.calls().is_empty());
    assert_eq!(setup.function.invoke(&names(&["A1"]), MINUTE).await, Ok(failures(&[])));
}

#[tokio::test]
async fn before_the_deadline_what_hangs_is_cut_off_and_what_is_behind_it_is_not_begun() {
    let mut setup = setup(Target::answering(|_| Answer::Hang).await).await;
    let deadline = Duration::from_millis(2500);
    let (answer, left) = setup.function.invoke_timed(&names(&["A1", "A2"]), deadline).await;
    assert_eq!(answer, Ok(failures(&["A1", "A2"])));
    assert!(left >= Duration::from_millis(400), "answered only {left:?} before the deadline");
    assert_eq!(setup.target.bodies(), ["A1"]);
}

#[tokio::test]
async fn a_guest_that_spins_does_not_outlive_the_deadline() {
    let mut setup = setup(Target::fine().await).await;
    let batch = event(vec![record_of("spin", "A1", "1"), record("B1")]);
    let (answer, left) = setup.function.invoke_timed(&batch, Duration::from_millis(2500)).await;
    assert_eq!(answer, Ok(failures(&["A1"])));
    assert!(left >= Duration::from_millis(400), "answered only {left:?} before the deadline");
    assert_eq!(setup.target.bodies(), ["B1"]);
}

#[tokio::test]
async fn a_high_receive_count_is_no_reason_to_give_a_message_up() {
    let mut setup = setup(failing(&["A1"]).await).await;
    let batch = event(vec![record_of("forward", "A1", "700"), record_of("forward", "A2", "700")]);
    assert_eq!(setup.function.invoke(&batch, MINUTE).await, Ok(failures(&["A1", "A2"])));
    assert!(setup.sqs.sent().is_empty());
}

/// A record that was stored a day ago, and received so often.
fn old(name: &str, receives: &str) -> Value {
    let mut record = record_of("forward", name, receives);
    let sent_at = record["attributes"]["SentTimestamp"].as_str().unwrap().parse::<u64>().unwrap() - 24 * 3600 * 1000;
    record["attributes"]["SentTimestamp"] = json!(sent_at.to_string());
    record
}

#[tokio::test]
async fn what_was_received_often_waits_so_long_that_its_receives_last() {
    for attributes_fail in [false, true] {
        let mut setup = setup(failing(&["A1"]).await).await;
        if attributes_fail {
            setup.sqs.fail("GetQueueAttributes");
        }
        let batch = event(vec![old("A1", "700"), old("A2", "700")]);
        assert_eq!(setup.function.invoke(&batch, MINUTE).await, Ok(failures(&["A1", "A2"])));
        let waits: Vec<u64> = setup.sqs.visibility_changes().into_iter().map(|(_, seconds)| seconds).collect();
        // 12 days are left, for 110 receives, or for 200 if it is assumed that there are 1,000.
        let expected = if attributes_fail { 1000..1300 } else { 1900..2300 };
        assert!(waits.len() == 2 && waits.iter().all(|wait| expected.contains(wait)), "{waits:?}");
        assert!(setup.sqs.sent().is_empty());
    }
}

#[tokio::test]
async fn a_message_at_its_last_receive_is_a_dead_letter_before_the_queue_moves_it() {
    let mut setup = setup(failing(&["A1"]).await).await;
    let batch = event(vec![old("A1", "900"), old("B1", "899")]);
    assert_eq!(setup.function.invoke(&batch, MINUTE).await, Ok(failures(&[])));
    let sent = setup.sqs.sent();
    assert_eq!(sent.len(), 1);
    let letter = sent[0]["MessageAttributes"]["towpath-dead-letter"]["StringValue"].as_str().unwrap();
    assert!(letter.contains("\"max-receives\"") && letter.contains("maxReceiveCount"), "{letter}");
}

#[tokio::test]
async fn direct_bodies_and_envelopes_are_both_read() {
    let mut setup = setup(Target::fine().await).await;
    let mut enveloped = record("A1");
    enveloped["body"] = json!("{\"v\":1,\"headers\":[[\"content-type\",\"text/x\"]],\"body\":\"aGVsbG8=\"}");
    let mut direct = record("B1");
    direct["messageAttributes"]["Content-Type"] = json!({ "stringValue": "text/y", "dataType": "String" });
    assert_eq!(setup.function.invoke(&event(vec![enveloped, direct]), MINUTE).await, Ok(failures(&[])));
    let mut seen: Vec<(String, String)> = setup
        .target
        .calls()
        .iter()
        .map(|call| (String::from_utf8_lossy(&call.body).into_owned(), call.header("content-type").to_owned()))
        .collect();
    seen.sort();
    assert_eq!(seen, [("B1".into(), "text/y".into()), ("hello".into(), "text/x".into())]);
}

#[tokio::test]
async fn a_plugin_that_does_not_load_stops_the_function_at_its_start() {
    let folder = TempDir::new().unwrap();
    let config = "[queue]\nurl = \"http://127.0.0.1:1/1/a.fifo\"\ndead_letter_url = \"http://127.0.0.1:1/1/b.fifo\"\n\
        [plugin.x]\npath = \"x.wasm\"\n";
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    std::fs::write(folder.path().join("x.wasm"), Guest::forward().build()).unwrap();
    let output = Function::command(&folder.path().join("towpath.toml"), "http://127.0.0.1:1").output().unwrap();
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success());
    assert!(log.contains("plugin build --precompile"), "a component needs a compiler: {log}");
}

#[test]
fn bootstrap_contains_no_compiler() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "-p", "towpath-lambda", "-e", "normal", "--prefix", "none"])
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("wasmtime v48"), "{tree}");
    for compiler in ["cranelift-codegen", "wasmtime-internal-cranelift", "winch"] {
        assert!(!tree.contains(compiler), "{compiler} is in bootstrap");
    }
}
