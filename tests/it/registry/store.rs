//! What both places of a registry promise, and what publishing rests on.

use std::sync::Arc;

use tempfile::TempDir;
use towpath_aws::S3Artifacts;
use towpath_config::S3Url;
use towpath_plugin::Manifest;
use towpath_registry::{Folder, PublishError, Registry, RegistryError, Release, SigningKey};
use towpath_tests::guest::Guest;
use towpath_tests::registry::{built, made, publish};
use towpath_tests::s3::S3Server;
use towpath_types::artifacts::{Artifacts, ArtifactsError, Bound, Tag};
use towpath_types::clock::Timestamp;

/// The same for a folder and for a bucket.
async fn keeps_the_contract(artifacts: Arc<dyn Artifacts>) {
    let key = "crm/pointers/current.json";
    assert!(artifacts.get(key, Bound::POINTER).await.unwrap().is_none());
    assert!(artifacts.list("crm/versions").await.unwrap().is_empty());
    assert!(artifacts.list("").await.unwrap().is_empty());
    assert!(artifacts.put(key, b"1".to_vec(), None, Bound::POINTER).await.unwrap());
    assert!(artifacts.list("").await.unwrap().contains(&"crm".to_owned()), "what is directly in the registry");
    assert!(!artifacts.put(key, b"2".to_vec(), None, Bound::POINTER).await.unwrap(), "it is there already");
    let (bytes, tag) = artifacts.get(key, Bound::POINTER).await.unwrap().unwrap();
    assert_eq!(bytes, b"1");
    assert!(artifacts.put(key, b"2".to_vec(), Some(&tag), Bound::POINTER).await.unwrap());
    assert!(!artifacts.put(key, b"3".to_vec(), Some(&tag), Bound::POINTER).await.unwrap(), "somebody else replaced it");
    assert_eq!(artifacts.get(key, Bound::POINTER).await.unwrap().unwrap().0, b"2");
    let other = "crm/versions/1/plugin.wasm";
    assert!(!artifacts.put(other, b"x".to_vec(), Some(&tag), Bound::POINTER).await.unwrap(), "it is not there");
    assert!(artifacts.put(other, b"x".to_vec(), None, Bound::POINTER).await.unwrap());
    assert!(artifacts.put("crm/versions/2/plugin.wasm", b"y".to_vec(), None, Bound::POINTER).await.unwrap());
    assert_eq!(artifacts.list("crm/versions").await.unwrap(), ["1", "2"]);
    assert_eq!(artifacts.list("crm/pointers").await.unwrap(), ["current.json"]);
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let folder = TempDir::new().unwrap();
    keeps_the_contract(Arc::new(Folder::new(folder.path()))).await;
}

/// A registry is shared: one who may write to it plants links where another one writes.
#[tokio::test]
async fn a_folder_is_written_to_through_no_planted_link() {
    for (name, stops) in [(".lock", true), ("crm/pointers/current.json.new", false)] {
        let folder = TempDir::new().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "untouched").unwrap();
        std::fs::create_dir_all(folder.path().join("crm/pointers")).unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join(name)).unwrap();
        let put =
            Folder::new(folder.path()).put("crm/pointers/current.json", b"x".to_vec(), None, Bound::POINTER).await;
        match put {
            Err(error) => assert!(stops && error.to_string().contains(".lock is a symbolic link"), "{name}: {error}"),
            Ok(done) => assert!(done && !stops, "{name}"),
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched", "{name}");
    }
}

#[tokio::test]
async fn a_bucket_keeps_the_contract() {
    let server = S3Server::start().await;
    let url = S3Url { bucket: "bucket".to_owned(), key: "plugins".to_owned() };
    keeps_the_contract(Arc::new(S3Artifacts::new(server.client(), url))).await;
}

fn registry(folder: &TempDir) -> Registry {
    Registry::new(Arc::new(Folder::new(folder.path())), None)
}

#[tokio::test]
async fn of_two_publishers_one_gets_a_conflict_and_its_version_does_not_run() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder);
    for first in [true, false] {
        let (one, two) =
            (registry.look("crm", "current").await.unwrap(), registry.look("crm", "current").await.unwrap());
        let code = |n: u32| Guest::reject(&format!("{first}-{n}"));
        let (_, a) = registry.store(built("crm", code(1)), "a", Timestamp(1)).await.unwrap();
        let (_, b) = registry.store(built("crm", code(2)), "b", Timestamp(1)).await.unwrap();
        registry.advance("crm", "current", one, a.clone(), made(&a.version)).await.unwrap();
        let refused = registry.advance("crm", "current", two, b.clone(), made(&b.version)).await;
        assert!(matches!(refused, Err(PublishError::Conflict { .. })), "{refused:?}");
        assert_eq!(registry.pointer("crm", "current").await.unwrap().unwrap().0.current, a);
    }
}

#[tokio::test]
async fn a_pinned_channel_stays_until_it_is_let_go() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder);
    let one = publish(&registry, "crm", "current", Guest::reject("one"), None).await.unwrap();
    let two = publish(&registry, "crm", "current", Guest::reject("two"), None).await.unwrap();
    let pinned = registry.pin("crm", "current", Some(one.clone()), true, made).await.unwrap();
    assert_eq!((pinned.current, pinned.pinned), (one.clone(), true));
    let refused = publish(&registry, "crm", "current", Guest::reject("three"), None).await;
    assert!(matches!(refused, Err(PublishError::Pinned { .. })), "{refused:?}");
    assert_eq!(registry.versions("crm").await.unwrap().len(), 3, "it is stored all the same");
    registry.pin("crm", "current", None, false, made).await.unwrap();
    publish(&registry, "crm", "current", Guest::reject("two"), None).await.unwrap();
    assert_eq!(registry.pointer("crm", "current").await.unwrap().unwrap().0.current, two);
}

#[tokio::test]
async fn the_same_component_is_the_same_version_and_nothing_of_it_is_stored_twice() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder);
    let (first, one) = registry.store(built("crm", Guest::reject("one")), "a", Timestamp(1)).await.unwrap();
    let (again, two) = registry.store(built("crm", Guest::reject("one")), "b", Timestamp(2)).await.unwrap();
    assert_eq!((first, one), (again, two));
}

#[tokio::test]
async fn a_rollback_to_where_a_channel_never_was_is_refused() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder);
    publish(&registry, "crm", "current", Guest::reject("one"), None).await.unwrap();
    let nothing = registry.roll_back("crm", "current", None, made).await;
    assert!(matches!(nothing, Err(PublishError::NothingBefore { .. })), "{nothing:?}");
    let unknown = registry.roll_back("crm", "current", Some("9.9.9"), made).await;
    assert!(matches!(unknown, Err(PublishError::Registry(RegistryError::Missing { .. }))), "{unknown:?}");
    let (_, other) = registry.store(built("crm", Guest::reject("two")), "a", Timestamp(1)).await.unwrap();
    let never = registry.roll_back("crm", "current", Some(&other.version), made).await;
    assert!(matches!(never, Err(PublishError::NotBefore { .. })), "{never:?}");
}

/// Who may write to the registry knows the version that is going to be published, and writes its manifest first.
#[tokio::test]
async fn no_manifest_that_somebody_else_wrote_is_signed() {
    type Attack = fn(&mut Release);
    let attacks: [(&str, Attack); 6] = [
        ("native code", |release| {
            let target = release.builds[0].target.clone();
            release.builds[0] = Manifest::seal(&Guest::reject("one").build(), b"theirs", &target);
        }),
        ("compiler", |release| release.builds[0].wasmtime.push('1')),
        ("target", |release| release.builds.swap(0, 1)),
        ("component", |release| release.wasm_sha256 = "0".repeat(64)),
        ("description", |release| release.description.version.push('1')),
        ("name", |release| release.name.push('1')),
    ];
    let (key, _) = SigningKey::generate().unwrap();
    for (what, attack) in attacks {
        let folder = TempDir::new().unwrap();
        let signing = registry(&folder).signing(key.clone()).unwrap();
        let (ours, _) = registry(&folder).store(built("crm", Guest::reject("one")), "a", Timestamp(1)).await.unwrap();
        let file = folder.path().join("crm/versions").join(&ours.version).join("manifest.json");
        let mut planted = ours.clone();
        attack(&mut planted);
        let planted = serde_json::to_vec(&planted).unwrap();
        std::fs::write(&file, &planted).unwrap();
        // Without a key nobody can tell whose it is.
        let refused = registry(&folder).store(built("crm", Guest::reject("one")), "b", Timestamp(2)).await;
        let refused = refused.expect_err(what).to_string();
        assert!(refused.contains("a manifest that differs") && refused.contains("publish again"), "{what}: {refused}");
        assert_eq!(std::fs::read(&file).unwrap(), planted, "{what}");
        // With one, what it did not sign is replaced.
        let (stored, chosen) = signing.store(built("crm", Guest::reject("one")), "b", Timestamp(2)).await.expect(what);
        assert_eq!(stored, Release { published_by: "b".to_owned(), published_at: Timestamp(2), ..ours.clone() });
        assert_eq!(signing.release("crm", &chosen).await.expect(what), stored, "{what}");
        // Signed, and still another: that takes somebody who looks.
        std::fs::write(&file, &planted).unwrap();
        std::fs::write(file.with_file_name("manifest.sig"), key.sign(&planted)).unwrap();
        let refused = signing.store(built("crm", Guest::reject("one")), "b", Timestamp(2)).await;
        assert!(matches!(refused, Err(PublishError::Taken { .. })), "{what}: {refused:?}");
    }
}

/// Somebody who is always faster.
struct Raced(Folder);

#[async_trait::async_trait]
impl Artifacts for Raced {
    fn place(&self) -> String {
        self.0.place()
    }

    async fn get(&self, key: &str, bound: Bound) -> Result<Option<(Vec<u8>, Tag)>, ArtifactsError> {
        self.0.get(key, bound).await
    }

    async fn put(&self, key: &str, bytes: Vec<u8>, tag: Option<&Tag>, bound: Bound) -> Result<bool, ArtifactsError> {
        if tag.is_none() {
            self.0.put(key, b"theirs".to_vec(), None, bound).await?;
        }
        Ok(tag.is_none() && self.0.put(key, bytes, tag, bound).await?)
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, ArtifactsError> {
        self.0.list(folder).await
    }
}

#[tokio::test]
async fn what_somebody_else_stores_meanwhile_is_not_taken_for_ours() {
    let folder = TempDir::new().unwrap();
    let registry = Registry::new(Arc::new(Raced(Folder::new(folder.path()))), None);
    let refused = registry.store(built("crm", Guest::reject("one")), "a", Timestamp(1)).await;
    assert!(matches!(refused, Err(PublishError::Meanwhile { .. })), "{refused:?}");
}
