//! What strangers, targets and plugins write does nothing to the terminal of whoever looks at it, and forges nothing.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_tests::guest::{Guest, Request};
use towpath_tests::rig::{Rig, one_route};
use towpath_tests::target::{Answer, Target};
use towpath_types::foreign::Foreign;

use super::{err, out, towpath};

/// Ends its line and forges another, colours and conceals, sets a title, turns around what follows.
const HOSTILE: &str =
    "x\r\nreason      delivered\u{1b}[8m\u{1b}]0;t\u{7}\u{9b}2J\u{85}\u{2028}\u{202e}\u{200b}\u{e0041}\nid";

/// A store with one dead letter in which everybody wrote that.
async fn store() -> Rig {
    let target = Target::answering(|_| Answer::Status(404, HOSTILE.to_owned())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::deliver(&[Request { path: "/", ..Request::default() }]));
    let pipeline = rig.pipeline(&one_route(&target.url));
    // As a client of the queue may send it: the front door takes no such header.
    let headers = [("x-hostile", HOSTILE), (HOSTILE, "a name")];
    rig.send_webhook("g/x", &headers, format!("{{\"a\":1}}\n{HOSTILE}").as_bytes()).await;
    rig.run(&pipeline).await;
    assert_eq!(rig.letters().await.len(), 1);
    rig
}

/// The lines of what is shown, each of which does nothing.
fn harmless(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.split('\n').collect();
    for line in &lines {
        assert_eq!(Foreign::line(line).at_most(usize::MAX).to_string(), *line, "{text:?}");
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_dead_letter_forges_or_conceals_a_line_of_what_is_shown() {
    let rig = store().await;
    let run = |args: &[&str]| {
        let shown = towpath(rig.path(), &[args, &["--store", "."]].concat());
        assert!(shown.status.success(), "{}", err(&shown));
        harmless(&err(&shown));
        out(&shown)
    };
    let listed = run(&["dlq", "list"]);
    assert_eq!(harmless(&listed).len(), 3, "a head, a row, and the end: {listed}");
    let id = rig.letters().await.remove(0).id;
    let shown = run(&["dlq", "show", &id]);
    let lines = harmless(&shown);
    assert_eq!(lines.iter().filter(|line| line.starts_with("reason")).collect::<Vec<_>>(), [&"reason      refused"]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("id")).count(), 1, "{shown}");
    assert!(
        lines.contains(&"  {\"a\":1}")
            && lines.iter().any(|line| line.starts_with("  reason      delivered\\u{1b}[8m")),
        "{shown}"
    );
    assert!(lines.iter().any(|line| line.starts_with("answer      x  reason      delivered\\u{1b}[8m")), "{shown}");
    assert!(lines.iter().any(|line| line.starts_with("x-hostile: x\\r\\nreason")), "{shown}");
    // Whoever asks for JSON gets what was there, and a terminal that shows it is safe.
    let whole = run(&["dlq", "show", &id, "--json"]);
    harmless(&whole);
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["body"], format!("{{\"a\":1}}\n{HOSTILE}"));
    // And whoever asks for the bytes gets them.
    let bytes = towpath(rig.path(), &["dlq", "show", &id, "--body", "--store", "."]).stdout;
    assert_eq!(bytes, format!("{{\"a\":1}}\n{HOSTILE}").as_bytes());
}

#[test]
fn a_log_that_others_wrote_forges_nothing_when_it_is_followed() {
    let folder = TempDir::new().unwrap();
    let line = |target: &str, fields: Value| {
        let span =
            json!({ "name": "message", "message_id": HOSTILE, "group": HOSTILE, "route": HOSTILE, "plugin": HOSTILE });
        json!({ "timestamp": HOSTILE, "level": HOSTILE, "target": target, "fields": fields, "span": span }).to_string()
    };
    let attempt =
        json!([{ "target": HOSTILE, "method": HOSTILE, "path": HOSTILE, "error": HOSTILE, "ms": 1 }]).to_string();
    let log = [
        line(
            "towpath.story",
            json!({ "message": "pass", "outcome": HOSTILE, "decision": HOSTILE, "reason": HOSTILE, "attempts": attempt }),
        ),
        line("other", json!({ "message": HOSTILE, HOSTILE: HOSTILE })),
    ];
    std::fs::write(folder.path().join("log"), log.join("\n") + "\n").unwrap();
    let tail = |more: &[&str]| {
        let shown = towpath(folder.path(), &[&["tail", "--file", "log", "--no-follow"], more].concat());
        assert!(shown.status.success(), "{}", err(&shown));
        out(&shown)
    };
    for more in [&[][..], &["--json"]] {
        let shown = tail(more);
        assert_eq!(harmless(&shown).len(), 3, "{shown}");
    }
    let traced = out(&towpath(folder.path(), &["trace", HOSTILE.get(..4).unwrap(), "--file", "log"]));
    assert_eq!(harmless(&traced).len(), 5, "{traced}");
}

/// A script in the place of a tool.
fn tool(folder: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_a_build_says_is_shown_and_forges_nothing() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("hostile"), HOSTILE).unwrap();
    let tools = folder.path().join("tools");
    let says = "cat ../hostile >&2; [ \"$1\" = build ] && exit 1; [ \"$1\" = metadata ] && echo '{}'; exit 0";
    tool(&tools, "cargo", says);
    tool(&tools, "rustc", "echo /");
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let crates = folder.path().join("crate");
    std::fs::create_dir_all(&crates).unwrap();
    std::fs::write(crates.join("Cargo.toml"), "[lib]\ncrate-type = [\"cdylib\"]\n").unwrap();
    let mut command = std::process::Command::new(towpath_tests::binary::binary("towpath"));
    let built = command.args(["plugin", "build", "."]).current_dir(&crates).env("PATH", path).output().unwrap();
    assert_eq!(built.status.code(), Some(3), "{}", err(&built));
    let said = err(&built);
    let lines = harmless(&said);
    assert!(lines.contains(&"x\\r") || lines.contains(&"x"), "{said}");
    assert!(lines.iter().any(|line| line.starts_with("reason      delivered\\u{1b}[8m")), "{said}");
    assert!(said.contains("cargo build failed: see its output above"), "{said}");
}
