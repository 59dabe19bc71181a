//! Functions whose secrets are not all available: what needs them waits, everything else works.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use tower::ServiceExt as _;
use towpath_config::value::Digest;
use towpath_config::{Config, NotFetched, SecretStore, Secrets};
use towpath_engine::pipeline::Settlement;
use towpath_intake::{Ingest, router};
use towpath_tests::guest::Guest;
use towpath_tests::rig::{KEY, Rig};
use towpath_tests::target::Target;

/// Has these secrets, all with the same value.
struct Store(&'static [&'static str]);

#[async_trait]
impl SecretStore for Store {
    async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
        if self.0.contains(&name) { Ok(KEY.to_owned()) } else { Err("AccessDeniedException".into()) }
    }
}

/// A config with these secrets there.
async fn config(rig: &Rig, text: &str, there: &'static [&'static str]) -> Config {
    let names = ["crm", "erp", "token", "note"].map(str::to_owned);
    let secrets = Secrets::from_store(Arc::new(Store(there)), names).await.that_may_come();
    Config::parse(text, &rig.path().join("towpath.toml"), &secrets).unwrap()
}

fn route(name: &str) -> String {
    format!(
        "[[route]]\npath = \"{name}\"\ngroup = \"{name}/{{json:/k}}\"\nplugin = \"p\"\n\
        verify = {{ scheme = \"github\", secret = \"{name}\", at = \"ingest\" }}\n"
    )
}

fn targets(url: &str) -> String {
    format!("[plugin.p]\npath = \"p.wasm\"\n[target.sss]\nurl = \"{url}\"\nallow_private = true\n")
}

fn github(key: &str, body: &str) -> String {
    let mac = towpath_verify::mac(Digest::Sha256, key.as_bytes(), &[body.as_bytes()]);
    format!("sha256={}", mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[tokio::test]
async fn a_route_without_its_secret_asks_senders_to_retry_and_others_take_webhooks() {
    let rig = Rig::new().await;
    let answer = "[[route.answer]]\nwhen = { method = \"GET\" }\nbody = \"here\"\n";
    let text = format!("{}{answer}{}{}", route("crm"), route("erp"), targets("http://127.0.0.1:9"));
    let config = config(&rig, &text, &["erp"]).await;
    assert_eq!(config.unready().len(), 1, "{:?}", config.unready());
    let router = router(Arc::new(Ingest::new(config.routes, Arc::new(rig.events.clone()), 1024)), "/hooks");
    let body = "{\"k\":1}";
    for (name, key, expected) in [
        ("erp", KEY, StatusCode::ACCEPTED),
        ("crm", KEY, StatusCode::SERVICE_UNAVAILABLE),
        ("crm", "", StatusCode::SERVICE_UNAVAILABLE),
        ("crm", "placeholder", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let request = Request::post(format!("/hooks/{name}")).header("x-hub-signature-256", github(key, body));
        let answer = router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        assert_eq!(answer.status(), expected, "{name} {key}");
        assert_eq!(answer.headers().contains_key(header::RETRY_AFTER), expected.is_server_error());
    }
    let handshake = Request::get("/hooks/crm").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(handshake).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.events.browse(None, 10).await.unwrap().len(), 1, "only the proven webhook is stored");
}

#[tokio::test]
async fn messages_wait_for_the_secrets_of_their_route_plugin_and_target() {
    let verified = route("crm").replace(", at = \"ingest\"", "");
    let unverified = "[[route]]\npath = \"g\"\ngroup = \"g/{json:/k}\"\nplugin = \"p\"\n";
    for (what, group, text, there) in [
        ("route", "crm/1", verified.clone(), &["token"][..]),
        ("note key", "crm/1", format!("[dead_letters]\nnote_key = \"note\"\n{verified}"), &["crm", "token"][..]),
        ("plugin", "g/1", format!("{unverified}[plugin.p]\npath = \"p.wasm\"\nsecrets = [\"crm\"]\n"), &["token"][..]),
        ("target", "g/1", unverified.to_owned(), &["crm"][..]),
    ] {
        let target = Target::fine().await;
        let rig = Rig::new().await;
        rig.write("p", Guest::forward());
        let rest = targets(&target.url) + "auth = { scheme = \"bearer\", secret = \"token\" }\n";
        let rest = if what == "plugin" { rest.replace("[plugin.p]\npath = \"p.wasm\"\n", "") } else { rest };
        let text = format!("{text}{rest}");
        let body = "{\"k\":1}";
        rig.send_webhook(group, &[("x-hub-signature-256", &github(KEY, body))], body.as_bytes()).await;
        let dead_letters = Arc::new(rig.dead_letters.clone());
        let lacking = rig.pipeline_of(config(&rig, &text, there).await, dead_letters.clone(), None);
        assert!(matches!(rig.run_and_release(&lacking).await[..], [Settlement::Retry(_)]), "{what}");
        assert!(target.calls().is_empty(), "{what}");
        let complete = config(&rig, &text, &["crm", "erp", "token", "note"]).await;
        assert!(complete.unready().is_empty(), "{what}");
        let settled = rig.run(&rig.pipeline_of(complete, dead_letters, None)).await;
        assert_eq!(settled, [Settlement::Ack], "{what}");
        assert_eq!(target.calls().len(), 1, "{what}");
        assert!(rig.letters().await.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_there_yet_stops_only_its_target() {
    let rig = Rig::new().await;
    rig.write("p", Guest::forward());
    let text = "[[route]]\npath = \"g\"\ngroup = \"g/{json:/k}\"\nplugin = \"p\"\n[plugin.p]\npath = \"p.wasm\"\n\
        [target.sss]\nurl = \"https://sss.example\"\nauth = { scheme = \"mtls\", secret = \"token\" }\n";
    rig.send("g/1", "{\"k\":1}").await;
    let pipeline = rig.pipeline_of(config(&rig, text, &[]).await, Arc::new(rig.dead_letters.clone()), None);
    assert!(matches!(rig.run(&pipeline).await[..], [Settlement::Retry(_)]));
}
