//! `towpath init`: a config to start from, as a new user meets it.

use serde_json::Value;
use tempfile::TempDir;
use towpath_tests::guest::Guest;

use super::{err, out, towpath};

#[test]
fn the_config_passes_the_check_once_its_plugin_is_there_and_is_never_overwritten_by_accident() {
    let folder = TempDir::new().unwrap();
    let here = folder.path();
    let written = towpath(here, &["init", "hooks", "--target", "http://127.0.0.1:9000"]);
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));
    let said = out(&written);
    assert!(said.contains("wrote hooks/towpath.toml: POST /hooks/crm"), "{said}");
    for next in ["cd hooks", "towpath plugin new crm", "towpath plugin test crm", "towpath config check", "towpath dev"]
    {
        assert!(said.lines().any(|line| line.trim() == next), "{next}: {said}");
    }
    let hooks = here.join("hooks");
    let without = towpath(&hooks, &["config", "check", "--skip-plugins"]);
    assert_eq!(without.status.code(), Some(0), "{}", out(&without));
    std::fs::create_dir(hooks.join("crm")).unwrap();
    std::fs::write(hooks.join("crm/plugin.wasm"), Guest::forward().build()).unwrap();
    let whole = towpath(&hooks, &["config", "check"]);
    assert_eq!(whole.status.code(), Some(0), "{}{}", out(&whole), err(&whole));
    let said = err(&whole);
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning")).collect();
    // Without --preset the route has no proof.
    assert_eq!(warnings, ["warning: route[0]: no proof of the sender: anyone who knows the URL can send events"]);

    std::fs::write(hooks.join("towpath.toml"), "mine").unwrap();
    let again = towpath(here, &["init", "hooks"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("hooks/towpath.toml exists") && err(&again).contains("--force"), "{}", err(&again));
    assert_eq!(std::fs::read_to_string(hooks.join("towpath.toml")).unwrap(), "mine");
    assert_eq!(towpath(here, &["init", "hooks", "--force"]).status.code(), Some(0));
    assert_eq!(towpath(&hooks, &["config", "check"]).status.code(), Some(0));
}

#[test]
fn json_names_the_file_the_secrets_and_the_next_commands() {
    let folder = TempDir::new().unwrap();
    let written = towpath(folder.path(), &["init", "--preset", "github", "--json"]);
    let written: Value = serde_json::from_str(&out(&written)).unwrap();
    assert_eq!(written["file"], "towpath.toml");
    assert_eq!(
        (&written["route"], &written["plugin"], &written["target"]),
        (&"github".into(), &"github".into(), &"sss".into())
    );
    assert_eq!(written["secrets"][0]["variable"], "TOWPATH_SECRET_GITHUB_WEBHOOKS");
    assert_eq!(written["next"][0], "towpath plugin new github");
    let missing = towpath(folder.path(), &["config", "check", "--skip-plugins"]);
    assert_eq!(missing.status.code(), Some(1), "the secret has no value yet");
    assert!(out(&missing).contains("TOWPATH_SECRET_GITHUB_WEBHOOKS"), "{}", out(&missing));
    let fine = towpath(folder.path(), &["config", "check", "--skip-plugins", "--skip-secrets"]);
    assert_eq!(fine.status.code(), Some(0), "{}", out(&fine));
}

#[test]
fn what_is_printed_is_what_would_be_written_and_wrong_options_write_nothing() {
    let folder = TempDir::new().unwrap();
    let printed = towpath(folder.path(), &["init", "--aws", "--stdout"]);
    assert_eq!(printed.status.code(), Some(0), "{}", err(&printed));
    assert!(out(&printed).contains("dead_letter_url = "), "{}", out(&printed));
    for (args, problem) in [
        (&["init", "--preset", "nonsense"][..], "github, "),
        (&["init", "--route", "Orders/1"], "is not a plugin name"),
        (&["init", "--target", "ftp://sss.example"], "is not an http or https URL"),
        (&["init", "--target", "http://localhost:8080"], "is the address that ingest listens on"),
        (&["init", "--stdout", "--force"], "cannot be used with"),
    ] {
        let wrong = towpath(folder.path(), args);
        assert_eq!(wrong.status.code(), Some(2), "{args:?}");
        assert!(err(&wrong).contains(problem), "{args:?}: {}", err(&wrong));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(towpath(folder.path(), &["init", "--aws"]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(folder.path().join("towpath.toml")).unwrap(), out(&printed));
}
