//! Secrets that are rotated while messages flow.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use towpath_config::{Config, NotFetched, SecretStore, Secrets};
use towpath_deliver::Deliverer;
use towpath_engine::pipeline::{Pipeline, Settlement};
use towpath_plugin::{Engine, Plugin, Plugins};
use towpath_runtime::lease::Lease;
use towpath_runtime::time::wall_clock;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route, received};
use towpath_tests::target::{Answer, Target};

/// A store with one value for every name, which counts how often it is asked.
#[derive(Default)]
struct Store {
    value: Mutex<String>,
    asked: AtomicU32,
}

#[async_trait]
impl SecretStore for Store {
    async fn fetch(&self, _: &str) -> Result<String, NotFetched> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.value.lock().unwrap().clone())
    }
}

impl Store {
    fn set(&self, value: &str) {
        value.clone_into(&mut self.value.lock().unwrap());
    }
}

async fn pipeline(rig: &Rig, store: &Arc<Store>, text: &str) -> Pipeline {
    rig.write("guest", Guest::forward());
    let secrets = Secrets::from_store(Arc::clone(store) as Arc<dyn SecretStore>, ["key".to_owned()]).await;
    let config = Config::parse(text, &rig.path().join("towpath.toml"), &secrets).unwrap();
    let engine = Engine::new().unwrap();
    let plugins = config.plugins.values().map(|settings| Plugin::load(&engine, settings.clone()).unwrap());
    let plugins = Plugins::new(plugins);
    let deliverer = Deliverer::new(config.targets, None, wall_clock()).unwrap();
    let dead_letters = Arc::new(rig.dead_letters.clone());
    Pipeline::new(config.routes, plugins, deliverer, dead_letters, "q".to_owned(), wall_clock())
}

#[tokio::test]
async fn a_401_has_the_secret_asked_for_anew_and_the_request_made_once_more() {
    let target = Target::answering(|call| match call.header("authorization") {
        "Bearer planted-5ecret-new" => Answer::Status(200, String::new()),
        _ => Answer::Status(401, String::new()),
    })
    .await;
    let rig = Rig::new().await;
    let store = Arc::new(Store::default());
    store.set("planted-5ecret-old");
    let auth = "\nauth = { scheme = \"bearer\", secret = \"key\" }";
    let pipeline = pipeline(&rig, &store, &(one_route(&target.url) + auth)).await;
    store.set("planted-5ecret-new");
    rig.send("g/1", "1").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    let sent: Vec<String> = target.calls().iter().map(|call| call.header("authorization").to_owned()).collect();
    assert_eq!(sent, ["Bearer planted-5ecret-old", "Bearer planted-5ecret-new"]);
    assert!(rig.letters().await.is_empty());
    assert_eq!(store.asked.load(Ordering::SeqCst), 2, "at the start, and after the 401");
}

#[tokio::test]
async fn a_401_that_is_tried_again_has_the_secret_asked_for_at_each_try_but_not_all_the_time() {
    let target = Target::answering(|call| match call.header("authorization") {
        "Bearer planted-5ecret-new" => Answer::Status(200, String::new()),
        _ => Answer::Status(401, String::new()),
    })
    .await;
    let rig = Rig::new().await;
    let store = Arc::new(Store::default());
    store.set("planted-5ecret-old");
    let keys = "\nauth = { scheme = \"bearer\", secret = \"key\" }\nretry = { on = [\"default\", 401] }\nbreaker = { failures = 1 }";
    let pipeline = pipeline(&rig, &store, &(one_route(&target.url) + keys)).await;
    let message = received("g/1", "1");
    let tried = async || pipeline.group(Lease::of(Duration::from_secs(60))).next(&message).await;
    for _ in 0..3 {
        assert!(matches!(tried().await, Settlement::Retry(_)));
    }
    assert_eq!(target.calls().len(), 3, "a 401 is no failure of the breaker");
    assert_eq!(store.asked.load(Ordering::SeqCst), 2, "at the start, and after the first");
    store.set("planted-5ecret-new");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::time::resume();
    assert_eq!(tried().await, Settlement::Ack);
    assert_eq!((target.calls().len(), rig.letters().await.len()), (5, 0));
}

#[tokio::test]
async fn a_401_to_a_secret_that_is_still_the_same_is_final_and_the_store_is_left_alone() {
    let target = Target::answering(|_| Answer::Status(401, String::new())).await;
    let rig = Rig::new().await;
    let store = Arc::new(Store::default());
    store.set("planted-5ecret-wrong");
    let auth = "\nauth = { scheme = \"bearer\", secret = \"key\" }";
    let pipeline = pipeline(&rig, &store, &(one_route(&target.url) + auth)).await;
    for n in 0..5 {
        rig.send(&format!("g/{n}"), "1").await;
    }
    rig.run(&pipeline).await;
    let letters = rig.letters().await;
    assert_eq!(letters.len(), 5);
    assert!(letters.iter().all(|letter| letter.reason == "refused" && letter.status == Some(401)));
    assert_eq!(target.calls().len(), 5, "no request is made twice with the same secret");
    assert_eq!(store.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_signing_secret_that_was_rotated_is_asked_for_before_a_message_counts_as_unverified() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    let store = Arc::new(Store::default());
    store.set("planted-5ecret-old");
    let verify =
        "plugin = \"guest\"\nverify = { scheme = \"hmac-sha256\", header = \"x-signature\", secret = \"key\" }";
    let text = one_route(&target.url).replace("plugin = \"guest\"", verify);
    let pipeline = pipeline(&rig, &store, &text).await;
    // RFC 4231, test case 2: the key is "Jefe".
    store.set("Jefe");
    let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    rig.send_webhook("g/1", &[("x-signature", signature)], b"what do ya want for nothing?").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    assert_eq!(target.calls().len(), 1);
    rig.send_webhook("g/2", &[("x-signature", &signature.replace('5', "6"))], b"what do ya want for nothing?").await;
    rig.run(&pipeline).await;
    assert_eq!(rig.letters().await[0].reason, "unverified");
}
