//! Webhooks that the commands sign: `send --as`, and `provider test` against a running ingest.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use towpath_tests::guest::Guest;
use towpath_tests::leaks::{KEY, TOKEN};

use super::serve::Server;
use super::{err, out, towpath};

/// The secrets of `towpath` and of rigs.
const SECRETS: [(&str, &str); 2] = [("TOWPATH_SECRET_KEY", KEY), ("TOWPATH_SECRET_TOKEN", TOKEN)];

/// A project whose routes are those of senders, and a recorded event of GitHub.
fn project() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("guest.wasm"), Guest::forward().build()).unwrap();
    let config = "[[route]]\npath = \"github\"\nprovider = { name = \"github\", secret = \"key\" }\nplugin = \"guest\"\n\
        [[route]]\npath = \"zoom\"\nprovider = { name = \"zoom\", secret = \"key\" }\nplugin = \"guest\"\n\
        [[route]]\npath = \"gitlab\"\nprovider = { name = \"gitlab\", secret = \"token\" }\nplugin = \"guest\"\n\
        [[route]]\npath = \"trello\"\nprovider = { name = \"trello\", secret = \"key\", url = \"https://hooks.example.com/hooks/trello\" }\n\
        plugin = \"guest\"\n[[route]]\npath = \"t/{tenant}\"\nprovider = { name = \"pagerduty\", secret = \"key\" }\nplugin = \"guest\"\n\
        [[route]]\npath = \"meta\"\ngroup = \"meta/{json:/id}\"\nplugin = \"guest\"\n\
        verify = { scheme = \"github\", secret = \"key\" }\n[[route.answer]]\n\
        when = { method = \"GET\", present = [\"query:hub.challenge\"], equal = { \"query:hub.mode\" = \"subscribe\" } }\n\
        token = \"query:hub.verify_token\"\nsecret = \"token\"\nbody = \"{query:hub.challenge}\"\n\
        [[route]]\npath = \"open\"\ngroup = \"open/{json:/id}\"\nplugin = \"guest\"\n\
        [[route]]\npath = \"forwarded\"\ngroup = \"forwarded\"\nverify = { scheme = \"github\", secret = \"key\" }\ntarget = \"sss\"\n\
        [plugin.guest]\npath = \"guest.wasm\"\n[target.sss]\nurl = \"http://127.0.0.1:9\"\nallow_private = true\n";
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    let event = r#"{"path": "github", "headers": [["x-github-delivery", "d-1"], ["x-hub-signature-256", "sha256=00"]],
        "body": {"repository": {"full_name": "a/b"}, "n": 1.10}}"#;
    std::fs::write(folder.path().join("message.json"), event).unwrap();
    folder
}

fn json(folder: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let output = towpath(folder, &[args, &["--json"]].concat());
    let value = serde_json::from_str(&out(&output)).unwrap_or_else(|error| panic!("{error}: {}", err(&output)));
    (output.status.code(), value)
}

/// Each trial of a route and its result.
fn results(tried: &Value) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row = |row: &Value| {
        let answered = row["answered"]["status"].as_u64().unwrap_or_default();
        (text(&row["request"]), text(&row["result"]), answered)
    };
    tried.as_array().unwrap().iter().map(row).collect()
}

fn expected(rows: &[(&str, u64)]) -> Vec<(String, String, u64)> {
    rows.iter().map(|(request, status)| ((*request).to_owned(), "ok".to_owned(), *status)).collect()
}

#[test]
fn a_provider_is_tried_on_a_running_host() {
    let folder = project();
    let server = Server::start_with(folder.path(), &["serve", "--ingest-only"], &SECRETS);
    let to = server.url.trim_end_matches("/github").to_owned();
    let test = |args: &[&str]| json(folder.path(), &[&["provider", "test", "--to", &to], args].concat());

    let (code, zoom) = test(&["zoom"]);
    let harmless = [("handshake", 200), ("forged-handshake", 401), ("unsigned", 401), ("forged", 401)];
    assert_eq!((code, results(&zoom)), (Some(0), expected(&harmless)), "{zoom}");
    assert!(zoom[0]["answered"]["body"].as_str().unwrap().contains("encryptedToken"), "{zoom}");
    let (code, trello) = test(&["trello"]);
    assert_eq!((code, results(&trello)[0].clone()), (Some(0), expected(&[("handshake", 200)])[0].clone()), "{trello}");
    let bare = to.trim_end_matches("/hooks");
    let astray = towpath(folder.path(), &["provider", "test", "zoom", "--to", bare]);
    assert!(err(&astray).contains("is the prefix missing in http://127.0.0.1:"), "{}", err(&astray));
    let no_url = towpath(folder.path(), &["provider", "test", "zoom", "--to", "localhost"]);
    assert!(err(&no_url).contains("such as http://127.0.0.1:8080/hooks"), "{}", err(&no_url));
    // Nothing of it was stored.
    assert_eq!(json(folder.path(), &["status"]).1["queue"]["messages"], 0);

    let (code, gitlab) = test(&["gitlab", "--send"]);
    assert_eq!(
        (code, results(&gitlab)),
        (Some(0), expected(&[("unsigned", 401), ("forged", 401), ("signed", 202)])),
        "{gitlab}"
    );
    let (code, tenant) = test(&["--path", "t/acme"]);
    assert_eq!((code, results(&tenant)), (Some(0), expected(&[("unsigned", 401), ("forged", 401)])), "{tenant}");
    let pattern = towpath(folder.path(), &["provider", "test", "pagerduty", "--to", &to]);
    assert!(err(&pattern).contains("give --path with one of them"), "{}", err(&pattern));
    let (code, meta) = test(&["--path", "meta"]);
    let told = [("handshake", 200), ("forged-handshake", 403), ("unsigned", 401), ("forged", 401)];
    assert_eq!((code, results(&meta)), (Some(0), expected(&told)), "{meta}");
    let (_, open) = test(&["--path", "open"]);
    assert!(open[0]["detail"].as_str().unwrap().contains("the route has no verify"), "{open}");
    let (code, github) = test(&["github", "--event", "message.json"]);
    assert_eq!((code, results(&github).last().cloned()), (Some(0), expected(&[("signed", 202)]).pop()), "{github}");
    assert_eq!(json(folder.path(), &["status"]).1["queue"]["messages"], 2);
    let forwarded = towpath(folder.path(), &["provider", "test", "--path", "forwarded", "--send", "--to", &to]);
    let told = "the signed event is stored, and delivered to the target sss like any other";
    assert!(err(&forwarded).contains(told), "{}{}", out(&forwarded), err(&forwarded));
    server.stop();
}

#[test]
fn a_host_with_another_config_is_found_out() {
    let folder = project();
    let other = [("TOWPATH_SECRET_KEY", TOKEN), ("TOWPATH_SECRET_TOKEN", TOKEN)];
    let server = Server::start_with(folder.path(), &["serve", "--ingest-only"], &other);
    let to = server.url.trim_end_matches("/github").to_owned();
    let (code, github) = json(folder.path(), &["provider", "test", "github", "--send", "--to", &to]);
    assert_eq!(code, Some(1), "{github}");
    let failed = results(&github).into_iter().filter(|(_, result, _)| result == "failed").map(|(request, ..)| request);
    assert_eq!(failed.collect::<Vec<_>>(), ["handshake", "signed"], "{github}");
    assert!(github[0]["detail"].as_str().unwrap().contains("another secret"), "{github}");
    let table = out(&towpath(folder.path(), &["provider", "test", "github", "--to", &to]));
    assert!(table.starts_with("PATH") && table.contains("FAILED"), "{table}");
    server.stop();
    let gone = towpath(folder.path(), &["provider", "test", "github", "--to", &to]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(err(&gone).contains("is `towpath serve` or `towpath dev` running there?"), "{}", err(&gone));
    // The token of this handshake is in its URL, which no error may show.
    let gone = towpath(folder.path(), &["provider", "test", "--path", "meta", "--to", &to]);
    assert_eq!(gone.status.code(), Some(2));
}

#[test]
fn recorded_events_are_signed_for_a_verified_route() {
    let folder = project();
    let server = Server::start_with(folder.path(), &["serve", "--ingest-only"], &SECRETS);
    let to = server.url.trim_end_matches("/github").to_owned();
    let send = |args: &[&str]| json(folder.path(), &[&["send", "message.json", "--to", &to], args].concat());
    let (code, plain) = send(&[]);
    assert_eq!((code, plain[0]["status"].as_u64()), (Some(1), Some(401)), "{plain}");
    let (code, by_route) = send(&["--as", "route"]);
    assert_eq!((code, by_route[0]["status"].as_u64()), (Some(0), Some(202)), "{by_route}");
    let (code, by_name) = send(&["--as", "github", "--secret", "key"]);
    assert_eq!((code, by_name[0]["message_id"].clone()), (Some(0), by_route[0]["message_id"].clone()), "{by_name}");
    server.stop();
}

#[test]
fn what_cannot_be_signed_says_why() {
    let folder = project();
    let key = "0".repeat(64);
    let public_key = format!("public_key={key}");
    for (args, says) in [
        (&["--as", "githup"][..], "did you mean \"github\"?"),
        (&["--as", "github", "--secret", "nowhere"], "set the environment variable TOWPATH_SECRET_NOWHERE"),
        (&["--as", "twilio", "--secret", "key"], "give --param NAME=TEXT"),
        (&["--as", "route", "--secret", "key"], "the config has them"),
        (&["--as", "route", "--path", "open"], "has no verify"),
        (&["--as", "route", "--path", "nowhere"], "its paths are github, zoom"),
        (&["--as", "discord", "--param", &public_key], "only the sender's private key"),
        (&["--secret", "key"], "--as"),
        (&["--private-key", "message.json", "--as", "route"], "it is not a private key in PKCS#8"),
    ] {
        let output = towpath(folder.path(), &[&["send", "message.json"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", err(&output));
        assert!(err(&output).contains(says), "{args:?}: {}", err(&output));
    }
}

#[test]
fn coverage_counts_every_provider() {
    let folder = TempDir::new().unwrap();
    let (code, coverage) = json(folder.path(), &["provider", "coverage"]);
    let count = |key: &str| coverage[key].as_u64().unwrap();
    assert_eq!((code, coverage["providers"].as_array().unwrap().len() as u64), (Some(0), count("total")));
    let fully = coverage["providers"].as_array().unwrap().iter().filter(|row| row["fully"] == true).count() as u64;
    assert_eq!(fully, count("fully"));
    let text = out(&towpath(folder.path(), &["provider", "coverage"]));
    assert!(text.contains(&format!("fully connected: {fully} of {}", count("total"))), "{text}");
    let (_, zoom) = json(folder.path(), &["provider", "show", "zoom"]);
    assert_eq!(zoom["secrets"][0]["variable"], "TOWPATH_SECRET_ZOOM");
}
