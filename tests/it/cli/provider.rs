//! `towpath provider`: what is known about senders, and a route to start from.

use serde_json::Value;
use tempfile::TempDir;

use super::{err, out, towpath};

#[test]
fn the_list_has_every_provider_and_can_be_searched() {
    let folder = TempDir::new().unwrap();
    let list = |args: &[&str]| -> Vec<Value> {
        let printed = towpath(folder.path(), &[&["provider", "list", "--json"], args].concat());
        assert_eq!(printed.status.code(), Some(0), "{}", err(&printed));
        serde_json::from_str(&out(&printed)).unwrap()
    };
    assert!(list(&[]).len() > 200);
    let found = list(&["--search", "TWIL"]);
    assert_eq!(found.len(), 1, "{found:?}");
    let expected = serde_json::json!({
        "name": "twilio", "title": "Twilio", "proof": "hmac-sha1", "handshake": false, "split": false, "confidence": "high",
    });
    assert_eq!(found[0], expected);
    assert!(list(&["--search", "no such sender"]).is_empty());
    let table = out(&towpath(folder.path(), &["provider", "list", "--search", "github"]));
    assert!(table.starts_with("NAME") && table.contains("\ngithub"), "{table}");
}

#[test]
fn a_shown_route_is_a_config_once_it_has_a_plugin_and_its_secret() {
    let folder = TempDir::new().unwrap();
    let shown = towpath(folder.path(), &["provider", "show", "square", "--json"]);
    let shown: Value = serde_json::from_str(&out(&shown)).unwrap();
    assert_eq!(shown["url"], "https://HOST/hooks/square");
    assert_eq!(shown["secrets"][0]["variable"], "TOWPATH_SECRET_SQUARE");
    assert_eq!(shown["parameters"][0]["name"], "url");
    let config = format!("{}\n[plugin.square]\npath = \"square\"\n", shown["route"].as_str().unwrap());
    std::fs::write(folder.path().join("towpath.toml"), config.replace("HOST", "hooks.example.com")).unwrap();
    let checked = towpath(folder.path(), &["config", "check", "--skip-plugins", "--skip-secrets"]);
    assert_eq!(checked.status.code(), Some(0), "{}", out(&checked));
    let unset = towpath(folder.path(), &["config", "check", "--skip-plugins"]);
    assert!(out(&unset).contains("route[0].provider: the secret \"square\" is not set"), "{}", out(&unset));

    let text = out(&towpath(folder.path(), &["provider", "show", "square"]));
    for part in [
        "[[route]]",
        "  towpath provider test square",
        "# [route.verify]",
        "TOWPATH_SECRET_SQUARE: ",
        "url: ",
        "  1. ",
        "https://HOST/hooks/square",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_unknown_provider_is_wrong_usage_with_a_suggestion() {
    let folder = TempDir::new().unwrap();
    let unknown = towpath(folder.path(), &["provider", "show", "githup"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("did you mean \"github\"?"), "{}", err(&unknown));
}

#[test]
fn a_provider_whose_secret_is_learned_is_shown_with_the_steps_that_learn_it() {
    let folder = TempDir::new().unwrap();
    let text = out(&towpath(folder.path(), &["provider", "show", "asana"]));
    for part in [
        "  1. Arm the route for the handshake: `towpath secret arm",
        "POST /webhooks",
        "\n  towpath dev\n  towpath provider test asana\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("TOWPATH_SECRET_ASANA"), "{text}");
    let shown: Value =
        serde_json::from_str(&out(&towpath(folder.path(), &["provider", "show", "gusto", "--json"]))).unwrap();
    assert_eq!(shown["secrets"][0]["learned"], true);
}
