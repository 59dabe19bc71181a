//! The registry: what is published, picked up, refused, rolled back, shadowed and canaried.

mod bounds;
mod pointers;
mod rollout;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use towpath_config::registry::PublicKey;
use towpath_deliver::Deliverer;
use towpath_engine::pipeline::{Pipeline, Settlement};
use towpath_plugin::Engine;
use towpath_registry::{Chosen, Failures, Folder, Registry, SigningKey, Watch, open};
use towpath_runtime::time::wall_clock;
use towpath_tests::guest::Guest;
use towpath_tests::registry::{built, publish};
use towpath_tests::rig::Rig;
use towpath_tests::target::Target;
use towpath_types::clock::Timestamp;

/// How far ahead the clocks of these hosts are, in milliseconds. It only grows, so tests do not disturb each other.
static AHEAD: AtomicU64 = AtomicU64::new(0);

/// A pipeline whose plugins come from the registry in the rig's folder, and what watches for new ones.
struct Host {
    rig: Rig,
    pipeline: Arc<Pipeline>,
    watch: Watch,
}

fn folder(rig: &Rig) -> PathBuf {
    rig.path().join("registry")
}

fn registry(rig: &Rig) -> Registry {
    Registry::new(Arc::new(Folder::new(folder(rig))), None)
}

/// A route `crm` to the plugin `crm` of the registry, with this besides, and a target that nobody answers at.
fn config(route: &str) -> String {
    format!(
        "[registry]\nurl = \"registry\"\n[[route]]\npath = \"crm\"\ngroup = \"crm/{{json:/k}}\"\nplugin = \"crm\"\n{route}\n\
        [plugin.crm]\n[target.sss]\nurl = \"http://127.0.0.1:9\"\nallow_private = true\n"
    )
}

impl Host {
    async fn start(rig: Rig, route: &str) -> Host {
        Host::try_start(rig, &config(route), None).await.unwrap_or_else(|problem| panic!("{problem}"))
    }

    async fn try_start(rig: Rig, config: &str, key: Option<PublicKey>) -> Result<Host, String> {
        let registry = Registry::new(Arc::new(Folder::new(folder(&rig))), key);
        Host::try_start_with(rig, config, registry).await
    }

    async fn try_start_with(rig: Rig, config: &str, registry: Registry) -> Result<Host, String> {
        let (host, failures) = Host::start_with(rig, config, registry).await;
        if failures.0.is_empty() { Ok(host) } else { Err(failures.to_string()) }
    }

    /// A host with the plugins that can be loaded, and what is wrong with the others.
    async fn start_with(rig: Rig, config: &str, registry: Registry) -> (Host, Failures) {
        let config = rig.config(config);
        let clock = wall_clock().shifted(&AHEAD);
        let engine = Engine::new().unwrap();
        let targets = config.targets.keys().cloned().collect();
        let opened = open(&engine, &config.plugins, targets, Some(registry), clock).await;
        let watch = opened.watch.unwrap();
        let deliverer = Deliverer::new(config.targets, None, clock).unwrap();
        let dead_letters = Arc::new(rig.dead_letters.clone());
        let pipeline = Pipeline::new(config.routes, opened.plugins, deliverer, dead_letters, "q".to_owned(), clock);
        (Host { rig, pipeline: Arc::new(pipeline), watch }, opened.failures)
    }

    /// Lets 15 seconds pass on the host's clock, and looks as a driver does before a batch.
    async fn look(&self) {
        AHEAD.fetch_add(15_000, Ordering::SeqCst);
        self.watch.look_if_due().await;
    }

    /// What becomes of a message now: the reason that its plugin rejects it with.
    async fn reason(&self) -> String {
        self.rig.send("crm/1", "{\"k\":1}").await;
        self.rig.run(&self.pipeline).await;
        let letters = self.rig.letters().await;
        let last = letters.last().unwrap();
        let loaded = self.pipeline.plugins.get("crm").unwrap();
        assert_eq!(last.digest.as_deref(), Some(loaded.digest()), "the dead letter names the digest");
        last.detail.split(':').next().unwrap().to_owned()
    }
}

/// A file of a version in the rig's registry.
fn file(rig: &Rig, version: &str, name: &str) -> PathBuf {
    folder(rig).join("crm/versions").join(version).join(name)
}

fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_new_version_is_picked_up_between_messages_and_a_rollback_too() {
    let rig = Rig::new().await;
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::reject("one"), None).await.unwrap();
    let host = Host::start(rig, "").await;
    assert_eq!(host.reason().await, "one");
    publish(&registry, "crm", "current", Guest::reject("two"), None).await.unwrap();
    host.watch.look_if_due().await;
    assert_eq!(host.reason().await, "one", "it was looked at a moment ago");
    host.look().await;
    assert_eq!(host.reason().await, "two");
    registry.roll_back("crm", "current", None, towpath_tests::registry::made).await.unwrap();
    host.look().await;
    assert_eq!(host.reason().await, "one");
}

#[tokio::test]
async fn messages_of_a_plugin_that_is_not_published_yet_wait_in_order_and_others_flow() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    let registry = registry(&rig);
    publish(&registry, "erp", "current", Guest::forward(), None).await.unwrap();
    let text = config("").replace("http://127.0.0.1:9", &target.url)
        + "[[route]]\npath = \"erp\"\ngroup = \"erp/{json:/k}\"\nplugin = \"erp\"\n[plugin.erp]\n";
    let (host, failures) = Host::start_with(rig, &text, registry.clone()).await;
    assert_eq!(failures.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["crm"]);
    for (group, body) in [("crm/1", "{\"n\":1}"), ("crm/1", "{\"n\":2}"), ("erp/1", "{\"n\":3}")] {
        host.rig.send(group, body).await;
    }
    let settled = host.rig.run_and_release(&host.pipeline).await;
    assert_eq!(settled.iter().filter(|settled| **settled == Settlement::Ack).count(), 1, "{settled:?}");
    assert_eq!(target.bodies(), ["{\"n\":3}"], "the other route delivers");
    publish(&registry, "crm", "current", Guest::forward(), None).await.unwrap();
    host.look().await;
    assert_eq!(host.rig.run(&host.pipeline).await, [Settlement::Ack, Settlement::Ack]);
    assert_eq!(target.bodies(), ["{\"n\":3}", "{\"n\":1}", "{\"n\":2}"]);
    assert!(host.rig.letters().await.is_empty());
}

#[tokio::test]
async fn a_release_that_cannot_be_loaded_stops_only_its_own_routes_until_a_sound_one_is_published() {
    let rig = Rig::new().await;
    let registry = registry(&rig);
    let broken = publish(&registry, "crm", "current", Guest::reject("broken"), None).await.unwrap();
    damage(&file(&rig, &broken.version, "plugin.wasm"));
    let (host, failures) = Host::start_with(rig, &config(""), registry.clone()).await;
    assert_eq!(failures.0.len(), 1);
    host.rig.send("crm/1", "{}").await;
    assert!(matches!(host.rig.run_and_release(&host.pipeline).await[..], [Settlement::Retry(_)]));
    publish(&registry, "crm", "current", Guest::reject("sound"), None).await.unwrap();
    host.look().await;
    host.rig.run(&host.pipeline).await;
    let details: Vec<String> = host.rig.letters().await.into_iter().map(|letter| letter.detail).collect();
    assert!(matches!(&details[..], [detail] if detail.starts_with("sound")), "{details:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_running_host_looks_by_itself_within_30_seconds() {
    let rig = Rig::new().await;
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::reject("one"), None).await.unwrap();
    let host = Host::start(rig, "").await;
    let two = publish(&registry, "crm", "current", Guest::reject("two"), None).await.unwrap();
    let (_, release) = registry.versions("crm").await.unwrap().into_iter().find(|(v, _)| *v == two.version).unwrap();
    let wanted = release.unwrap().wasm_sha256;
    let swapped = async {
        while host.pipeline.plugins.get("crm").unwrap().digest() != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        never = host.watch.run() => match never {},
        done = tokio::time::timeout(std::time::Duration::from_secs(30), swapped) => done.expect("within 30 s"),
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_new_version_the_last_good_one_keeps_running() {
    for damaged in ["plugin.wasm", "manifest.json", "another manifest", "gone", "pointer", "wrong targets"] {
        let rig = Rig::new().await;
        let registry = registry(&rig);
        publish(&registry, "crm", "current", Guest::reject("one"), None).await.unwrap();
        let host = Host::start(rig, "").await;
        let guest = Guest::reject("two");
        let guest = if damaged == "wrong targets" { guest.with_targets(&["nowhere"]) } else { guest };
        let two = publish(&registry, "crm", "current", guest, None).await.unwrap();
        match damaged {
            "gone" => std::fs::remove_dir_all(folder(&host.rig).join("crm/versions").join(&two.version)).unwrap(),
            "pointer" => std::fs::write(folder(&host.rig).join("crm/pointers/current.json"), "{").unwrap(),
            // Readable, and not what was published.
            "another manifest" => {
                let manifest = file(&host.rig, &two.version, "manifest.json");
                let text = std::fs::read_to_string(&manifest).unwrap();
                std::fs::write(&manifest, text.replace("\"cases\": 1", "\"cases\": 9")).unwrap();
            }
            "wrong targets" => {}
            file_name => damage(&file(&host.rig, &two.version, file_name)),
        }
        host.look().await;
        assert_eq!(host.reason().await, "one", "{damaged}");
        publish(&registry, "crm", "mended", Guest::reject("three"), None).await.unwrap();
        let mended = folder(&host.rig).join("crm/pointers");
        std::fs::copy(mended.join("mended.json"), mended.join("current.json")).unwrap();
        host.look().await;
        assert_eq!(host.reason().await, "three", "{damaged}: it goes on when it is mended");
    }
}

#[tokio::test]
async fn a_host_that_starts_on_a_broken_version_runs_the_one_before_it() {
    let rig = Rig::new().await;
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::reject("one"), None).await.unwrap();
    let two = publish(&registry, "crm", "current", Guest::reject("two"), None).await.unwrap();
    damage(&file(&rig, &two.version, "plugin.wasm"));
    let host = Host::start(rig, "").await;
    assert_eq!(host.reason().await, "one");
    // Publishing it again stores what was damaged anew.
    publish(&registry, "crm", "current", Guest::reject("two"), None).await.unwrap();
    host.look().await;
    assert_eq!(host.reason().await, "two");
}

#[tokio::test]
async fn a_version_that_was_rolled_back_is_not_what_a_start_falls_back_to() {
    let rig = Rig::new().await;
    let registry = registry(&rig);
    let one = publish(&registry, "crm", "current", Guest::reject("one"), None).await.unwrap();
    publish(&registry, "crm", "current", Guest::reject("two"), None).await.unwrap();
    registry.roll_back("crm", "current", None, towpath_tests::registry::made).await.unwrap();
    damage(&file(&rig, &one.version, "plugin.wasm"));
    let problem = Host::try_start(rig, &config(""), None).await.err().unwrap();
    assert!(problem.contains("is not what was published"), "{problem}");
}

#[tokio::test]
async fn with_a_public_key_only_what_it_signed_is_loaded() {
    let (key, _) = SigningKey::generate().unwrap();
    let (other, _) = SigningKey::generate().unwrap();
    let rig = Rig::new().await;
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::reject("one"), Some(&key)).await.unwrap();
    let host =
        Host::try_start(rig, &config(""), Some(key.public())).await.unwrap_or_else(|problem| panic!("{problem}"));
    let signing = registry.clone().signing(key.clone()).unwrap();
    // Who has the key points there by mistake.
    let point_to = async |chosen: Chosen| {
        let seen = signing.look("crm", "current").await.unwrap();
        let made = towpath_tests::registry::made(&chosen.version);
        signing.advance("crm", "current", seen, chosen, made).await.unwrap();
        host.look().await;
    };
    for (guest, signed_by) in [("unsigned", None), ("foreign", Some(other))] {
        let storing = match signed_by {
            Some(key) => registry.clone().signing(key).unwrap(),
            None => registry.clone(),
        };
        let (_, chosen) = storing.store(built("crm", Guest::reject(guest)), "test", Timestamp(1)).await.unwrap();
        point_to(chosen).await;
        assert_eq!(host.reason().await, "one", "{guest}");
    }
    // A signed release of another plugin, under this one's name.
    let erp = publish(&registry, "erp", "current", Guest::reject("erp"), Some(&key)).await.unwrap();
    let versions = |name: &str| folder(&host.rig).join(name).join("versions").join(&erp.version);
    std::fs::create_dir_all(versions("crm")).unwrap();
    for entry in std::fs::read_dir(versions("erp")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, versions("crm").join(path.file_name().unwrap())).unwrap();
    }
    point_to(erp.clone()).await;
    assert_eq!(host.reason().await, "one");
    publish(&registry, "crm", "current", Guest::reject("signed"), Some(&key)).await.unwrap();
    host.look().await;
    assert_eq!(host.reason().await, "signed");
}

#[tokio::test]
async fn a_plugin_that_was_never_published_is_named_with_the_command_that_shows_why() {
    let rig = Rig::new().await;
    let problem = Host::try_start(rig, &config(""), None).await.err().unwrap();
    assert!(problem.contains("has no crm@current"), "{problem}");
}
