//! The command line as a user meets it: help, wrong input, exit codes, and a kill in the middle.

mod archive;
mod author;
mod browser;
mod console;
mod contained;
mod erase;
mod flood;
mod followed;
mod foreign;
mod function;
mod groups;
mod init;
mod letters;
mod mcp;
mod on_s3;
mod operate;
mod private;
mod provider;
mod record;
mod releases;
mod replay;
pub(super) mod serve;
mod signed;
mod storage;

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use towpath_tests::binary::binary;
use towpath_tests::guest::Guest;
use towpath_tests::leaks::{self, KEY, TOKEN};

fn towpath(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(binary("towpath"));
    // The secrets of rigs.
    command.env("TOWPATH_SECRET_KEY", KEY).env("TOWPATH_SECRET_TOKEN", TOKEN);
    let output = command.args(args).current_dir(folder).env_remove("TOWPATH_CONFIG").output().unwrap();
    leaks::check(&format!("towpath {args:?}"), &[&output.stdout[..], &output.stderr[..]].concat());
    output
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with one plugin that forwards, with one case, and a config for it.
fn project() -> TempDir {
    let folder = TempDir::new().unwrap();
    let case = folder.path().join("plugins/crm/cases/one");
    std::fs::create_dir_all(&case).unwrap();
    std::fs::write(folder.path().join("plugins/crm/plugin.wasm"), Guest::forward().build()).unwrap();
    std::fs::write(case.join("message.json"), r#"{"path": "crm", "body": {"k": 1}}"#).unwrap();
    let config = "[[route]]\npath = \"crm\"\ngroup = \"crm/{json:/k}\"\nplugin = \"crm\"\n\
        [plugin.crm]\npath = \"plugins/crm\"\n[target.sss]\nurl = \"https://sss.example\"\n";
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    folder
}

#[test]
fn a_target_is_not_unused_because_its_route_has_a_mistake() {
    let folder = project();
    let file = folder.path().join("towpath.toml");
    let warned = |route: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{route}\n{text}[target.other]\nurl = \"https://other.example\"\n")).unwrap();
        let checked = towpath(folder.path(), &["config", "check"]);
        std::fs::write(&file, text).unwrap();
        err(&checked).contains("target.other: no plugin lists it, and no route or alert goes to it")
    };
    assert!(warned(""), "nothing names the target");
    assert!(!warned("[[route]]\npath = \"a\"\ngroup = \"a\"\ntarget = \"other\"\nmax_age = \"1s\""));
    assert!(!warned("[[route]]\npath = \"a\"\ngroup = \"a/{json:id\"\ntarget = \"other\""));
}

#[test]
fn every_command_has_help_with_an_example() {
    let folder = TempDir::new().unwrap();
    let commands: [&[&str]; 54] = [
        &[],
        &["demo"],
        &["init"],
        &["serve"],
        &["dev"],
        &["send"],
        &["provider", "test"],
        &["provider", "coverage"],
        &["secret", "arm"],
        &["secret", "disarm"],
        &["secret", "show"],
        &["secret", "list"],
        &["plugin", "build"],
        &["plugin", "test"],
        &["plugin", "new"],
        &["plugin", "run"],
        &["plugin", "check"],
        &["plugin", "inspect"],
        &["plugin", "diff"],
        &["plugin", "fuzz"],
        &["plugin", "publish"],
        &["plugin", "versions"],
        &["plugin", "rollback"],
        &["plugin", "promote"],
        &["plugin", "pin"],
        &["plugin", "sign-pointer"],
        &["plugin", "keygen"],
        &["pause"],
        &["deploy", "check"],
        &["record"],
        &["config", "check"],
        &["provider", "list"],
        &["provider", "show"],
        &["group", "list"],
        &["group", "show"],
        &["group", "retry"],
        &["group", "dead-letter"],
        &["group", "park"],
        &["dlq", "list"],
        &["dlq", "show"],
        &["dlq", "stats"],
        &["dlq", "redrive"],
        &["dlq", "diff"],
        &["dlq", "edit"],
        &["dlq", "drop"],
        &["dlq", "audit"],
        &["replay"],
        &["replay", "list"],
        &["erase"],
        &["poll"],
        &["hold"],
        &["resume"],
        &["status"],
        &["completions"],
    ];
    for command in commands {
        let output = towpath(folder.path(), &[command, &["--help"]].concat());
        assert!(output.status.success(), "{command:?}");
        assert!(out(&output).contains("Example"), "{command:?} has no example");
    }
    assert_eq!(towpath(folder.path(), &["serv"]).status.code(), Some(2));
    assert!(out(&towpath(folder.path(), &["completions", "bash"])).contains("_towpath"));
}

#[test]
fn a_golden_case_passes_differs_and_is_updated() {
    let folder = project();
    let missing = towpath(folder.path(), &["plugin", "test"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(out(&missing).contains("there is no expected.json"), "{}", out(&missing));
    assert_eq!(towpath(folder.path(), &["plugin", "test", "--update"]).status.code(), Some(0));
    let passed = towpath(folder.path(), &["plugin", "test"]);
    assert_eq!((passed.status.code(), out(&passed).contains("1 passed, 0 failed")), (Some(0), true));
    let file = folder.path().join("plugins/crm/cases/one/expected.json");
    let expected = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, expected.replace("POST", "PUT")).unwrap();
    let differs = towpath(folder.path(), &["plugin", "test", "plugins/crm"]);
    assert_eq!(differs.status.code(), Some(1));
    let text = out(&differs);
    assert!(
        text.contains("-") && text.contains("\"method\": \"PUT\"") && text.contains("\"method\": \"POST\""),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "no colours into a pipe");
    let json = out(&towpath(folder.path(), &["plugin", "test", "--json"]));
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(rows[0]["result"], "failed");
}

#[test]
fn a_plugin_that_fails_is_no_expectation_unless_that_is_accepted() {
    let folder = project();
    let plugin = folder.path().join("plugins/crm/plugin.wasm");
    let expected = folder.path().join("plugins/crm/cases/one/expected.json");
    let test = |more: &[&str]| towpath(folder.path(), &[&["plugin", "test"], more].concat());
    let endless = "(loop $again (br $again))";
    for fault in [Guest::code("unreachable"), Guest::code(endless), Guest::error("no such thing")] {
        std::fs::write(&plugin, fault.build()).unwrap();
        let refused = test(&["--update"]);
        assert_eq!(refused.status.code(), Some(1), "{}", out(&refused));
        assert!(err(&refused).contains("--accept-faults"), "{}", err(&refused));
        assert!(!expected.exists(), "nothing is written");
    }
    assert_eq!(test(&["--accept-faults"]).status.code(), Some(2), "it says something about --update");
    assert_eq!(test(&["--update", "--accept-faults"]).status.code(), Some(0));
    assert_eq!(test(&[]).status.code(), Some(0), "the failure is what is expected now");
    // What was right before stays when the plugin begins to fail.
    std::fs::write(&plugin, Guest::forward().build()).unwrap();
    assert_eq!(test(&["--update"]).status.code(), Some(0));
    let before = std::fs::read(&expected).unwrap();
    std::fs::write(&plugin, Guest::code("unreachable").build()).unwrap();
    assert_eq!(test(&["--update"]).status.code(), Some(1));
    assert_eq!(std::fs::read(&expected).unwrap(), before);
    let none = test(&["--filter", "nosuch"]);
    assert_eq!(none.status.code(), Some(2));
    assert!(err(&none).contains("no case has \"nosuch\" in its name"), "{}", err(&none));
    let unknown = test(&["nosuch"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("known are: plugins/crm"), "{}", err(&unknown));
}

#[test]
fn fuel_counts_within_its_tolerance() {
    let folder = project();
    towpath(folder.path(), &["plugin", "test", "--update"]);
    let file = folder.path().join("plugins/crm/cases/one/expected.json");
    let mut expected: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let fuel = expected["fuel"].as_u64().unwrap();
    for (factor, code) in [(1.1, 0), (3.0, 1)] {
        expected["fuel"] = serde_json::json!((fuel as f64 * factor) as u64);
        std::fs::write(&file, expected.to_string()).unwrap();
        assert_eq!(towpath(folder.path(), &["plugin", "test"]).status.code(), Some(code), "{factor}");
    }
}

#[test]
fn config_check_shows_all_mistakes_and_loads_the_plugins() {
    let folder = project();
    let fine = towpath(folder.path(), &["config", "check"]);
    assert_eq!((fine.status.code(), out(&fine).contains("is fine")), (Some(0), true), "{}", err(&fine));
    std::fs::write(folder.path().join("plugins/crm/plugin.wasm"), "garbage").unwrap();
    let broken = towpath(folder.path(), &["config", "check"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(out(&broken).contains("plugin.crm: not a WebAssembly component"), "{}", out(&broken));
    assert_eq!(towpath(folder.path(), &["config", "check", "--skip-plugins"]).status.code(), Some(0));
    let config = "[[route]]\npath = \"a\"\ngroup = \"{\"\nplugin = \"b\"\nverify = { scheme = \"hmac-sha256\", header = \"x\", secret = \"s\" }\n";
    std::fs::write(folder.path().join("bad.toml"), config).unwrap();
    let bad = towpath(folder.path(), &["config", "check", "-c", "bad.toml", "--json"]);
    assert_eq!(bad.status.code(), Some(1));
    let mistakes: serde_json::Value = serde_json::from_str(&out(&bad)).unwrap();
    let at: Vec<_> = mistakes.as_array().unwrap().iter().map(|mistake| mistake["at"].as_str().unwrap()).collect();
    assert_eq!(at, ["route[0].plugin", "route[0].verify.secret", "route[0].group"]);
    assert!(mistakes[1]["hint"].as_str().unwrap().contains("TOWPATH_SECRET_S"), "{mistakes}");
}

#[test]
fn a_command_that_fails_says_so_in_json_where_json_is_asked_for() {
    let folder = TempDir::new().unwrap();
    let text = towpath(folder.path(), &["status", "-c", "nowhere.toml"]);
    assert_eq!((text.status.code(), out(&text).as_str()), (Some(2), ""), "{}", err(&text));
    let json = towpath(folder.path(), &["status", "-c", "nowhere.toml", "--json"]);
    assert_eq!((json.status.code(), err(&json)), (Some(2), err(&text)));
    let failure: serde_json::Value = serde_json::from_str(&out(&json)).unwrap();
    assert!(failure["error"].as_str().unwrap().starts_with("finding the queue"), "{failure}");
    let causes: Vec<&str> = failure["causes"].as_array().unwrap().iter().map(|cause| cause.as_str().unwrap()).collect();
    assert!(causes.join(": ").contains("nowhere.toml"), "{failure}");
}

#[test]
fn config_check_tells_wrong_shapes_wrong_values_and_broken_plugins_in_one_run() {
    let folder = project();
    std::fs::write(folder.path().join("plugins/crm/plugin.wasm"), "garbage").unwrap();
    let config = "[queue]\nconcurrency = 0\n[[route]]\npath = \"crm\"\ngroup = \"crm\"\nplugn = \"crm\"\nmax_age = \"1s\"\n\
        [plugin.crm]\npath = \"plugins/crm\"\nconfig = 5\n[plugin.erp]\npath = \"nowhere\"\n\
        [target.sss]\nurl = \"https://${HOST}\"\ntimeout = \"0s\"\n";
    std::fs::write(folder.path().join("bad.toml"), config).unwrap();
    let mut command = Command::new(binary("towpath"));
    command.args(["config", "check", "-c", "bad.toml", "--json"]).current_dir(folder.path());
    let bad = command.env("TOWPATH_LOG", "loud").output().unwrap();
    assert_eq!(bad.status.code(), Some(1));
    let mistakes: serde_json::Value = serde_json::from_str(&out(&bad)).unwrap();
    let mut found: Vec<String> = mistakes
        .as_array()
        .unwrap()
        .iter()
        .map(|mistake| format!("{} {}", mistake["at"].as_str().unwrap(), mistake["line"]))
        .collect();
    found.sort();
    let expected = [
        "TOWPATH_LOG null",
        "plugin.crm 8",
        "plugin.crm.config 10",
        "plugin.erp 11",
        "queue.concurrency 2",
        "route[0].max_age 7",
        "route[0].plugin 3",
        "route[0].plugn 6",
        "target.sss.timeout 15",
        "target.sss.url 14",
    ];
    assert_eq!(found, expected, "{mistakes:#}");
    std::fs::write(folder.path().join("broken.toml"), "[queue\n").unwrap();
    let broken = towpath(folder.path(), &["config", "check", "-c", "broken.toml"]);
    assert!(broken.status.code() == Some(1) && out(&broken).contains("is not valid TOML"), "{}", out(&broken));
}

#[test]
fn a_target_that_no_plugin_describes_is_a_warning() {
    let folder = project();
    let file = folder.path().join("towpath.toml");
    let config = std::fs::read_to_string(&file).unwrap() + "[target.old]\nurl = \"https://old.example\"\n";
    std::fs::write(&file, config).unwrap();
    let check = towpath(folder.path(), &["config", "check"]);
    assert_eq!((check.status.code(), out(&check).contains("is fine")), (Some(0), true));
    assert!(err(&check).contains("warning: target.old: no plugin lists it"), "{}", err(&check));
    assert!(!err(&check).contains("target.sss"), "{}", err(&check));
}

#[test]
fn a_host_whose_plugin_does_not_load_ends_with_the_code_for_it() {
    let folder = project();
    std::fs::write(folder.path().join("plugins/crm/plugin.wasm"), "garbage").unwrap();
    let serve = towpath(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(serve.status.code(), Some(3), "{}", err(&serve));
}

#[test]
fn the_config_of_the_readme_lacks_its_secrets_alone() {
    let readme = include_str!("../../README.md");
    let config = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    let check = out(&towpath(folder.path(), &["config", "check", "--skip-plugins"]));
    let mistakes: Vec<_> = check.lines().filter(|line| line.contains(": ") && !line.starts_with(' ')).collect();
    assert_eq!(mistakes.len(), 3, "two, and how many they are: {check}");
    assert!(mistakes[..2].iter().all(|mistake| mistake.ends_with("is not set")), "{check}");
}

#[test]
fn wrong_input_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let here = folder.path();
    let sqs = "[queue]\nurl = \"https://sqs.eu-west-1.amazonaws.com/1/a.fifo\"\ndead_letter_url = \"https://sqs.eu-west-1.amazonaws.com/1/b.fifo\"\n";
    std::fs::write(here.join("sqs.toml"), sqs).unwrap();
    std::fs::write(here.join("event.json"), "{}").unwrap();
    std::fs::write(here.join("odd.json"), "{\"boddy\": 1}").unwrap();
    std::fs::create_dir(here.join("empty")).unwrap();
    std::fs::write(here.join("local.toml"), "[target.sss]\nurl = \"https://sss.example\"\n").unwrap();
    drop(towpath_local::Store::open(&here.join("store"), towpath_types::clock::Clock::wall()).unwrap());
    let cases: [(&[&str], &str); 56] = [
        (&["serve"], "cannot read towpath.toml"),
        (&["serve", "-c", "sqs.toml"], "leave url and dead_letter_url out"),
        (&["dlq", "list"], "give --store DIR, --queue-url URL or --config FILE"),
        (&["dlq", "list", "--store", "nowhere"], "there is no store in nowhere"),
        (&["plugin", "build"], "there is no plugin here"),
        (&["plugin", "test", "empty"], "empty is not a plugin"),
        (&["send", "empty"], "there is no message.json in empty"),
        (&["send", "nowhere.json"], "reading nowhere.json"),
        (&["send", "odd.json"], "odd.json is not a recorded event"),
        (&["send", "event.json"], "event.json has no path: give --path"),
        (
            &["send", "event.json", "--path", "x", "--to", "http://127.0.0.1:1/hooks"],
            "is `towpath serve` or `towpath dev` running there?",
        ),
        (&["demo"], "plugins"),
        (&["poll"], "cannot read towpath.toml"),
        (&["poll", "-c", "local.toml"], "names no SQS queue: add queue.url"),
        (&["poll", "--wait", "1m"], "it must be from 1s to 20s"),
        (
            &["serve", "-c", "local.toml", "--listen", "127.0.0.1:0", "--sqs", "0.0.0.0:0"],
            "set TOWPATH_SECRET_SQS_ENDPOINT",
        ),
        (&["hold", "sss", "-c", "sqs.toml"], "there is no target \"sss\""),
        (&["hold", "nobody", "-c", "local.toml", "--store", "store"], "known are: sss"),
        (&["hold", "sss", "--for", "soon", "--store", "store"], "write 90s, 45m, 2h or 3d"),
        (&["resume", "sss", "--rate", "fast", "--store", "store"], "is not a rate such as 10/s"),
        (&["status", "-c", "local.toml"], "there is no store in .towpath"),
        (&["dlq", "redrive", "--store", "store"], "give ids, a filter such as --reason refused, or --all"),
        (&["dlq", "show", "m-1", "--store", "store"], "there is no dead letter m-1"),
        (&["dlq", "list", "--since", "soon", "--store", "store"], "is neither an age such as 2h nor a time"),
        (&["dlq", "drop", "--note", "x", "--store", "store"], "no letters selected"),
        (&["dlq", "list", "--queue-url", "events.fifo"], "it is not a URL such as https://sqs."),
        (&["record", "--to", "x", "--listen", "127.0.0.1:0", "--forward", "127.0.0.1:80"], "it is not a URL such as"),
        (&["bench", "--bootstrap", "nowhere"], "there is no file nowhere: `make lambda` builds the function"),
        (
            &["chaos", "--bootstrap", "nowhere"],
            "there is no file nowhere: `cargo build -p towpath-lambda` builds the function",
        ),
        (
            &["bench", "--rows", "serve,all"],
            "one of ingest, bare, limit, core-limit, serve, poll, beside, live, function and python",
        ),
        (&["bench", "--rows", "serve,python"], "so --python FILE is required"),
        (&["chaos", "--minutes", "0"], "a number of minutes from 0.1"),
        (&["chaos", "--folder", "."], "contains another run: use another folder"),
        (&["hold", "sss", "--for", "99999999d", "--store", "store"], "it must be from 1s to 1year"),
        (&["hold", "sss", "--for", "0s", "--store", "store"], "it must be from 1s to 1year"),
        (&["resume", "sss", "--rate", "10/month", "--store", "store"], "is not a rate such as 10/s"),
        (&["resume", "nobody", "-c", "local.toml", "--store", "store"], "known are: sss"),
        (&["tail", "--outcome", "bogus"], "possible values: stored, delivered, "),
        (&["tail", "--store", "nosuch"], "there is no store in nosuch"),
        (&["tail", "--file", "nosuch.jsonl", "--no-follow"], "there is no nosuch.jsonl"),
        (&["tail", "--file", "no/such.jsonl"], "there is no no/such.jsonl"),
        (&["trace", "8f3c", "--store", "nosuch"], "there is no store in nosuch"),
        (&["trace", "8f3c", "--file", "nosuch.jsonl"], "there is no nosuch.jsonl"),
        (&["trace", "8f3c", "--store", "store"], "nothing is known of 8f3c"),
        (&["trace", "", "--store", "store"], "a value is required"),
        (&["trace", "8f3c", "--since", "99999999d"], "it must be from 1s to"),
        (&["dlq", "drop", "", "--note", "x", "--store", "store"], "a value is required"),
        (&["dlq", "redrive", "deadbeef", "--store", "store"], "there is no dead letter deadbeef"),
        (
            &["dlq", "list", "--reason", "nosuch", "--store", "store"],
            "there is no reason \"nosuch\"; known are: bad-request",
        ),
        (&["dlq", "list", "--route", "nosuch", "--store", "store"], "there is no route \"nosuch\"; known are: none"),
        (&["dlq", "list", "--status", "42", "--store", "store"], "42 is not in 100..=599"),
        (&["dlq", "list", "--since", "99999999d", "--store", "store"], "an age is at most 100 years"),
        (&["dlq", "list", "--limit", "0", "--store", "store"], "a number of at least 1"),
        (&["dlq", "list", "--store", "store", "-c", "nosuch.toml"], "cannot read nosuch.toml"),
        (&["dlq", "edit", "m-1", "--set", "a=1", "--note", "x", "--store", "store"], "write /json/pointer=VALUE"),
        (&["store", "recover", "store", "new", "--queue", "events.fifo"], "write NUMBER=NAME, such as 3=events.fifo"),
    ];
    for (args, says) in cases {
        let output = towpath(here, args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", err(&output));
        assert!(err(&output).contains(says), "{args:?}: {}", err(&output));
        assert!(!err(&output).contains("panicked"), "{args:?}");
    }
}
