//! What both places of a registry promise, and what publishing rests on.

use std::sync::Arc;

use tempfile::TempDir;
use towpath_aws::S3Artifacts;
use towpath_core::clock::Timestamp;
use towpath_core::config::S3Url;
use towpath_core::registry::{Artifacts, Bound, Folder, PublishError, Registry, RegistryError};
use towpath_tests::guest::Guest;
use towpath_tests::registry::{built, made, publish};
use towpath_tests::s3::S3Server;

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
