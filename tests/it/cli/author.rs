//! The plugin author's kit, as a new user meets it: from `plugin new` to fuzzing. What builds takes the real toolchains.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_tests::guest::Guest;

use super::{err, out, project, towpath};

/// Runs a command in a folder, which must end with this code; gives what it wrote to both sides.
fn run(folder: &Path, args: &[&str], code: i32) -> (String, String) {
    let output = towpath(folder, args);
    let out = out(&output);
    let err = err(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    (out, err)
}

fn json(folder: &Path, args: &[&str], code: i32) -> Value {
    serde_json::from_str(&run(folder, &[args, &["--json"]].concat(), code).0).unwrap()
}

/// A new plugin of a language in a folder of its own.
fn new(language: &str, more: &[&str]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    run(folder.path(), &[&["plugin", "new", "crm", "--lang", language], more].concat(), 0);
    let plugin = folder.path().join("crm");
    (folder, plugin)
}

#[test]
fn a_new_rust_plugin_passes_its_cases_at_once_and_is_small() {
    let (folder, plugin) = new("rust", &[]);
    let (said, _) = run(&plugin, &["plugin", "test"], 0);
    assert!(said.contains("3 passed, 0 failed"), "{said}");
    run(&plugin, &["plugin", "check"], 0);
    let component = std::fs::read(plugin.join("plugin.wasm")).unwrap();
    // A standard library that host/rust-target.sh built on this machine comes with a larger libc.
    let print = ["--print", "target-libdir", "--target", "wasm32-wasip2"];
    let libraries = std::process::Command::new("rustc").args(print).output().unwrap();
    let built_here = Path::new(out(&libraries).trim()).join("built-here").exists();
    let most = if built_here { 128 * 1024 } else { 120 * 1024 };
    assert!(component.len() <= most, "{} bytes", component.len());
    let home = std::env::home_dir().unwrap();
    for path in [folder.path(), &home] {
        let path = path.to_str().unwrap().as_bytes();
        assert!(!component.windows(path.len()).any(|bytes| bytes == path), "it tells of the machine that built it");
    }
    let manifest = std::fs::read_to_string(plugin.join("Cargo.toml")).unwrap();
    assert!(manifest.lines().count() <= 15, "{manifest}");
    let (_, again) = run(folder.path(), &["plugin", "new", "crm"], 2);
    assert!(again.contains("there is a folder or file crm already"), "{again}");
}

#[test]
fn a_new_javascript_plugin_passes_its_cases_at_once_and_imports_the_contract_alone() {
    let (_folder, plugin) = new("js", &[]);
    run(&plugin, &["plugin", "test"], 0);
    imports_the_contract_alone(&plugin);
    assert!(plugin.join(".towpath/types/transformer.d.ts").is_file(), "types for the editor");
    let thrown =
        fails(&plugin, "plugin.js", "  const event =", "  console.log(\"seen\", 1);\n  null.id;\n  const event =");
    assert!(thrown.contains("exception: TypeError") && thrown.contains("plugin.js:"), "{thrown}");
    let own = fails(&plugin, "plugin.js", "  null.id;", "  throw { code: \"no-table\", message: \"why\", ext: [] };");
    assert!(own.contains("no-table: why"), "{own}");
}

#[test]
fn a_new_python_plugin_passes_its_cases_at_once_and_imports_the_contract_alone() {
    let (_folder, plugin) = new("python", &[]);
    run(&plugin, &["plugin", "test"], 0);
    imports_the_contract_alone(&plugin);
    assert!(plugin.join(".towpath/bindings/wit_world/exports/__init__.py").is_file(), "types for the editor");
    let raised =
        fails(&plugin, "plugin.py", "        try:", "        print(\"seen\", 1)\n        {}[\"id\"]\n        try:");
    assert!(raised.contains("exception: KeyError: 'id' (line ") && raised.contains("of plugin.py"), "{raised}");
}

/// What `plugin run` says of a plugin after this change, with which it prints something and throws.
fn fails(plugin: &Path, source: &str, old: &str, new: &str) -> String {
    let source = plugin.join(source);
    let text = std::fs::read_to_string(&source).unwrap();
    assert!(text.contains(old), "{text}");
    std::fs::write(&source, text.replacen(old, new, 1)).unwrap();
    run(plugin, &["plugin", "build"], 0);
    let (fault, logs) = run(plugin, &["plugin", "run", "--event", "cases/won/message.json"], 1);
    assert!(logs.contains("plugin_says=\"seen 1\""), "what is printed is logged: {logs}");
    fault
}

#[test]
fn what_is_tested_is_never_older_than_its_sources() {
    let (_folder, plugin) = new("rust", &[]);
    run(&plugin, &["plugin", "test"], 0);
    let source = plugin.join("src/lib.rs");
    let changed = std::fs::read_to_string(&source).unwrap().replace("\"won\"", "\"gained\"");
    std::fs::write(&source, changed).unwrap();
    // Later than the component, whatever the clock of the file system can tell apart.
    let built = plugin.join("plugin.wasm").metadata().unwrap().modified().unwrap();
    std::fs::File::open(&source).unwrap().set_modified(built + std::time::Duration::from_secs(1)).unwrap();
    let (said, _) = run(&plugin, &["plugin", "test"], 1);
    assert!(said.contains("+           \"state\": \"gained\""), "{said}");
    std::fs::write(&source, "fn").unwrap();
    let built = plugin.join("plugin.wasm").metadata().unwrap().modified().unwrap();
    std::fs::File::open(&source).unwrap().set_modified(built + std::time::Duration::from_secs(1)).unwrap();
    let (_, said) = run(&plugin, &["plugin", "test"], 3);
    assert!(said.contains("cargo build failed"), "{said}");
    // Sources that nobody has read need not be built to look at the component: its case fails as before.
    let (checked, said) = run(&plugin, &["plugin", "check", "--no-build"], 1);
    assert!(
        said.contains("the sources are newer than the component") && checked.contains("FAILED cases"),
        "{said}{checked}"
    );
}

fn imports_the_contract_alone(plugin: &Path) {
    let review = json(plugin, &["plugin", "inspect"], 0);
    for import in review["imports"].as_array().unwrap() {
        assert!(import["name"].as_str().unwrap().starts_with("towpath:plugin/"), "{import}");
    }
}

#[test]
fn cargo_component_builds_the_same_plugin_where_the_crate_asks_for_it() {
    let installed = std::process::Command::new("cargo").args(["component", "--version"]).output().unwrap();
    // CI installs it by `make component`; who has no use for it need not wait for it to build.
    if !installed.status.success() {
        return;
    }
    let (_folder, plugin) = new("rust", &[]);
    let manifest = plugin.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text + "\n[package.metadata.component]\npackage = \"example:crm\"\n").unwrap();
    let (said, _) = run(&plugin, &["plugin", "test"], 0);
    assert!(said.contains("3 passed, 0 failed"), "{said}");
    assert!(!plugin.join("sdk/src/bindings.rs").exists(), "cargo component writes nothing into the SDK");
    let imports = json(&plugin, &["plugin", "inspect"], 0)["imports"].to_string();
    assert!(!imports.contains("wasi:cli/terminal-input@0.2.6"), "built for wasip1 by the adapter: {imports}");
}

#[test]
fn recorded_events_become_cases_of_a_new_plugin() {
    let events = TempDir::new().unwrap();
    std::fs::write(events.path().join("deal-won.json"), " {\"kind\": \"deal.won\",  \"id\": \"d-1\"}\n").unwrap();
    let recorded = events.path().join("lost");
    std::fs::create_dir(&recorded).unwrap();
    std::fs::write(recorded.join("message.json"), "{\"path\": \"crm\", \"body_text\": \"x\"}").unwrap();
    // One that is named as a case of the template, and one in the folder itself.
    std::fs::write(events.path().join("won.json"), "{\"mine\": 1}").unwrap();
    std::fs::write(events.path().join("message.json"), "{\"path\": \"top\"}").unwrap();
    let (folder, plugin) = new("js", &["--from", events.path().to_str().unwrap()]);
    let second = std::fs::read_to_string(plugin.join("cases/won-2/message.json")).unwrap();
    assert!(second.contains("\"mine\": 1"), "{second}");
    let cases = std::fs::read_dir(plugin.join("cases")).unwrap().count();
    assert_eq!(cases, 3 + 4, "each event is one case");
    let won = std::fs::read_to_string(plugin.join("cases/deal-won/message.json")).unwrap();
    assert!(won.contains("{\"kind\": \"deal.won\",  \"id\": \"d-1\"}"), "byte for byte: {won}");
    let lost: Value =
        serde_json::from_str(&std::fs::read_to_string(plugin.join("cases/lost/message.json")).unwrap()).unwrap();
    assert_eq!((&lost["path"], &lost["body_text"]), (&json!("crm"), &json!("x")));
    let empty = TempDir::new().unwrap();
    let (_, said) = run(folder.path(), &["plugin", "new", "b", "--from", empty.path().to_str().unwrap()], 2);
    assert!(said.contains("there are no recorded events in"), "{said}");
    assert!(!folder.path().join("b").exists(), "nothing half made is left");
}

#[test]
fn wrong_input_of_authors_says_what_to_do() {
    let folder = project();
    let folder = folder.path();
    std::fs::create_dir(folder.join("empty")).unwrap();
    std::fs::create_dir(folder.join("text")).unwrap();
    std::fs::write(folder.join("text/plugin.wasm"), "no component").unwrap();
    std::fs::create_dir(folder.join("world")).unwrap();
    std::fs::write(folder.join("world/plugin.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    std::fs::create_dir_all(folder.join("plugins/crm/cases/two")).unwrap();
    std::fs::write(folder.join("plugins/crm/cases/two/message.json"), r#"{"pth": "crm"}"#).unwrap();
    std::fs::create_dir_all(folder.join("broken/cases")).unwrap();
    std::fs::write(folder.join("broken/package.json"), "{}").unwrap();
    std::fs::write(folder.join("broken/plugin.js"), "export const").unwrap();
    let cases: [(&[&str], i32, &str); 11] = [
        (&["plugin", "new", "Crm"], 2, "is not a plugin name"),
        (&["plugin", "new", "../crm"], 2, "is not a plugin name"),
        (&["plugin", "new", "crm", "--lang", "cobol"], 2, "[possible values: rust, js, python]"),
        (&["plugin", "test", "empty"], 2, "empty is not a plugin: it has no sources"),
        (&["plugin", "inspect", "empty"], 2, "empty is not a plugin: it has no sources"),
        (&["plugin", "test", "text"], 3, "not a WebAssembly component"),
        (&["plugin", "check", "world"], 3, "is not a Towpath plugin (it exports nothing)"),
        (&["plugin", "test", "plugins/crm"], 2, "unknown field `pth`"),
        (&["plugin", "run", "plugins/crm"], 2, "--event <FILE>"),
        (&["plugin", "run", "plugins/crm", "--body", "towpath.toml", "--header", "x"], 2, "write NAME:VALUE"),
        (&["plugin", "fuzz", "plugins/crm", "--minutes", "0"], 2, "minutes must be above 0"),
    ];
    for (args, code, wanted) in cases {
        let (_, said) = run(folder, args, code);
        assert!(said.contains(wanted), "{args:?}: {said}");
    }
}

#[test]
fn a_tool_that_is_missing_is_named_with_what_installs_it() {
    let folder = TempDir::new().unwrap();
    for (language, files, wanted) in [
        ("rust", &["Cargo.toml"][..], "cargo is not installed: install Rust"),
        ("js", &["package.json", "plugin.js"][..], "npm is not installed: install Node.js 20"),
        ("python", &["plugin.py"][..], "python3 is not installed: install Python 3.10"),
    ] {
        let plugin = folder.path().join(language);
        std::fs::create_dir(&plugin).unwrap();
        for file in files {
            std::fs::write(plugin.join(file), "lib.crate-type = [\"cdylib\"]").unwrap();
        }
        let mut command = std::process::Command::new(towpath_tests::binary::binary("towpath"));
        let output =
            command.args(["plugin", "build"]).current_dir(&plugin).env("PATH", folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(err(&output).contains(wanted), "{}", err(&output));
    }
}

#[test]
fn run_shows_the_verdict_the_logs_and_where_it_failed() {
    let folder = project();
    let folder = folder.path();
    let event = ["plugin", "run", "plugins/crm", "--event", "plugins/crm/cases/one/message.json"];
    let run_of = |guest: Guest, code| {
        std::fs::write(folder.join("plugins/crm/plugin.wasm"), guest.build()).unwrap();
        run(folder, &event, code)
    };
    let (said, logs) = run_of(
        Guest::forward()
            .with_code("(call $log (i32.const 2) (i32.const 8192) (i32.const 4) (i32.const 0) (i32.const 0))"),
        0,
    );
    assert!(said.contains("\"deliver\"") && said.contains("fuel ("), "{said}");
    assert!(logs.contains("plugin_says"), "{logs}");
    let (said, _) = run_of(Guest::code("unreachable"), 1);
    assert!(said.contains("\"kind\": \"trap\"") && said.contains("where it was, innermost first"), "{said}");
    let (said, _) = run(folder, &["plugin", "test"], 1);
    assert!(said.contains("plugin-trap: wasm trap") && said.contains("at map_message"), "{said}");
    let (said, _) = run_of(Guest::code("(loop (br 0))"), 1);
    assert!(said.contains("\"kind\": \"fuel\""), "{said}");
    let megabyte = "(loop $again (call $print (call $stderr) (i32.const 0) (i32.const 1024) (i32.const 0))
        (global.set $one (i32.add (global.get $one) (i32.const 1)))
        (br_if $again (i32.le_s (global.get $one) (i32.const 1024))))";
    let (said, _) = run_of(Guest::code(megabyte), 0);
    assert!(said.contains("what it printed (the last 16 KiB)") && said.len() < 64 * 1024, "{}", said.len());
    let body = ["plugin", "run", "plugins/crm", "--body", "towpath.toml", "--header", "x-a:1", "--json"];
    std::fs::write(folder.join("plugins/crm/plugin.wasm"), Guest::skip("no").build()).unwrap();
    let shown: Value = serde_json::from_str(&run(folder, &body, 0).0).unwrap();
    assert_eq!(shown["verdict"]["skip"]["code"], "no");
    assert!(shown["time_ms"].is_f64());
}

#[test]
fn check_finds_what_a_host_and_a_reviewer_would() {
    let folder = project();
    let folder = folder.path();
    run(folder, &["plugin", "test", "--update"], 0);
    let rows = json(folder, &["plugin", "check"], 1);
    let failed = |rows: &Value| -> Vec<String> {
        let rows = rows.as_array().unwrap().iter().filter(|row| row["ok"] == false);
        rows.map(|row| row["check"].as_str().unwrap().to_owned()).collect()
    };
    // The guest calls itself otherwise than its folder; everything else is well.
    assert_eq!(failed(&rows), ["name"]);
    let other = std::fs::read_to_string(folder.join("towpath.toml")).unwrap().replace("target.sss", "target.crm");
    std::fs::write(folder.join("other.toml"), other).unwrap();
    assert_eq!(failed(&json(folder, &["plugin", "check", "-c", "other.toml"], 1)), ["name", "targets"]);
    // About 320 of the 500 million units of fuel, for a small event.
    let hungry = "(loop $again (global.set $one (i32.add (global.get $one) (i32.const 1)))
        (br_if $again (i32.lt_u (global.get $one) (i32.const 40000000))))";
    std::fs::write(folder.join("plugins/crm/plugin.wasm"), Guest::code(hungry).build()).unwrap();
    run(folder, &["plugin", "test", "--update"], 0);
    assert_eq!(failed(&json(folder, &["plugin", "check"], 1)), ["name", "limits"]);
    std::fs::write(folder.join("plugins/crm/plugin.wasm"), Guest::code("unreachable").build()).unwrap();
    assert_eq!(failed(&json(folder, &["plugin", "check"], 1)), ["name", "limits", "cases"]);
}

#[test]
fn inspect_tells_what_a_plugin_is_and_what_it_is_given() {
    let folder = project();
    let review = json(folder.path(), &["plugin", "inspect", "plugins/crm/plugin.wasm"], 0);
    assert_eq!(review["contract"], "towpath:plugin 1.0.0");
    assert_eq!(review["description"]["targets"], json!(["sss"]));
    assert!(review["exports"].to_string().contains("towpath:plugin/transform@1.0.0"));
    let bytes = std::fs::read(folder.path().join("plugins/crm/plugin.wasm")).unwrap();
    assert_eq!(review["sha256"], towpath_plugin::digest(&bytes));
    let (shown, _) = run(folder.path(), &["plugin", "inspect", "plugins/crm"], 0);
    assert!(shown.contains("The plugin reaches no network"), "{shown}");
}

#[test]
fn diff_shows_the_verdicts_that_change() {
    let folder = project();
    let folder = folder.path();
    std::fs::write(folder.join("new.wasm"), Guest::reject("worse").build()).unwrap();
    let diff = |new: &str, code| json(folder, &["plugin", "diff", "plugins/crm", new, "--events", "plugins"], code);
    assert_eq!(diff("plugins/crm", 0)[0]["changed"], false);
    let changed = diff("new.wasm", 1);
    assert_eq!((&changed[0]["changed"], &changed[0]["new"]["reject"]["code"]), (&json!(true), &json!("worse")));
    let (shown, _) = run(folder, &["plugin", "diff", "plugins/crm", "new.wasm", "--events", "plugins"], 1);
    assert!(shown.contains("+   \"reject\": {") && shown.contains("1 verdicts change"), "{shown}");
}

#[test]
fn what_fuzzing_finds_becomes_a_case() {
    let folder = project();
    let folder = folder.path();
    let fuzz = ["plugin", "fuzz", "plugins/crm", "--runs", "200", "--seed", "7"];
    assert_eq!(json(folder, &fuzz, 0)["findings"], json!([]));
    // It traps on every body that is not as long as the recorded one.
    let trap = "local.get 0 i32.load offset=76 i32.const 8 i32.ne if unreachable end";
    std::fs::write(folder.join("plugins/crm/plugin.wasm"), Guest::forward().with_code(trap).build()).unwrap();
    let report = json(folder, &fuzz, 1);
    assert_eq!(
        (&report["seed"], report["findings"].as_array().unwrap().len()),
        (&json!(7), 1),
        "one place, one finding"
    );
    let case = report["findings"][0]["case"].as_str().unwrap().to_owned();
    let event = format!("{case}/message.json");
    let (said, _) = run(folder, &["plugin", "run", "plugins/crm", "--event", &event], 1);
    assert!(said.contains("\"kind\": \"trap\""), "the case does what was found: {said}");
    let (_, said) = run(folder, &["plugin", "fuzz", "plugins/crm", "--runs", "10"], 1);
    assert!(said.contains("seed "), "{said}");
}

#[test]
fn what_was_compiled_is_kept_in_the_cache_of_the_user_and_without_one_it_is_compiled_again() {
    let folder = project();
    run(folder.path(), &["plugin", "test", "--update"], 0);
    let cache = folder.path().join("cache");
    let test_with = |cache: &Path| {
        let mut command = std::process::Command::new(towpath_tests::binary::binary("towpath"));
        command.args(["plugin", "test", "plugins/crm"]).current_dir(folder.path()).env("XDG_CACHE_HOME", cache);
        let output = command.env("XDG_STATE_HOME", folder.path().join("state")).output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        err(&output)
    };
    test_with(&cache);
    let kept = files(&cache);
    assert_eq!(kept.len(), 1, "{kept:?}");
    test_with(&cache);
    assert_eq!(files(&cache), kept, "nothing was compiled anew");
    let said = test_with(&folder.path().join("towpath.toml/no-folder"));
    assert!(said.contains("compiled plugins are not cached"), "{said}");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(cache.join("towpath/compiled"), open).unwrap();
    let said = test_with(&cache);
    assert!(said.contains("can be written by other users") && said.contains("chmod 700"), "{said}");
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn native_code_is_not_looked_at() {
    let folder = project();
    std::fs::write(folder.path().join("crm.cwasm"), "native").unwrap();
    for command in ["inspect", "check"] {
        let (_, said) = run(folder.path(), &["plugin", command, "crm.cwasm"], 2);
        assert!(said.contains("native code") || said.contains("is not a plugin"), "{said}");
    }
}

#[test]
fn a_junit_report_tells_every_case() {
    let folder = project();
    let folder = folder.path();
    run(folder, &["plugin", "test", "--update"], 0);
    run(folder, &["plugin", "test", "--junit", "report.xml"], 0);
    let report = std::fs::read_to_string(folder.join("report.xml")).unwrap();
    let suite = "<testsuite name=\"crm\" tests=\"1\" skipped=\"0\" errors=\"0\" failures=\"0\"";
    assert!(report.contains(suite), "{report}");
    std::fs::write(folder.join("plugins/crm/plugin.wasm"), Guest::skip("<&>").build()).unwrap();
    run(folder, &["plugin", "test", "--junit", "report.xml"], 1);
    let report = std::fs::read_to_string(folder.join("report.xml")).unwrap();
    assert!(report.contains("<failure message=\"the verdict differs\">") && !report.contains("<&>"), "{report}");
}
