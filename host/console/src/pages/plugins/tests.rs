use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use towpath_operate::releases::Releases;
use towpath_registry::{Built, Folder, Move, Registry, SigningKey};
use towpath_types::clock::Timestamp;

use crate::Role;
use crate::trying::{Trying, pass};

const CONFIG: &str = "
[registry]
url = 'registry'
[[route]]
path = 'crm'
group = 'crm/{json:/id}'
plugin = 'crm'
shadow = 'crm@candidate'
canary = '5%'
[plugin.crm]
[plugin.local]
path = 'local.wasm'
[[route]]
path = 'local'
group = 'local'
plugin = 'local'
[target.sss]
url = 'https://sss.test'
";

/// An empty component, and one that imports an instance.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
const IMPORTS: &[u8] = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0\x0a\x0c\x01\0\x07a:b/cde\x05\0";

async fn publish(registry: &Registry, channel: &str, wasm: &[u8], targets: &[&str], own: &str) -> String {
    let description = json!({ "name": "crm", "version": own, "summary": "maps", "targets": targets });
    let built = Built {
        name: "crm".to_owned(),
        description: serde_json::from_value(description).expect("a description"),
        contract: "towpath:plugin@1.0.0".to_owned(),
        wasm: wasm.to_vec(),
        native: Vec::new(),
        cases: 3,
        commit: Some("<script>alert(1)</script>".to_owned()),
    };
    let seen = registry.look("crm", channel).await.expect("looked");
    let (release, chosen) = registry.store(built, "<b>ann</b>", Timestamp(1)).await.expect("stored");
    let made =
        Move { version: release.version.clone(), how: "publish".to_owned(), at: Timestamp(1), by: "ann".to_owned() };
    registry.advance("crm", channel, seen, chosen, made).await.expect("moved");
    release.version
}

/// A console whose registry has two versions: `current` is at the first, `candidate` at the second.
pub(crate) async fn setup(role: Role) -> (Trying, String, String) {
    let folder = TempDir::new().expect("a folder");
    let registry = Registry::new(Arc::new(Folder::new(folder.path().join("registry"))), None);
    let one = publish(&registry, "current", EMPTY, &["sss"], "1.0.0").await;
    let two = publish(&registry, "candidate", IMPORTS, &["sss", "<img src=x>"], "2.0.0").await;
    std::fs::write(folder.path().join("local.wasm"), EMPTY).expect("written");
    (Trying::over(folder, role, CONFIG, Releases::In(registry)).await, one, two)
}

fn configured<'a>(plugins: &'a Value, name: &str) -> &'a Value {
    let all = plugins["plugins"].as_array().expect("plugins");
    all.iter().find(|plugin| plugin["plugin"] == name).unwrap_or_else(|| panic!("{name}: {plugins}"))
}

#[tokio::test]
async fn the_plugins_of_the_config_are_told_with_their_builds_routes_and_passes() {
    let (trying, one, two) = setup(Role::Viewer).await;
    let mut line = pass("m-1", "delivered", "");
    line["span"]["plugin"] = json!("crm");
    line["span"]["digest"] = json!("abc123");
    trying.tell(&[line.clone(), line]);
    let plugins = trying.get("/api/v1/plugins").await.json();
    let crm = configured(&plugins, "crm");
    assert_eq!((&crm["version"], &crm["channel"], &crm["pinned"]), (&json!(one), &json!("current"), &json!(false)));
    assert_eq!(crm["routes"], json!([{ "route": "crm", "role": "live" }]));
    assert_eq!(crm["passes"], json!([{ "digest": "abc123", "done": 2, "other": 0 }]));
    let candidate = configured(&plugins, "crm@candidate");
    assert_eq!(candidate["version"], json!(two));
    let roles = json!([{ "route": "crm", "role": "shadow" }, { "route": "crm", "role": "canary", "share": "5%" }]);
    assert_eq!(candidate["routes"], roles);
    let local = configured(&plugins, "local");
    assert!(local["path"].as_str().is_some_and(|path| path.ends_with("local.wasm")), "{local}");
    assert_eq!(local["sha256"].as_str().map(str::len), Some(64), "{local}");
    let page = trying.get("/plugins").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in ["crm@candidate", "(canary, 5%)", "abc123", "local.wasm", one.as_str()] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
}

#[tokio::test]
async fn a_plugin_is_shown_with_its_versions_and_nothing_that_others_wrote_becomes_markup() {
    let (trying, one, two) = setup(Role::Operator).await;
    let plugin = trying.get("/api/v1/plugins/crm").await.json();
    let versions: Vec<&Value> = plugin["versions"].as_array().expect("versions").iter().collect();
    let names: Vec<&Value> = versions.iter().map(|version| &version["version"]).collect();
    assert!(names.contains(&&json!(one)) && names.contains(&&json!(two)), "{plugin}");
    let channels = plugin["channels"].as_array().expect("channels");
    assert_eq!(channels.len(), 2, "{plugin}");
    assert_eq!(plugin["configured"].as_array().map(Vec::len), Some(2), "crm and its candidate: {plugin}");
    let paths =
        ["/plugins/crm".to_owned(), format!("/plugins/crm/difference?old={one}&new={two}"), "/plugins".to_owned()];
    for path in paths {
        let page = trying.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        for markup in ["<script>alert", "<b>ann", "<img"] {
            assert!(!page.text.contains(markup), "{path} has {markup}: {}", page.text);
        }
    }
    let page = trying.get("/plugins/crm").await.text;
    assert!(page.contains("&lt;b&gt;ann") && page.contains("/plugins/crm/promote"), "{page}");
}

#[tokio::test]
async fn a_plugin_that_nobody_knows_is_not_found() {
    let (trying, ..) = setup(Role::Operator).await;
    for name in ["nosuch", "..%2Fcrm", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "crm%40nosuch"] {
        for path in [format!("/plugins/{name}"), format!("/api/v1/plugins/{name}")] {
            let answered = trying.get(&path).await;
            assert_eq!(answered.status, StatusCode::NOT_FOUND, "{path}: {}", answered.text);
            assert!(path.starts_with("/api") || !answered.text.contains("<script>alert"), "{path}");
        }
    }
    let note = json!({ "note": "try" });
    for action in ["promote", "rollback", "pin"] {
        let answered = trying.json(&format!("/api/v1/plugins/nosuch/{action}"), note.clone()).await;
        assert_eq!(answered.status, StatusCode::NOT_FOUND, "{action}: {}", answered.text);
    }
    let answered = trying.json("/api/v1/plugins/crm/promote", json!({ "from": "9.9.9", "note": "try" })).await;
    assert_eq!(answered.status, StatusCode::NOT_FOUND, "{}", answered.text);
    assert_eq!(trying.get("/plugins/crm/difference?old=9.9.9&new=current").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_operator_promotes_rolls_back_and_pins_and_the_audit_says_why() {
    let (trying, one, two) = setup(Role::Operator).await;
    let promoted = trying.json("/api/v1/plugins/crm/promote", json!({ "note": "release <4.2>" })).await;
    assert_eq!((promoted.status, &promoted.json()["current"]["version"]), (StatusCode::OK, &json!(two)));
    assert_eq!(promoted.json()["moves"][1]["by"], json!("ann"));
    let pinned = trying.json("/api/v1/plugins/crm/pin", json!({ "note": "freeze" })).await.json();
    assert_eq!((&pinned["pinned"], &pinned["current"]["version"]), (&json!(true), &json!(two)));
    let refused = trying.json("/api/v1/plugins/crm/promote", json!({ "from": one, "note": "no" })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("is pinned to"), "{}", refused.text);
    let back = trying.json("/api/v1/plugins/crm/rollback", json!({ "to": one, "note": "it fails" })).await.json();
    assert_eq!((&back["pinned"], &back["current"]["version"]), (&json!(true), &json!(one)));
    let off = trying.json("/api/v1/plugins/crm/pin", json!({ "off": true, "note": "thaw" })).await.json();
    assert_eq!(off["pinned"], json!(false));
    let audit = trying.get("/api/v1/audit").await.json();
    let lines = audit["audit"].as_array().expect("lines");
    let of = |action: &str, field: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["action"] == action).map(|line| &line[field]).collect()
    };
    assert_eq!(
        of("promote", "note"),
        ["", "no", "", "release <4.2>"],
        "the newest first, each with its outcome: {audit}"
    );
    assert_eq!(of("promote", "outcome")[..3], [&json!("failed"), &Value::Null, &json!("done")]);
    assert_eq!(of("rollback", "version"), [&json!(one), &json!(one)]);
    assert_eq!((of("unpin", "plugin")[0], of("unpin", "by")[0]), (&json!("crm"), &json!("ann")));
    let page = trying.get("/audit").await.text;
    assert!(page.contains("/plugins/crm") && page.contains("release &lt;4.2&gt;"), "{page}");
}

#[tokio::test]
async fn the_forms_of_the_page_do_the_same_and_show_the_plugin_as_it_is_now() {
    let (trying, one, two) = setup(Role::Operator).await;
    let form = format!("channel=current&version={two}&note=now");
    let page = trying.form("/plugins/crm/promote", &form).await.text;
    assert!(page.contains(&format!("current of crm is at {two}")) && page.contains("Roll back current"), "{page}");
    let page = trying.form("/plugins/crm/rollback", &format!("channel=current&version={one}&note=back")).await.text;
    assert!(page.contains(&format!("current of crm is at {one}")), "{page}");
    let page = trying.form("/plugins/crm/pin", &format!("channel=current&version={two}&note=stay")).await.text;
    assert!(page.contains("pinned: a publish does not move it") && page.contains("Unpin current"), "{page}");
    let page = trying.form("/plugins/crm/pin", "channel=current&off=true&note=go").await.text;
    assert!(!page.contains("Unpin current"), "{page}");
    let page = trying.form("/plugins/crm/promote", &format!("channel=current&version={two}&note=+")).await.text;
    assert!(page.contains("role=\"alert\"") && page.contains("say why"), "{page}");
}

#[tokio::test]
async fn nothing_is_moved_without_a_reason_or_to_a_place_outside_of_the_registry() {
    let (trying, one, _) = setup(Role::Operator).await;
    let wrong = [
        ("promote", json!({ "note": " " }), StatusCode::BAD_REQUEST),
        ("promote", json!({ "note": "two\nlines" }), StatusCode::BAD_REQUEST),
        ("promote", json!({ "note": "x", "to": "../../x" }), StatusCode::UNPROCESSABLE_ENTITY),
        ("promote", json!({ "note": "x", "from": "../../x" }), StatusCode::UNPROCESSABLE_ENTITY),
        ("pin", json!({ "note": "x", "to": one, "off": true }), StatusCode::BAD_REQUEST),
        ("rollback", json!({ "note": "x" }), StatusCode::CONFLICT),
        ("rollback", json!({ "note": "x", "chanel": "current" }), StatusCode::BAD_REQUEST),
    ];
    for (action, body, status) in wrong {
        let answered = trying.json(&format!("/api/v1/plugins/crm/{action}"), body.clone()).await;
        assert_eq!(answered.status, status, "{action} {body}: {}", answered.text);
    }
    let plugins = trying.get("/api/v1/plugins").await.json();
    assert_eq!(configured(&plugins, "crm")["version"], json!(one));
}

#[tokio::test]
async fn a_viewer_sees_no_forms_and_moves_nothing() {
    let (trying, one, _) = setup(Role::Viewer).await;
    let page = trying.get("/plugins/crm").await.text;
    assert!(page.contains("may look and not act") && !page.contains("hx-post"), "{page}");
    for action in ["promote", "rollback", "pin"] {
        let answered = trying.json(&format!("/api/v1/plugins/crm/{action}"), json!({ "note": "x" })).await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN, "{action}");
        let answered = trying.form(&format!("/plugins/crm/{action}"), "channel=current&note=x").await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN, "{action}");
    }
    let plugins = trying.get("/api/v1/plugins").await.json();
    assert_eq!(configured(&plugins, "crm")["version"], json!(one));
}

#[tokio::test]
async fn without_a_registry_the_config_is_told_and_a_move_says_what_is_missing() {
    let trying = Trying::new().await;
    let plugin = trying.get("/api/v1/plugins/p").await.json();
    assert!(plugin["problem"].as_str().is_some_and(|why| why.contains("no registry")), "{plugin}");
    assert!(plugin["configured"][0]["problem"].is_string(), "its path has nothing: {plugin}");
    let page = trying.get("/plugins/p").await;
    assert!(page.status == StatusCode::OK && page.text.contains("no registry") && !page.text.contains("hx-post"));
    let answered = trying.json("/api/v1/plugins/p/promote", json!({ "note": "x" })).await;
    assert_eq!(answered.status, StatusCode::CONFLICT, "{}", answered.text);
    assert_eq!(trying.get("/api/v1/plugins/nosuch").await.status, StatusCode::NOT_FOUND);
    let folder = TempDir::new().expect("a folder");
    let broken = Releases::Unavailable("no credentials".to_owned());
    let trying = Trying::over(folder, Role::Operator, CONFIG, broken).await;
    let answered = trying.json("/api/v1/plugins/crm/pin", json!({ "note": "x" })).await;
    assert_eq!(answered.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answered.text.contains("no credentials"), "{}", answered.text);
}

#[tokio::test]
async fn a_signed_channel_is_moved_by_the_command_where_the_key_is() {
    let folder = TempDir::new().expect("a folder");
    let (key, _) = SigningKey::generate().expect("a key");
    let registry = Registry::new(Arc::new(Folder::new(folder.path().join("registry"))), Some(key.public()));
    let signing = registry.clone().signing(key).expect("the same key");
    publish(&signing, "current", EMPTY, &["sss"], "1.0.0").await;
    let two = publish(&signing, "candidate", IMPORTS, &["sss"], "2.0.0").await;
    let trying = Trying::over(folder, Role::Operator, CONFIG, Releases::In(registry)).await;
    assert_eq!(trying.get("/api/v1/plugins/crm").await.json()["channels"][0]["channel"], json!("candidate"));
    let body = json!({ "from": two, "note": "x" });
    let answered = trying.json("/api/v1/plugins/crm/promote", body).await;
    assert_eq!(answered.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answered.text);
    let command = format!("towpath plugin promote crm --from {two} --to current --key FILE");
    assert!(answered.text.contains(&command), "{}", answered.text);
    assert!(answered.headers["content-type"].to_str().is_ok_and(|kind| kind == "application/problem+json"));
}

#[tokio::test]
async fn a_difference_names_imports_and_targets_that_only_one_has() {
    let (trying, one, two) = setup(Role::Viewer).await;
    let difference = trying.get(&format!("/api/v1/plugins/crm/difference?old={one}&new=candidate")).await.json();
    assert_eq!(difference["imports"], json!({ "added": ["a:b/cde"], "removed": [] }));
    assert_eq!(difference["targets"], json!({ "added": ["<img src=x>"], "removed": [] }));
    assert_eq!((&difference["new"]["release"]["version"], &difference["new"]["bytes"]), (&json!(two), &json!(27)));
    let back = trying.get(&format!("/plugins/crm/difference?old={two}&new={one}")).await.text;
    assert!(back.contains("<del>a:b/cde</del> removed"), "{back}");
    assert_eq!(trying.get("/api/v1/plugins/crm/difference?old=x").await.status, StatusCode::BAD_REQUEST);
}
