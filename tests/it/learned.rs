//! Secrets that senders send in a handshake: learned while an operator has armed the route, and never overwritten otherwise.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;
use towpath_config::route::tokens_of;
use towpath_config::value::Digest;
use towpath_config::{Config, LearnedStore as _, Secret, SecretFolder, Secrets, Stored};
use towpath_intake::{Ingest, router};
use towpath_runtime::time::wall_clock;
use towpath_tests::guest::Guest;
use towpath_tests::leaks;
use towpath_tests::rig::Rig;
use towpath_tests::target::Target;
use towpath_types::clock::Timestamp;
use towpath_verify::note_keys::NoteKeys;

use crate::cli::serve::{Server, client};

const ONE: &str = "planted-5ecret-q7RkXw2LmVt9ZsYb4NcHgA";
const OTHER: &str = "planted-5ecret-Zz81Lp0QvKcXn3TyWe6RuM";

const ASANA: &str = "[[route]]\nprovider = \"asana\"\npath = \"asana\"\nplugin = \"guest\"\n[plugin.guest]\npath = \"guest.wasm\"\n\
    [target.sss]\nurl = \"http://127.0.0.1:9\"\nallow_private = true\n[queue]\nstore = \".\"\n";

const EVENT: &str = r#"{"events":[{"action":"changed","resource":{"gid":"1201"}}]}"#;

/// An ingest over a store, as `serve` puts it together.
struct Door {
    rig: Rig,
    router: axum::Router,
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Door {
    async fn new() -> Door {
        let rig = Rig::new().await;
        std::fs::write(rig.path().join("towpath.toml"), ASANA).unwrap();
        let router = Door::router(&rig);
        Door { rig, router }
    }

    fn router(rig: &Rig) -> axum::Router {
        let config = Config::parse(ASANA, &rig.path().join("towpath.toml"), &Secrets::of([])).unwrap();
        let ingest = Ingest::new(config.routes, Arc::new(rig.events.clone()), 64 * 1024);
        let note_keys = NoteKeys::new(vec![Secret::new("a note key of this store, made up")]);
        let ingest = ingest.keeping_refused(Arc::new(rig.refused.clone())).vouching_by(note_keys);
        router(Arc::new(ingest), "/hooks")
    }

    /// The same after a restart.
    fn restarted(self) -> Door {
        Door { router: Door::router(&self.rig), rig: self.rig }
    }

    fn file(&self) -> PathBuf {
        self.rig.path().join("secrets/asana")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    /// Arms the route, as `towpath secret arm` does.
    async fn arm(&self) {
        self.arm_until(Some(wall_clock().now() + Duration::from_secs(900))).await;
    }

    async fn arm_until(&self, armed_until: Option<Timestamp>) {
        let folder = SecretFolder::of_store(self.rig.path());
        let seen = folder.read("asana").await.unwrap();
        let stored = seen.as_ref().map(|seen| Stored::read(&seen.text)).unwrap_or_default();
        folder.replace("asana", seen.as_ref(), &Stored { armed_until, ..stored }.text()).await.unwrap();
    }

    async fn post(&self, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut request = Request::builder().method("POST").uri("/hooks/asana");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = to_bytes(answer.into_body(), 65536).await.unwrap();
        Answered { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    async fn handshake(&self, secret: &str) -> Answered {
        self.post(&[("x-hook-secret", secret)], "").await
    }

    /// An event that is signed with this secret: the status of its answer.
    async fn event(&self, secret: &str) -> u16 {
        self.post(&[("x-hook-signature", &signature(secret))], EVENT).await.status
    }
}

fn signature(secret: &str) -> String {
    hex::encode(towpath_verify::mac(Digest::Sha256, secret.as_bytes(), &[EVENT.as_bytes()]))
}

#[tokio::test]
async fn a_secret_is_learned_once_while_its_route_is_armed_and_then_verifies_events() {
    let door = Door::new().await;
    let unlearned = door.post(&[("x-hook-signature", &signature(ONE))], EVENT).await;
    assert_eq!(unlearned.status, 401);
    assert!(unlearned.body.contains("has not been learned yet"), "{}", unlearned.body);
    assert_eq!(door.event("").await, 401, "the MAC with an empty key proves nothing");
    let unarmed = door.handshake(ONE).await;
    assert_eq!(unarmed.status, 403);
    assert!(unarmed.body.contains("towpath secret arm") && !unarmed.body.contains(ONE), "{}", unarmed.body);
    assert!(!door.file().exists());

    door.arm().await;
    let learned = door.handshake(ONE).await;
    assert_eq!((learned.status, learned.headers["x-hook-secret"].to_str().unwrap()), (200, ONE));
    assert_eq!(door.text(), ONE);
    assert_eq!(door.event(ONE).await, 202);

    assert_eq!(door.handshake(OTHER).await.status, 403, "the first handshake disarmed the route");
    assert_eq!(door.event(OTHER).await, 401);
    let repeated = door.handshake(ONE).await;
    assert_eq!((repeated.status, repeated.headers["x-hook-secret"].to_str().unwrap()), (200, ONE));
    assert_eq!(door.text(), ONE);
    let stored = door.rig.events.browse(None, 100).await.unwrap();
    assert_eq!(stored.len(), 1, "handshakes are not stored");
}

#[tokio::test]
async fn the_previous_secret_verifies_until_a_new_one_is_learned_and_a_restart_keeps_it() {
    let door = Door::new().await;
    door.arm().await;
    assert_eq!(door.handshake(ONE).await.status, 200);
    let door = door.restarted();
    assert_eq!(door.event(ONE).await, 202);
    door.arm().await;
    let door = door.restarted();
    assert_eq!((door.event(ONE).await, door.event(OTHER).await), (202, 401));
    assert_eq!(door.handshake(OTHER).await.status, 200);
    assert_eq!((door.event(ONE).await, door.event(OTHER).await), (401, 202));
    let door = door.restarted();
    assert_eq!((door.event(ONE).await, door.event(OTHER).await), (401, 202));
}

#[tokio::test]
async fn an_expired_arm_learns_nothing() {
    let door = Door::new().await;
    door.arm().await;
    let past = format!("towpath-armed until=2026-01-01T00:00:00Z\n{OTHER}");
    std::fs::write(door.file(), &past).unwrap();
    let door = door.restarted();
    assert_eq!(door.handshake(ONE).await.status, 403);
    assert_eq!(door.text(), past);
    assert_eq!(door.event(OTHER).await, 202, "the previous secret is in use");
    door.arm().await;
    door.arm_until(None).await;
    assert_eq!(door.handshake(ONE).await.status, 403);
    assert_eq!((door.text().as_str(), door.event(OTHER).await), (OTHER, 202));
}

#[tokio::test]
async fn a_secret_that_cannot_be_used_leaves_the_route_armed() {
    let door = Door::new().await;
    door.arm().await;
    for secret in ["hunter2", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "towpath-armed until=2099-01-01T00:00:00Z"] {
        let answer = door.handshake(secret).await;
        assert_eq!(answer.status, 400, "{secret}: {}", answer.body);
        assert!(!answer.body.contains(secret), "{}", answer.body);
    }
    // A handshake that cannot be answered is not learned either.
    assert_eq!(door.handshake(&ONE.repeat(20)).await.status, 400);
    assert_eq!(door.handshake(ONE).await.status, 200);
}

#[tokio::test]
async fn a_secret_that_cannot_be_stored_is_not_confirmed_and_the_route_stays_armed() {
    let door = Door::new().await;
    door.arm().await;
    // Nothing can be written there, whoever asks.
    let unfinished = door.rig.path().join("secrets/.asana.new");
    std::fs::create_dir(&unfinished).unwrap();
    let before = door.text();
    let answer = door.handshake(ONE).await;
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (503, "5"));
    assert_eq!((door.text(), door.event(ONE).await), (before, 401));
    std::fs::remove_dir(&unfinished).unwrap();
    assert_eq!((door.handshake(ONE).await.status, door.event(ONE).await), (200, 202));
}

#[tokio::test]
async fn a_kill_between_storing_and_answering_is_harmless() {
    let door = Door::new().await;
    door.arm().await;
    // What the killed process left: the secret is stored, and nobody was answered.
    std::fs::write(door.file(), ONE).unwrap();
    let door = door.restarted();
    assert_eq!((door.handshake(ONE).await.status, door.event(ONE).await), (200, 202));
    // Killed while it wrote: the route is still armed.
    door.arm().await;
    std::fs::write(door.rig.path().join("secrets/.asana.new"), "planted-5ecret-hal").unwrap();
    let door = door.restarted();
    assert_eq!(door.event(ONE).await, 202);
    assert_eq!((door.handshake(OTHER).await.status, door.event(OTHER).await), (200, 202));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_handshakes_at_once_exactly_one_wins() {
    let door = Arc::new(Door::new().await);
    // Another process on the same store.
    let other = Door::router(&door.rig);
    door.arm().await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..16 {
        let router = if number % 2 == 0 { door.router.clone() } else { other.clone() };
        asked.spawn(async move {
            let secret = format!("{ONE}-{number}");
            let request = Request::post("/hooks/asana").header("x-hook-secret", &secret).body(Body::empty()).unwrap();
            (secret, router.oneshot(request).await.unwrap().status().as_u16())
        });
    }
    let answers = asked.join_all().await;
    let won: Vec<&String> = answers.iter().filter(|(_, status)| *status == 200).map(|(secret, _)| secret).collect();
    assert_eq!(won, [&door.text()], "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, status)| *status == 403).count(), 15, "{answers:?}");
    assert_eq!(door.event(won[0]).await, 202);
}

#[tokio::test]
async fn what_another_process_learned_is_found_by_the_first_webhook() {
    let door = Door::new().await;
    let other = Door::router(&door.rig);
    door.arm().await;
    assert_eq!(door.handshake(ONE).await.status, 200);
    let request = Request::post("/hooks/asana").header("x-hook-signature", signature(ONE));
    let answer = other.oneshot(request.body(Body::from(EVENT)).unwrap()).await.unwrap();
    assert_eq!(answer.status().as_u16(), 202);
}

#[tokio::test]
async fn a_refused_webhook_that_carries_the_secret_is_kept_with_the_place_to_hide() {
    let rig = Rig::new().await;
    // An event whose body has the value that a handshake has too.
    let gusto = ASANA.replace("asana", "gusto");
    let config = Config::parse(&gusto, &rig.path().join("towpath.toml"), &Secrets::of([])).unwrap();
    let ingest = Ingest::new(config.routes, Arc::new(rig.events.clone()), 64 * 1024);
    let router = router(Arc::new(ingest.keeping_refused(Arc::new(rig.refused.clone()))), "/hooks");
    let body = format!(r#"{{"verification_token":"{ONE}","entity_uuid":"e-1"}}"#);
    let answer = router.oneshot(Request::post("/hooks/gusto").body(Body::from(body)).unwrap()).await.unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    let kept = rig.refused.browse(None, 10).await.unwrap();
    let letter = towpath_types::dead_letter::DeadLetter::read(&kept[0].attributes).unwrap();
    assert_eq!(letter.secret_header.as_deref(), Some("json:/verification_token"));
    let mut shown = kept[0].body.webhook().unwrap();
    for token in tokens_of(letter.secret_header.as_deref().unwrap()) {
        towpath_select::hide(Arc::make_mut(&mut shown), &token);
    }
    leaks::check("a refused webhook", &shown.body);
}

/// A folder with the config of a route for Asana, and a plugin.
fn project(target: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("guest.wasm"), Guest::forward().build()).unwrap();
    let config = ASANA.replace("http://127.0.0.1:9", target).replace("store = \".\"", "store = \".towpath\"");
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    folder
}

/// A command in a folder. What it prints is not searched for secrets: one of them shows one.
fn towpath(folder: &Path, args: &[&str]) -> Output {
    let mut command = std::process::Command::new(towpath_tests::binary::binary("towpath"));
    command.args(args).current_dir(folder).env_remove("TOWPATH_CONFIG").output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn an_operator_arms_a_route_while_serve_runs() {
    let target = Target::answering(|_| towpath_tests::target::Answer::Status(200, String::new())).await;
    let folder = project(&target.url);
    let folder = folder.path();
    let secret = |args: &[&str]| towpath(folder, &[&["secret"], args].concat());
    let json = |args: &[&str]| -> Value { serde_json::from_str(&out(&secret(&[args, &["--json"]].concat()))).unwrap() };
    let server = Server::start(folder, &["serve"]);
    let client = client();
    let handshake = async |secret: &str| {
        client.post(&server.url).header("x-hook-secret", secret).send().await.unwrap().status().as_u16()
    };

    let listed = json(&["list"]);
    assert_eq!(listed, serde_json::json!([{ "secret": "asana", "route": "asana", "state": "unlearned" }]));
    assert_eq!(handshake(ONE).await, 403);
    server.logs("run `towpath secret arm asana` and create it again");
    let tested = towpath(folder, &["provider", "test", "asana", "--to", server.url.trim_end_matches("/asana")]);
    assert_eq!(tested.status.code(), Some(0), "{}{}", out(&tested), err(&tested));
    for part in ["the route is closed, as it should be", "no secret is learned yet"] {
        assert!(out(&tested).contains(part), "{part}: {}", out(&tested));
    }

    let armed = secret(&["arm", "asana", "--for", "1h"]);
    assert_eq!(armed.status.code(), Some(0), "{}", err(&armed));
    assert!(out(&armed).contains("the route asana takes a new secret for 1h"), "{}", out(&armed));
    let listed = json(&["list"]);
    assert!(listed[0]["armed_until_at"].is_string() && listed[0]["state"] == "unlearned", "{listed}");
    let tested = towpath(folder, &["provider", "test", "asana", "--to", server.url.trim_end_matches("/asana")]);
    assert!(out(&tested).contains("the route is armed for a new secret"), "{}", out(&tested));
    // The store of this config is another one, so it does not know that the ingest is armed.
    let elsewhere = project(&target.url);
    let given = |secret: &str| {
        let mut command = std::process::Command::new(towpath_tests::binary::binary("towpath"));
        command
            .args(["provider", "test", "asana", "--to", server.url.trim_end_matches("/asana")])
            .env_remove("TOWPATH_CONFIG");
        command.current_dir(elsewhere.path()).env("TOWPATH_SECRET_ASANA", secret).output().unwrap()
    };
    for tested in [
        towpath(elsewhere.path(), &["provider", "test", "asana", "--to", server.url.trim_end_matches("/asana")]),
        given(OTHER),
    ] {
        assert_eq!(tested.status.code(), Some(1), "{}{}", out(&tested), err(&tested));
        assert!(out(&tested).contains("the route of this ingest is armed"), "{}", out(&tested));
    }
    assert_eq!(json(&["list"])[0]["state"], "unlearned", "no test uses up the arming");
    assert_eq!(handshake(ONE).await, 200);

    let listed = json(&["list"]);
    assert!(listed[0]["armed_until_at"].is_null() && listed[0]["state"] == "learned", "{listed}");
    assert!(listed[0]["age_seconds"].is_u64(), "{listed}");
    let table = secret(&["list"]);
    leaks::check("secret list", &[&table.stdout[..], &table.stderr[..]].concat());
    assert!(out(&table).contains("learned"), "{}", out(&table));
    assert_eq!(out(&secret(&["show", "asana"])), format!("{ONE}\n"));
    assert_eq!(json(&["show", "asana"]), serde_json::json!({ "secret": "asana", "value": ONE }));
    let signed = client.post(&server.url).header("x-hook-signature", signature(ONE)).body(EVENT).send().await.unwrap();
    assert_eq!(signed.status().as_u16(), 202);
    let tested = towpath(folder, &["provider", "test", "asana", "--to", server.url.trim_end_matches("/asana")]);
    assert_eq!(tested.status.code(), Some(0), "{}{}", out(&tested), err(&tested));
    assert_eq!(out(&secret(&["show", "asana"])), format!("{ONE}\n"), "the test changed nothing");
}

#[tokio::test]
async fn a_variable_that_hides_the_handshake_is_told_by_the_test() {
    let folder = project("http://127.0.0.1:9");
    let server = Server::start_with(folder.path(), &["serve"], &[("TOWPATH_SECRET_ASANA", ONE)]);
    server.logs("unset TOWPATH_SECRET_ASANA and restart");
    let to = server.url.trim_end_matches("/asana");
    let tested = towpath(folder.path(), &["provider", "test", "asana", "--to", to]);
    assert_eq!(tested.status.code(), Some(1), "{}{}", out(&tested), err(&tested));
    assert!(out(&tested).contains("TOWPATH_SECRET_ASANA is set where the host runs"), "{}", out(&tested));
}

#[test]
fn what_cannot_be_armed_says_what_to_do() {
    let folder = project("http://127.0.0.1:9");
    let folder = folder.path();
    let unknown = towpath(folder, &["secret", "arm", "asanna"]);
    assert_eq!(unknown.status.code(), Some(2));
    let said =
        "no route keeps a secret named \"asanna\": did you mean \"asana\"? the secrets that routes keep are asana";
    assert!(err(&unknown).contains(said), "{}", err(&unknown));
    let nope: Value = serde_json::from_str(&out(&towpath(folder, &["secret", "arm", "nope", "--json"]))).unwrap();
    assert_eq!(nope["error"], "no route keeps a secret named \"nope\": the secrets that routes keep are asana");
    let unlearned = towpath(folder, &["secret", "show", "asana"]);
    assert_eq!(unlearned.status.code(), Some(2));
    assert!(err(&unlearned).contains("run `towpath secret arm asana`"), "{}", err(&unlearned));
    for length in ["2d", "0s", "soon", "25h", "15"] {
        let wrong = towpath(folder, &["secret", "arm", "asana", "--for", length]);
        assert_eq!(wrong.status.code(), Some(2));
        assert!(err(&wrong).contains("give a time such as 90s, 15m or 24h, from 1s to 24h"), "{}", err(&wrong));
        assert!(!err(&wrong).contains("unit"), "{}", err(&wrong));
    }
    let mut command = std::process::Command::new(towpath_tests::binary::binary("towpath"));
    let given =
        command.args(["secret", "arm", "asana"]).current_dir(folder).env("TOWPATH_SECRET_ASANA", ONE).output().unwrap();
    assert_eq!(given.status.code(), Some(2));
    assert!(err(&given).contains("TOWPATH_SECRET_ASANA is set"), "{}", err(&given));
    leaks::check("secret arm", &given.stderr);
    let disarmed = towpath(folder, &["secret", "disarm", "asana", "--store", "elsewhere"]);
    assert_eq!(disarmed.status.code(), Some(2), "{}", err(&disarmed));
    for args in [&["list"][..], &["show", "asana"], &["arm", "asana"], &["disarm", "asana"]] {
        let nowhere = towpath(folder, &[&["secret"], args, &["--store", "elsewhere"]].concat());
        assert_eq!(nowhere.status.code(), Some(2), "{args:?}");
        assert!(err(&nowhere).contains("there is no store in elsewhere: "), "{args:?} {}", err(&nowhere));
    }
    assert!(!folder.join("elsewhere").exists(), "nothing is made there");
}

#[test]
fn the_list_tells_an_armed_secret_from_a_learned_one() {
    let folder = project("http://127.0.0.1:9");
    let folder = folder.path();
    let row = || {
        let listed = out(&towpath(folder, &["secret", "list"]));
        listed.lines().nth(1).unwrap().to_owned()
    };
    let store = |text: &str| {
        std::fs::write(folder.join(".towpath/secrets/asana"), text).unwrap();
    };
    assert!(row().contains("unlearned"), "{}", row());
    // The config's own store is made: `serve` need not have run.
    let armed = towpath(folder, &["secret", "arm", "asana", "--for", "24h"]);
    assert!(out(&armed).contains("takes a new secret for 24h:"), "{}{}", out(&armed), err(&armed));
    assert!(row().contains("armed (none yet)"), "{}", row());
    store(ONE);
    assert!(row().contains("learned") && !row().contains("armed"), "{}", row());
    towpath(folder, &["secret", "arm", "asana"]);
    assert!(row().contains("armed (has a secret)"), "{}", row());
    store(&format!("towpath-armed until=2026-01-01T00:00:00Z\n{ONE}"));
    assert!(row().contains("learned") && row().contains("expired"), "{}", row());
    store("towpath-armed until=2026-01-01T00:00:00Z\n");
    assert!(row().contains("unlearned") && row().contains("expired"), "{}", row());
    towpath(folder, &["secret", "disarm", "asana"]);
    assert!(row().contains("unlearned") && !row().contains("expired"), "{}", row());
}

#[test]
fn a_secret_that_no_handshake_brings_is_told_with_its_variable() {
    let folder = project("http://127.0.0.1:9");
    let mut config = std::fs::read_to_string(folder.path().join("towpath.toml")).unwrap();
    config.push_str("[[route]]\nprovider = \"github\"\npath = \"github\"\nplugin = \"guest\"\n");
    std::fs::write(folder.path().join("towpath.toml"), config).unwrap();
    let given = towpath(folder.path(), &["secret", "arm", "github"]);
    assert_eq!(given.status.code(), Some(2));
    assert!(err(&given).contains("it is set in TOWPATH_SECRET_GITHUB"), "{}", err(&given));
}
