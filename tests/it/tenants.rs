//! Secrets by tenant: the name of the secret ends in a value of the webhook.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use tower::ServiceExt as _;
use towpath_config::value::Digest;
use towpath_config::{Config, ConfigError, NotFetched, SecretStore, Secrets};
use towpath_engine::pipeline::Settlement;
use towpath_intake::{Ingest, router};
use towpath_tests::guest::Guest;
use towpath_tests::rig::{KEY, Rig, one_route};
use towpath_tests::target::Target;

/// A config whose one route is for tenants.
fn tenants(url: &str, at: &str) -> String {
    let route = format!(
        "path = \"tenants/{{tenant}}/crm\"\nverify = {{ scheme = \"github\", secret = \"crm-{{path:tenant}}\", at = \"{at}\" }}"
    );
    one_route(url).replace("path = \"g\"", &route)
}

/// Knows `acme`, and can be away.
#[derive(Default)]
struct Store(AtomicBool);

#[async_trait]
impl SecretStore for Store {
    async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
        match name {
            _ if self.0.load(Ordering::SeqCst) => Err("AccessDeniedException".into()),
            "crm-acme" => Ok(KEY.to_owned()),
            _ => Err(NotFetched::Unknown("ResourceNotFoundException".to_owned())),
        }
    }
}

async fn config(rig: &Rig, text: &str, store: &Arc<Store>) -> Config {
    let secrets = Secrets::from_store(Arc::clone(store) as Arc<dyn SecretStore>, []).await;
    Config::parse(text, &rig.folder.path().join("towpath.toml"), &secrets).unwrap()
}

async fn post(router: &Router, tenant: &str, signature: Option<&str>, body: &str) -> (StatusCode, String) {
    let request = Request::post(format!("/hooks/tenants/{tenant}/crm"));
    let request = signature.into_iter().fold(request, |request, text| request.header("x-hub-signature-256", text));
    let answer = router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = answer.status();
    (status, String::from_utf8(to_bytes(answer.into_body(), 4096).await.unwrap().to_vec()).unwrap())
}

fn github(key: &str, body: &str) -> String {
    let mac = towpath_verify::mac(Digest::Sha256, key.as_bytes(), &[body.as_bytes()]);
    format!("sha256={}", mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[tokio::test]
async fn each_tenant_proves_itself_with_its_own_secret() {
    let rig = Rig::new().await;
    let other = "another tenant's secret of enough length";
    let secrets = [("crm-acme".to_owned(), KEY.to_owned()), ("crm-umbrella".to_owned(), other.to_owned())];
    let text = tenants("http://127.0.0.1:9", "ingest");
    let config = Config::parse(&text, Path::new("towpath.toml"), &Secrets::of(secrets)).unwrap();
    let router = router(Arc::new(Ingest::new(config.routes, Arc::new(rig.events.clone()), 1024)), "/hooks");
    let body = "{\"k\":1}";
    assert_eq!(post(&router, "acme", Some(&github(KEY, body)), body).await.0, StatusCode::ACCEPTED);
    assert_eq!(post(&router, "umbrella", Some(&github(other, body)), body).await.0, StatusCode::ACCEPTED);
    let (status, known) = post(&router, "umbrella", Some(&github(KEY, body)), body).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{known}");
    // The answer does not tell which tenants there are.
    for tenant in ["nobody", "ACME", "acme%2F", "%00", "%FF"] {
        assert_eq!(post(&router, tenant, Some(&github(KEY, body)), body).await, (status, known.clone()), "{tenant}");
    }
    assert_eq!(post(&router, "acme", None, body).await, post(&router, "nobody", None, body).await);
    assert_eq!(rig.events.browse(None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_webhook_whose_secret_cannot_be_had_is_neither_stored_nor_refused() {
    let rig = Rig::new().await;
    let store = Arc::new(Store::default());
    let config = config(&rig, &tenants("http://127.0.0.1:9", "ingest"), &store).await;
    let ingest = Arc::new(Ingest::new(config.routes, Arc::new(rig.events.clone()), 1024));
    let router = router(Arc::clone(&ingest), "/hooks");
    let body = "{\"k\":1}";
    store.0.store(true, Ordering::SeqCst);
    let (status, text) = post(&router, "acme", Some(&github(KEY, body)), body).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
    assert!(!text.contains("AccessDenied"), "{text}");
    assert_eq!((ingest.accepted(), ingest.refused()), (0, 0));
    store.0.store(false, Ordering::SeqCst);
    assert_eq!(post(&router, "acme", Some(&github(KEY, body)), body).await.0, StatusCode::ACCEPTED);
    assert_eq!(post(&router, "nobody", Some(&github(KEY, body)), body).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_pipeline_waits_for_the_secret_of_a_tenant() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let store = Arc::new(Store::default());
    let text = tenants(&target.url, "ingest");
    let door = config(&rig, &text, &store).await;
    let router = router(Arc::new(Ingest::new(door.routes, Arc::new(rig.events.clone()), 1024)), "/hooks");
    let pipeline = rig.pipeline_of(config(&rig, &text, &store).await, Arc::new(rig.dead_letters.clone()), None);
    let body = "{\"k\":1}";
    assert_eq!(post(&router, "acme", Some(&github(KEY, body)), body).await.0, StatusCode::ACCEPTED);
    store.0.store(true, Ordering::SeqCst);
    let settled = rig.run(&pipeline).await;
    assert!(matches!(settled.as_slice(), [Settlement::Retry(_)]), "{settled:?}");
    assert_eq!((target.calls().len(), rig.letters().await.len()), (0, 0));
    store.0.store(false, Ordering::SeqCst);
    let second = "{\"k\":2}";
    assert_eq!(post(&router, "acme", Some(&github(KEY, second)), second).await.0, StatusCode::ACCEPTED);
    rig.run(&pipeline).await;
    assert_eq!((target.calls().len(), rig.letters().await.len()), (1, 0));
}

#[test]
fn a_name_that_two_tenants_could_share_is_a_mistake() {
    let problem = |secret: &str| {
        let text = tenants("http://127.0.0.1:9", "ingest").replace("\"crm-{path:tenant}\", at = \"ingest\"", secret);
        match Config::parse(&text, Path::new("towpath.toml"), &Secrets::placeholders()) {
            Err(ConfigError::Mistakes { mistakes, .. }) => mistakes[0].at.clone() + ": " + &mistakes[0].problem,
            Err(other) => panic!("{other}"),
            Ok(_) => String::new(),
        }
    };
    assert_eq!(problem("[\"new-{path:tenant}\", \"old-{path:tenant}\"]"), "");
    for (secret, says) in [
        ("\"{path:tenant}\"", "route[0].verify.secret: \"{path:tenant}\" has no text before the value"),
        ("\"a-{path:tenant}-b\"", "does not end in its only value"),
        (
            "[\"crm-{path:tenant}\", \"crm-old-{path:tenant}\"]",
            "route[0].verify.secret[1]: \"crm-old-\" and another prefix",
        ),
        ("[\"crm-{path:tenant}\", \"fixed\"]", "route[0].verify.secret[1]: \"fixed\" does not end"),
        ("\"crm-{secret}\"", "{secret} cannot be used here"),
        ("\"crm-{path:customer}\"", "route[0].verify: the route's path has no segment {customer}"),
        ("\"crm-{path:tenant}\", at = \"pipeline\"", "the secret of a tenant needs at = \"ingest\""),
    ] {
        assert!(problem(secret).contains(says), "{secret}: {}", problem(secret));
    }
}

#[test]
fn a_tenant_of_one_route_cannot_have_the_secret_of_another_ones() {
    let route = |path: &str, secret: &str| {
        format!(
            "[[route]]\npath = \"{path}/{{tenant}}\"\ngroup = \"{path}/{{path:tenant}}\"\nplugin = \"p\"\n\
             verify = {{ scheme = \"github\", secret = \"{secret}\" }}\n"
        )
    };
    let problems = |other: &str| {
        let text = format!("{}{}[plugin.p]\npath = \"p\"\n", route("a", "crm-{path:tenant}"), route("b", other));
        match Config::parse(&text, Path::new("towpath.toml"), &Secrets::placeholders()) {
            Err(ConfigError::Mistakes { mistakes, .. }) => {
                mistakes.into_iter().map(|own| own.at + ": " + &own.problem).collect()
            }
            Err(other) => panic!("{other}"),
            Ok(_) => Vec::new(),
        }
    };
    for overlapping in ["crm-eu-{path:tenant}", "cr{path:tenant}"] {
        let found = problems(overlapping);
        assert!(
            found.len() == 1 && found[0].starts_with("route[1].verify: secrets begin with"),
            "{overlapping}: {found:?}"
        );
    }
    // The same tenants, and others.
    for distinct in ["crm-{path:tenant}", "erp-{path:tenant}"] {
        assert_eq!(problems(distinct), Vec::<String>::new(), "{distinct}");
    }
}
