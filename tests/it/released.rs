//! What was released stays: the contract's files, and plugins that were built for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use towpath_plugin::digest;
use towpath_tests::binary::binary;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn a_released_contract_is_never_changed() {
    let released = [("1.0.0", "c71eb9b8b1eb951d65b960684897ac45b2ebac3e5ebccbd03191f570617baf23")];
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(root().join("wit")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found.sort();
    let versions: Vec<&str> = released.iter().map(|(version, _)| *version).collect();
    assert_eq!(found, versions, "a new version of the contract is a new folder, with a line here");
    for (version, sha256) in released {
        let text = std::fs::read(root().join("wit").join(version).join("world.wit")).unwrap();
        assert_eq!(digest(&text), sha256, "wit/{version} is frozen: wit/README.md says how the contract grows");
    }
}

#[test]
fn the_sdk_carries_the_contract_itself() {
    let own = std::fs::read(root().join("plugins/sdk/contract/world.wit")).unwrap();
    assert_eq!(own, std::fs::read(root().join("wit/1.0.0/world.wit")).unwrap());
}

#[test]
fn plugins_that_were_shipped_run_as_they_did() {
    let folder = root().join("tests/plugins-1.0");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut plugins = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let bytes = std::fs::read(path.join("plugin.wasm")).unwrap();
            assert!(readme.contains(&digest(&bytes)), "{} is not the component that was shipped", path.display());
            plugins.push(path);
        }
    }
    assert_eq!(plugins.len(), 4);
    let tested = Command::new(binary("towpath")).args(["plugin", "test"]).args(&plugins).output().unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(tested.status.success(), "{said}");
    assert!(said.contains("8 passed, 0 failed"), "{said}");
}
