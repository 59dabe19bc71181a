//! `plugin publish` and what becomes of released versions, with a registry in a folder, and hosts that use it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use towpath_tests::binary::binary;
use towpath_tests::guest::{Guest, Request};
use towpath_tests::target::Target;

use super::serve::{Server, client};
use super::{err, out};

/// A command of a user whose home is the project: what it remembers of pointers is this test's alone.
fn towpath(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(binary("towpath"));
    command.env("XDG_STATE_HOME", folder.join("state")).env("XDG_CACHE_HOME", folder.join("cache"));
    command.args(args).current_dir(folder).env_remove("TOWPATH_CONFIG").output().unwrap()
}

/// A project whose plugin comes from the registry in a folder beside it.
fn project(target: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let config = format!(
        "[registry]\nurl = \"registry\"\n[[route]]\npath = \"g\"\ngroup = \"g/{{json:/k}}\"\nplugin = \"guest\"\n\
        [plugin.guest]\n[target.sss]\nurl = \"{target}\"\nallow_private = true\n"
    );
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    let case = folder.path().join("plugins/guest/cases/one");
    std::fs::create_dir_all(&case).unwrap();
    std::fs::write(case.join("message.json"), r#"{"path": "g", "body": {"k": 1}}"#).unwrap();
    folder
}

/// The plugin in the project delivers to this path from now on.
fn write(folder: &Path, path: &'static str) {
    let guest = Guest::deliver(&[Request { path, ..Request::default() }]);
    std::fs::write(folder.join("plugins/guest/plugin.wasm"), guest.build()).unwrap();
    let updated = towpath(folder, &["plugin", "test", "plugins/guest", "--update"]);
    assert_eq!(updated.status.code(), Some(0), "{}", err(&updated));
}

fn json(folder: &Path, args: &[&str]) -> Value {
    let done = towpath(folder, &[&["--json"], args].concat());
    assert_eq!(done.status.code(), Some(0), "{args:?}: {}{}", out(&done), err(&done));
    serde_json::from_str(&out(&done)).unwrap()
}

fn publish(folder: &Path, more: &[&str]) -> String {
    json(folder, &[&["plugin", "publish", "guest"], more].concat())["version"].as_str().unwrap().to_owned()
}

fn current(folder: &Path) -> String {
    let rows = json(folder, &["plugin", "versions", "guest"]);
    let at =
        |row: &&Value| row["channels"].as_array().unwrap().iter().any(|c| c.as_str().unwrap().starts_with("current"));
    rows.as_array().unwrap().iter().find(at).unwrap()["version"].as_str().unwrap().to_owned()
}

#[test]
fn a_plugin_is_published_listed_rolled_back_pinned_and_promoted() {
    let folder = project("https://sss.example");
    let at = folder.path();
    write(at, "/one");
    let one = publish(at, &[]);
    assert_eq!(publish(at, &[]), one, "the same component is the same version");
    write(at, "/two");
    let two = publish(at, &[]);
    assert_eq!(current(at), two);
    let said = out(&towpath(at, &["plugin", "versions", "guest"]));
    assert!(said.contains(&one) && said.contains("current"), "{said}");
    assert_eq!(json(at, &["plugin", "rollback", "guest"])["current"]["version"], one.as_str());
    let again = towpath(at, &["plugin", "rollback", "guest"]);
    assert_eq!(again.status.code(), Some(1), "there is nothing before it");
    assert!(err(&again).contains("no version of current of guest before"), "{}", err(&again));
    // The version that it was rolled back from is one that was current, and can be so again.
    assert_eq!(json(at, &["plugin", "rollback", "guest", "--to", &two])["current"]["version"], two.as_str());
    assert_eq!(json(at, &["plugin", "rollback", "guest", "--to", &two])["current"]["version"], two.as_str());
    let unknown = towpath(at, &["plugin", "rollback", "guest", "--to", "9.9.9"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("has no version 9.9.9 of guest"), "{}", err(&unknown));
    assert_eq!(json(at, &["plugin", "rollback", "guest"])["current"]["version"], one.as_str());
    assert_eq!(json(at, &["plugin", "pin", "guest"])["pinned"], true);
    let pinned = towpath(at, &["plugin", "publish", "guest"]);
    assert_eq!(pinned.status.code(), Some(1));
    assert!(err(&pinned).contains("is pinned to") && err(&pinned).contains("--off"), "{}", err(&pinned));
    assert_eq!(current(at), one);
    json(at, &["plugin", "pin", "guest", "--off"]);
    write(at, "/three");
    let three = publish(at, &["--as", "candidate"]);
    assert_eq!(current(at), one);
    let never = towpath(at, &["plugin", "rollback", "guest", "--to", &three]);
    assert_eq!(never.status.code(), Some(1));
    assert!(
        err(&never).contains("is not among the last versions") && err(&never).contains("pin guest --to"),
        "{}",
        err(&never)
    );
    let unknown: [&[&str]; 5] = [&["versions"], &["rollback"], &["promote"], &["pin"], &["pin", "--off"]];
    for command in unknown {
        let done = towpath(at, &[&["plugin"], command, &["nosuch"]].concat());
        assert_eq!(done.status.code(), Some(2), "{command:?}");
        assert!(err(&done).contains("there is no plugin \"nosuch\"; known are: guest"), "{command:?}: {}", err(&done));
    }
    let channel = towpath(at, &["plugin", "promote", "guest", "--from", "nosuch"]);
    assert_eq!(channel.status.code(), Some(2));
    assert!(err(&channel).contains("plugin versions guest` shows what there is"), "{}", err(&channel));
    assert_eq!(json(at, &["plugin", "promote", "guest"])["current"]["version"], three.as_str());
    assert_eq!(json(at, &["plugin", "pin", "guest", "--to", &two])["current"]["version"], two.as_str());
    assert_eq!(towpath(at, &["config", "check"]).status.code(), Some(0));
}

#[test]
fn what_does_not_pass_its_checks_is_not_published() {
    let folder = project("https://sss.example");
    write(folder.path(), "/one");
    let expected = folder.path().join("plugins/guest/cases/one/expected.json");
    let text = std::fs::read_to_string(&expected).unwrap().replace("/one", "/other");
    std::fs::write(&expected, text).unwrap();
    let done = towpath(folder.path(), &["plugin", "publish", "guest"]);
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    assert!(err(&done).contains("or run `towpath plugin check`"), "{}", err(&done));
    assert!(!folder.path().join("registry").exists(), "nothing is stored");
    std::fs::write(
        folder.path().join("plugins/guest/plugin.wasm"),
        Guest::code("(unreachable)").with_describe("(unreachable)").build(),
    )
    .unwrap();
    assert_eq!(towpath(folder.path(), &["plugin", "publish", "guest"]).status.code(), Some(3));
}

#[test]
fn signatures_are_made_where_the_config_wants_them() {
    let folder = project("https://sss.example");
    let at = folder.path();
    write(at, "/one");
    let made = json(at, &["plugin", "keygen", "release.key"]);
    assert_eq!(towpath(at, &["plugin", "keygen", "release.key"]).status.code(), Some(2), "a key is not overwritten");
    let config = std::fs::read_to_string(at.join("towpath.toml")).unwrap();
    let public_key = format!("[registry]\npublic_key = {}\n", made["public_key"]);
    std::fs::write(at.join("towpath.toml"), config.replace("[registry]\n", &public_key)).unwrap();
    let unsigned = towpath(at, &["plugin", "publish", "guest"]);
    assert!(err(&unsigned).contains("give --key FILE"), "{}", err(&unsigned));
    json(at, &["plugin", "keygen", "other.key"]);
    let foreign = towpath(at, &["plugin", "publish", "guest", "--key", "other.key"]);
    assert!(err(&foreign).contains("hosts would reject them"), "{}", err(&foreign));
    let one = publish(at, &["--key", "release.key"]);
    assert_eq!(towpath(at, &["config", "check"]).status.code(), Some(0));
    write(at, "/two");
    let two = publish(at, &["--key", "release.key", "--as", "candidate"]);
    let moves: [&[&str]; 4] = [&["promote"], &["rollback"], &["pin"], &["sign-pointer"]];
    for command in moves {
        let done = towpath(at, &[&["plugin"], command, &["guest"]].concat());
        assert_eq!(done.status.code(), Some(2), "{command:?}: {}", out(&done));
        assert!(err(&done).contains("give --key FILE, or set"), "{command:?}: {}", err(&done));
        let foreign = towpath(at, &[&["plugin"], command, &["guest", "--key", "other.key"]].concat());
        assert!(err(&foreign).contains("hosts would reject them"), "{command:?}: {}", err(&foreign));
    }
    assert_eq!(current(at), one);
    json(at, &["plugin", "promote", "guest", "--key", "release.key"]);
    assert_eq!(current(at), two);
    let mut by_variable = Command::new(binary("towpath"));
    by_variable.args(["plugin", "rollback", "guest"]).env("TOWPATH_SIGNING_KEY_FILE", "release.key").current_dir(at);
    by_variable.env("XDG_STATE_HOME", at.join("state"));
    assert!(by_variable.output().unwrap().status.success());
    assert_eq!(current(at), one);
    let unreadable = towpath(at, &["plugin", "publish", "guest", "--key", "towpath.toml"]);
    assert!(err(&unreadable).contains("not an Ed25519 signing key"), "{}", err(&unreadable));
}

#[test]
fn a_pointer_that_nobody_signed_is_shown_and_signed_after_a_look() {
    let folder = project("https://sss.example");
    let at = folder.path();
    write(at, "/one");
    let made = json(at, &["plugin", "keygen", "release.key"]);
    let one = publish(at, &["--key", "release.key"]);
    // As it was before pointers were signed.
    let file = at.join("registry/guest/pointers/current.json");
    let mut pointer: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    pointer.as_object_mut().unwrap().retain(|key, _| !["signature", "sequence"].contains(&key.as_str()));
    std::fs::write(&file, pointer.to_string()).unwrap();
    let config = std::fs::read_to_string(at.join("towpath.toml")).unwrap();
    let public_key = format!("[registry]\npublic_key = {}\n", made["public_key"]);
    std::fs::write(at.join("towpath.toml"), config.replace("[registry]\n", &public_key)).unwrap();
    let checked = towpath(at, &["config", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    let cure = "towpath plugin sign-pointer guest --channel current --key FILE";
    assert!(out(&checked).contains(cure), "{}", out(&checked));
    let shown = towpath(at, &["plugin", "versions", "guest"]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(out(&shown).contains(&one) && out(&shown).contains("current (not signed)"), "{}", out(&shown));
    assert!(err(&shown).contains(cure), "{}", err(&shown));
    for command in ["rollback", "pin"] {
        let done = towpath(at, &["plugin", command, "guest", "--key", "release.key"]);
        assert!(err(&done).contains(cure), "{command}: {}", err(&done));
    }
    let signed = json(at, &["plugin", "sign-pointer", "guest", "--key", "release.key"]);
    assert_eq!(signed["current"]["version"], one.as_str());
    assert_eq!(towpath(at, &["config", "check"]).status.code(), Some(0));
    assert_eq!(current(at), one);
    // One that nobody can read hides no version, and is replaced by whoever publishes with the key.
    std::fs::write(&file, "{").unwrap();
    let shown = towpath(at, &["plugin", "versions", "guest"]);
    assert_eq!(shown.status.code(), Some(1), "{}", err(&shown));
    assert!(out(&shown).contains(&one) && out(&shown).contains("is not readable"), "{}", out(&shown));
    assert_eq!(publish(at, &["--key", "release.key"]), one);
    assert_eq!(current(at), one);
    // What was put back is not carried on, also if the registry is named beside the config.
    let older = std::fs::read(&file).unwrap();
    json(at, &["plugin", "pin", "guest", "--key", "release.key"]);
    std::fs::write(&file, older).unwrap();
    for more in [&["--key", "release.key"][..], &["--key", "release.key", "--registry", "registry"]] {
        let done = towpath(at, &[&["plugin", "pin", "guest"], more].concat());
        assert!(err(&done).contains("is an older pointer"), "{}", err(&done));
    }
}

#[test]
fn wrong_input_is_told_with_what_to_do() {
    let folder = project("https://sss.example");
    let at = folder.path();
    let cases: [(&[&str], i32, &str); 7] = [
        (&["plugin", "publish", "nobody"], 2, "nobody is not a plugin"),
        (&["plugin", "versions", "guest"], 2, "there is no plugin \"guest\"; known are: none"),
        (&["plugin", "versions", "../guest"], 2, "is not a valid plugin name"),
        (&["plugin", "rollback", "guest"], 2, "there is no plugin \"guest\""),
        (&["plugin", "promote", "guest"], 2, "there is no plugin \"guest\""),
        (&["plugin", "publish", "guest", "--to", "https://bucket/x"], 2, "neither a folder nor a URL"),
        (&["config", "check"], 1, ""),
    ];
    for (args, code, said) in cases {
        let done = towpath(at, args);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {}{}", out(&done), err(&done));
        assert!(err(&done).contains(said), "{args:?}: {}", err(&done));
    }
    std::fs::remove_file(at.join("towpath.toml")).unwrap();
    let nowhere = towpath(at, &["plugin", "versions", "guest"]);
    assert!(err(&nowhere).contains("--registry names it"), "{}", err(&nowhere));
}

#[test]
fn two_releases_are_compared_and_the_plugins_of_a_config_listed() {
    let folder = project("https://sss.example");
    let at = folder.path();
    write(at, "/one");
    let one = publish(at, &[]);
    write(at, "/two");
    let two = publish(at, &[]);
    let compared = towpath(at, &["plugin", "versions", "guest", "--compare", &one, "current", "--json"]);
    assert_eq!(compared.status.code(), Some(1), "they differ: {}", err(&compared));
    let compared: Value = serde_json::from_str(&out(&compared)).unwrap();
    assert_eq!(compared["new"]["release"]["version"], two.as_str());
    assert_eq!(compared["targets"], serde_json::json!({ "added": [], "removed": [] }));
    assert!(compared["old"]["exports"].to_string().contains("towpath:plugin/transform@"), "{compared}");
    let same = towpath(at, &["plugin", "versions", "guest", "--compare", &two, "current"]);
    assert_eq!((same.status.code(), out(&same)), (Some(0), format!("both are {two}\n")));
    let listed = json(at, &["plugin", "list"]);
    assert_eq!(listed["plugins"][0]["version"], two.as_str(), "{listed}");
    assert_eq!(listed["plugins"][0]["routes"], serde_json::json!([{ "route": "g", "role": "live" }]));
    std::fs::remove_dir_all(at.join("registry/guest")).unwrap();
    let gone = towpath(at, &["plugin", "list"]);
    assert_eq!(gone.status.code(), Some(1), "{}", out(&gone));
    assert!(err(&gone).contains("guest: ") && err(&gone).contains("has no guest@current"), "{}", err(&gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_remembers_the_newest_pointer_beside_its_store() {
    let folder = project("https://sss.example");
    let at = folder.path();
    let made = json(at, &["plugin", "keygen", "release.key"]);
    let config = std::fs::read_to_string(at.join("towpath.toml")).unwrap();
    let public_key = format!("[registry]\npublic_key = {}\n", made["public_key"]);
    std::fs::write(at.join("towpath.toml"), config.replace("[registry]\n", &public_key)).unwrap();
    write(at, "/one");
    publish(at, &["--key", "release.key"]);
    let pointer = at.join("registry/guest/pointers/current.json");
    let older = std::fs::read(&pointer).unwrap();
    write(at, "/two");
    publish(at, &["--key", "release.key"]);
    drop(Server::start(at, &["serve"]));
    std::fs::write(&pointer, older).unwrap();
    let again = Server::start(at, &["serve"]);
    again.logs("is an older pointer");
    drop(again);
    std::fs::write(at.join(".towpath/pointers.json"), "{").unwrap();
    let damaged = towpath(at, &["serve"]);
    assert!(err(&damaged).contains("pointers.json") && err(&damaged).contains("delete it"), "{}", err(&damaged));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_picks_up_what_is_published_while_it_runs() {
    let target = Target::fine().await;
    let folder = project(&target.url);
    write(folder.path(), "/one");
    publish(folder.path(), &[]);
    let server = Server::start(folder.path(), &["serve"]);
    let client = client();
    client.post(&server.url).body("{\"k\":1}").send().await.unwrap();
    target.called(1).await;
    write(folder.path(), "/two");
    publish(folder.path(), &[]);
    server.logs("plugin swapped");
    client.post(&server.url).body("{\"k\":1}").send().await.unwrap();
    target.called(2).await;
    let paths: Vec<String> = target.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/one", "/two"]);
}
