//! Signed pointers: who may say which release runs, and what an older word of theirs is worth.

use std::path::PathBuf;
use std::sync::Arc;

use towpath_config::registry::PublicKey;
use towpath_registry::{Chosen, Folder, Pointer, PublishError, Registry, Sequences, SigningKey};
use towpath_tests::guest::Guest;
use towpath_tests::registry::{built, made, publish};
use towpath_tests::rig::Rig;
use towpath_types::clock::Timestamp;

use super::{Host, config, damage, file, folder, registry};

fn key() -> SigningKey {
    SigningKey::generate().unwrap().0
}

fn of_hosts(rig: &Rig, key: &PublicKey) -> Registry {
    Registry::new(Arc::new(Folder::new(folder(rig))), Some(key.clone()))
}

fn pointer_file(rig: &Rig, name: &str, channel: &str) -> PathBuf {
    folder(rig).join(name).join("pointers").join(channel).with_added_extension("json")
}

/// What the pointer is that a host reads, changed as wanted and not signed again.
fn alter(rig: &Rig, change: impl FnOnce(&mut Pointer)) {
    let file = pointer_file(rig, "crm", "current");
    let mut pointer = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut pointer);
    std::fs::write(file, serde_json::to_vec(&pointer).unwrap()).unwrap();
}

async fn resolved(registry: &Registry, min_sequence: u64) -> Result<Chosen, String> {
    let found = registry.resolve(&"crm".parse().unwrap(), min_sequence).await;
    found.map(|all| all[0].clone()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_older_signed_pointer_that_is_put_back_is_not_followed() {
    let rig = Rig::new().await;
    let key = key();
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::reject("one"), Some(&key)).await.unwrap();
    let older = std::fs::read(pointer_file(&rig, "crm", "current")).unwrap();
    publish(&registry, "crm", "current", Guest::reject("two"), Some(&key)).await.unwrap();
    let remembered = rig.path().join("pointers.json");
    let hosts = || of_hosts(&rig, &key.public()).remembering(Sequences::kept_in(&remembered).unwrap());
    let first = hosts();
    let again = hosts();
    let cold = of_hosts(&rig, &key.public());
    let host = Host::try_start_with(rig, &config(""), first).await.unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(host.reason().await, "two");
    std::fs::write(pointer_file(&host.rig, "crm", "current"), &older).unwrap();
    host.look().await;
    assert_eq!(host.reason().await, "two", "the newer one stays");
    // Neither a restart nor another host of this machine takes it.
    let remembering = again.remembering(Sequences::kept_in(&remembered).unwrap());
    let problem = resolved(&remembering, 0).await.unwrap_err();
    assert!(
        problem.contains("is an older pointer") && problem.contains("look at `towpath plugin versions`"),
        "{problem}"
    );
    // Who remembers nothing takes it, unless the config has a floor: a function that starts.
    assert!(resolved(&cold, 0).await.is_ok());
    assert!(resolved(&of_hosts(&host.rig, &key.public()), 2).await.unwrap_err().contains("2 was seen before or is"));
    // Whoever has the key and saw nothing newer moves it on from there.
    let signing = of_hosts(&host.rig, &key.public()).signing(key.clone()).unwrap();
    let now = |version: &str| towpath_registry::Move { at: Timestamp(1_000), ..made(version) };
    signing.pin("crm", "current", None, true, now).await.unwrap();
    host.look().await;
    assert_eq!(host.reason().await, "one", "a rollback by who may is followed");
    std::fs::write(pointer_file(&host.rig, "crm", "current"), &older).unwrap();
    let text = config("").replace("[plugin.crm]", "[plugin.crm]\nmin_sequence = 2");
    let text = text.replace("[registry]", &format!("[registry]\npublic_key = \"{}\"", key.public()));
    let floored = Host::try_start(host.rig, &text, Some(key.public())).await.err().unwrap();
    assert!(floored.contains("is an older pointer"), "{floored}");
}

#[tokio::test]
async fn a_pointer_that_the_key_did_not_sign_for_this_place_is_not_followed() {
    type Attack = fn(&Rig, &SigningKey);
    let to = |rig: &Rig| pointer_file(rig, "crm", "current");
    let attacks: [(&str, Attack); 6] = [
        ("unsigned", |rig, _| alter(rig, |pointer| pointer.signature = None)),
        ("altered version", |rig, _| alter(rig, |pointer| pointer.current = pointer.previous[0].clone())),
        ("altered history", |rig, _| alter(rig, |pointer| pointer.pinned = true)),
        ("altered sequence", |rig, _| alter(rig, |pointer| pointer.sequence = u64::MAX)),
        ("of another plugin", |rig, _| {
            std::fs::copy(pointer_file(rig, "erp", "current"), pointer_file(rig, "crm", "current")).unwrap();
        }),
        ("of another channel", |rig, _| {
            std::fs::copy(pointer_file(rig, "crm", "candidate"), pointer_file(rig, "crm", "current")).unwrap();
        }),
    ];
    for (name, attack) in attacks {
        let rig = Rig::new().await;
        let key = key();
        let registry = registry(&rig);
        publish(&registry, "crm", "current", Guest::reject("one"), Some(&key)).await.unwrap();
        publish(&registry, "crm", "candidate", Guest::reject("candidate"), Some(&key)).await.unwrap();
        publish(&registry, "erp", "current", Guest::reject("one"), Some(&key)).await.unwrap();
        publish(&registry, "crm", "current", Guest::reject("two"), Some(&key)).await.unwrap();
        let public = key.public();
        let host = Host::try_start(rig, &config(""), Some(public.clone())).await.unwrap_or_else(|e| panic!("{e}"));
        attack(&host.rig, &key);
        host.look().await;
        assert_eq!(host.reason().await, "two", "{name}");
        let problem = resolved(&of_hosts(&host.rig, &public), 0).await.unwrap_err();
        assert!(problem.contains("plugin sign-pointer crm --channel current --key FILE"), "{name}: {problem}");
        // Nobody carries what it says on into a pointer that is signed.
        let signing = registry.clone().signing(key.clone()).unwrap();
        assert!(signing.look("crm", "current").await.is_err(), "{name}");
        assert!(signing.roll_back("crm", "current", None, made).await.is_err(), "{name}");
        assert!(signing.pin("crm", "current", None, true, made).await.is_err(), "{name}");
        assert!(to(&host.rig).is_file());
        let problem = Host::try_start(host.rig, &config(""), Some(public)).await.err().unwrap();
        assert!(problem.contains("sign-pointer"), "{name}: {problem}");
    }
}

#[tokio::test]
async fn a_signed_pointer_is_moved_by_nobody_without_the_key() {
    let rig = Rig::new().await;
    let key = key();
    let registry = registry(&rig);
    let one = publish(&registry, "crm", "current", Guest::reject("one"), Some(&key)).await.unwrap();
    publish(&registry, "crm", "current", Guest::reject("two"), Some(&key)).await.unwrap();
    let before = std::fs::read(pointer_file(&rig, "crm", "current")).unwrap();
    let no_key =
        |moved: Result<(), PublishError>| assert!(matches!(moved, Err(PublishError::NoKey { .. })), "{moved:?}");
    // Also where no config says that there is a key.
    for registry in [registry.clone(), of_hosts(&rig, &key.public())] {
        no_key(registry.look("crm", "current").await.map(drop));
        no_key(registry.roll_back("crm", "current", None, made).await.map(drop));
        no_key(registry.pin("crm", "current", Some(one.clone()), true, made).await.map(drop));
        no_key(registry.sign_pointer("crm", "current", made).await.map(drop));
    }
    no_key(of_hosts(&rig, &key.public()).look("crm", "new").await.map(drop));
    assert_eq!(std::fs::read(pointer_file(&rig, "crm", "current")).unwrap(), before);
    let other = of_hosts(&rig, &key.public()).signing(SigningKey::generate().unwrap().0).err().unwrap();
    assert!(other.to_string().contains("hosts would reject them"), "{other}");
    let signing = registry.clone().signing(key.clone()).unwrap();
    assert_eq!(signing.roll_back("crm", "current", None, made).await.unwrap().current, one);
    assert_eq!(resolved(&of_hosts(&rig, &key.public()), 0).await.unwrap(), one);
}

#[tokio::test]
async fn a_pointer_from_before_there_were_signatures_is_signed_once() {
    let rig = Rig::new().await;
    let key = key();
    let registry = registry(&rig);
    // As the version before this one left it: signed releases, and one that never was.
    let (_, unsigned) = registry.store(built("crm", Guest::reject("unsigned")), "test", Timestamp(1)).await.unwrap();
    let one = publish(&registry, "crm", "current", Guest::reject("one"), Some(&key)).await.unwrap();
    let two = publish(&registry, "crm", "current", Guest::reject("two"), Some(&key)).await.unwrap();
    alter(&rig, |pointer| {
        pointer.previous.push(unsigned.clone());
        pointer.signature = None;
        pointer.sequence = u64::MAX;
    });
    let hosts = of_hosts(&rig, &key.public());
    assert!(resolved(&hosts, 0).await.is_err());
    let signing = registry.clone().signing(key.clone()).unwrap();
    let shown = signing.channels("crm").await.unwrap().remove(0);
    assert!(shown.problem.is_some(), "it is shown, and that it is not signed");
    let signed = signing.sign_pointer("crm", "current", made).await.unwrap();
    assert_eq!((&signed.current, &signed.previous), (&two, &vec![one]), "what is not signed is forgotten");
    assert!(signed.sequence < 10, "nor does anybody else choose its sequence");
    assert_eq!(resolved(&hosts, 0).await.unwrap(), two);
    // What it points to must be signed.
    alter(&rig, |pointer| pointer.current = unsigned);
    assert!(signing.sign_pointer("crm", "current", made).await.is_err());
}

#[tokio::test]
async fn who_damages_a_signed_release_does_not_bring_back_the_one_before_it() {
    for damaged in ["plugin.wasm", "manifest.json", "manifest.sig", "gone", "too large"] {
        let rig = Rig::new().await;
        let key = key();
        let registry = registry(&rig);
        publish(&registry, "crm", "current", Guest::reject("one"), Some(&key)).await.unwrap();
        let two = publish(&registry, "crm", "current", Guest::reject("two"), Some(&key)).await.unwrap();
        match damaged {
            "gone" => std::fs::remove_dir_all(folder(&rig).join("crm/versions").join(&two.version)).unwrap(),
            "too large" => {
                let component = std::fs::File::create(file(&rig, &two.version, "plugin.wasm")).unwrap();
                component.set_len(3 << 30).unwrap();
            }
            name => damage(&file(&rig, &two.version, name)),
        }
        let started = Host::try_start(rig, &config(""), Some(key.public())).await;
        assert!(started.is_err(), "{damaged}");
    }
    // One that was vouched for, and is no good, is another matter.
    let rig = Rig::new().await;
    let key = key();
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::reject("one"), Some(&key)).await.unwrap();
    let broken = Guest::reject("two").with_targets(&["nowhere"]);
    publish(&registry, "crm", "current", broken, Some(&key)).await.unwrap();
    let host =
        Host::try_start(rig, &config(""), Some(key.public())).await.unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(host.reason().await, "one");
}

#[tokio::test]
async fn who_saw_a_newer_pointer_carries_no_older_one_on() {
    let rig = Rig::new().await;
    let key = key();
    let registry = of_hosts(&rig, &key.public()).signing(key.clone()).unwrap();
    let one = publish(&registry, "crm", "current", Guest::reject("one"), Some(&key)).await.unwrap();
    let older = std::fs::read(pointer_file(&rig, "crm", "current")).unwrap();
    let two = publish(&registry, "crm", "current", Guest::reject("two"), Some(&key)).await.unwrap();
    let newest = registry.pointer("crm", "current").await.unwrap().unwrap().0.sequence;
    let put_back = || std::fs::write(pointer_file(&rig, "crm", "current"), &older).unwrap();
    put_back();
    // One who remembers, and one whose config says what hosts take.
    let floors = [("crm".to_owned(), newest)].into();
    let floored = of_hosts(&rig, &key.public()).signing(key.clone()).unwrap().with_floors(floors);
    for registry in [&registry, &floored] {
        let refused = |problem: Result<(), PublishError>| {
            assert!(problem.unwrap_err().to_string().contains("is an older pointer"))
        };
        refused(registry.look("crm", "current").await.map(drop));
        refused(registry.pin("crm", "current", None, true, made).await.map(drop));
        refused(registry.roll_back("crm", "current", None, made).await.map(drop));
        refused(registry.sign_pointer("crm", "current", made).await.map(drop));
        let shown = registry.channels("crm").await.unwrap().remove(0);
        assert!(shown.problem.unwrap().to_string().contains("is an older pointer"));
    }
    // Whoever names the release goes on, above all that hosts saw, and without what the older one remembers.
    let pinned = registry.pin("crm", "current", Some(two.clone()), true, made).await.unwrap();
    assert_eq!((&pinned.current, pinned.previous.len(), pinned.pinned), (&two, 0, true));
    assert!(pinned.sequence > newest);
    put_back();
    let seen = floored.look_to_replace("crm", "current").await.unwrap();
    assert!(seen.replaces.is_some());
    let moved = floored.advance("crm", "current", seen, one, made("one")).await.unwrap();
    assert!(moved.sequence > newest && moved.previous.is_empty());
}

#[tokio::test]
async fn whoever_publishes_with_the_key_of_the_config_replaces_what_it_did_not_sign() {
    let old = key();
    for before in ["unsigned", "another key", "garbage"] {
        let rig = Rig::new().await;
        let key = key();
        let signer = if before == "another key" { Some(&old) } else { None };
        let first = publish(&registry(&rig), "crm", "current", Guest::reject("one"), signer).await.unwrap();
        if before == "garbage" {
            std::fs::write(pointer_file(&rig, "crm", "current"), "{").unwrap();
        }
        let signing = of_hosts(&rig, &key.public()).signing(key.clone()).unwrap();
        let seen = signing.look_to_replace("crm", "current").await.unwrap();
        // The same component: what it says is as before, and it is signed now.
        let (_, again) = signing.store(built("crm", Guest::reject("one")), "test", Timestamp(2)).await.unwrap();
        assert_eq!(again, first, "{before}");
        let moved = signing.advance("crm", "current", seen, again, made("one")).await.unwrap();
        assert!(moved.previous.is_empty(), "{before}");
        let hosts = of_hosts(&rig, &key.public());
        let chosen = resolved(&hosts, 0).await.unwrap();
        assert!(hosts.release("crm", &chosen).await.is_ok(), "{before}");
    }
    // Not with a key that no config names: hosts would refuse what they follow now.
    let rig = Rig::new().await;
    publish(&registry(&rig), "crm", "current", Guest::reject("one"), Some(&old)).await.unwrap();
    let stray = registry(&rig).signing(key()).unwrap();
    assert!(stray.look_to_replace("crm", "current").await.is_err());
}
