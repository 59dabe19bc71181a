//! `towpath mcp` as an assistant starts it: over standard input and output.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use towpath_tests::binary::binary;

use super::{err, project, towpath};

#[test]
fn an_assistant_speaks_with_the_command_and_nothing_else_is_on_standard_output() {
    let folder = project();
    drop(towpath_local::Store::open(&folder.path().join(".towpath"), towpath_types::clock::Clock::wall()).unwrap());
    let mut process = Command::new(binary("towpath"))
        .args(["mcp", "-c", "towpath.toml", "--log", "trace"])
        .current_dir(folder.path())
        .env_remove("TOWPATH_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut say = |message: Value| writeln!(input, "{message}").unwrap();
    let mut hear = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let client = json!({ "name": "test", "version": "1" });
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
    say(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello }));
    let greeted = hear();
    assert_eq!(greeted["result"]["serverInfo"]["name"], "towpath", "{greeted}");
    say(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    say(json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }));
    let listed = hear();
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert!(tools.len() > 10 && tools.iter().all(|tool| tool["annotations"]["readOnlyHint"] == true), "{listed}");
    let hold = json!({ "name": "propose_hold", "arguments": { "target": "sss", "reason": "release 4.2" } });
    say(json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": hold }));
    let planned = hear();
    let planned: Value = serde_json::from_str(planned["result"]["content"][1]["text"].as_str().unwrap()).unwrap();
    let config = folder.path().join("towpath.toml").display().to_string();
    assert_eq!(planned["command"], format!("towpath hold --reason='release 4.2' --config {config} -- sss"));
    assert_eq!(planned["console"], "http://127.0.0.1:8082/");
    drop(input);
    assert!(process.wait().unwrap().success(), "closing standard input ends it");
    assert!(lines.next().is_none());
    // The command is one that the command line takes.
    let held = towpath(folder.path(), &["hold", "--reason=release 4.2", "--config", &config, "--", "sss"]);
    assert!(held.status.success(), "{}", err(&held));
}

#[test]
fn a_store_that_is_not_there_is_an_error_before_an_assistant_is_greeted() {
    let folder = tempfile::TempDir::new().unwrap();
    let none = towpath(folder.path(), &["mcp", "--store", "nowhere"]);
    assert_eq!((none.status.code(), none.stdout.len()), (Some(2), 0), "{}", err(&none));
    assert!(err(&none).contains("nowhere"), "{}", err(&none));
}
