//! What a host keeps of compiled plugins: it saves time, and never decides what runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use towpath_config::plugin::Settings;
use towpath_plugin::{Cache, Engine, Plugin, digest, precompile};
use towpath_tests::guest::Guest;
use towpath_types::verdict::Verdict;

/// How many bytes of an entry go before the code: what it is, and the MAC.
const HEAD: usize = "towpath compiled 1\n".len() + 32;

fn engine(folder: &Path) -> Engine {
    let cache = Cache::open(&folder.join("compiled"), &folder.join("key")).unwrap();
    Engine::with_slots(8).unwrap().with_cache(cache)
}

/// A guest that says this, as a file.
fn guest(folder: &Path, says: &str) -> PathBuf {
    let file = folder.join(says).with_added_extension("wasm");
    fs::write(&file, Guest::reject(says).build()).unwrap();
    file
}

/// What the plugin in a file says, loaded by a host with this cache and a pin on what is in the file.
fn said(folder: &Path, file: &Path) -> String {
    let pin = digest(&fs::read(file).unwrap());
    let settings = Settings { sha256: Some(pin), ..Settings::at("guest", file) };
    let plugin = Plugin::load(&engine(folder), settings).unwrap();
    match plugin.transform(&crate::plugin::message(), plugin.limits()).verdict.unwrap() {
        Verdict::Reject(reason) => reason.code,
        other => panic!("{other:?}"),
    }
}

/// The entry of a component in the cache.
fn entry(folder: &Path, file: &Path) -> PathBuf {
    let digest = digest(&fs::read(file).unwrap());
    let entries = fs::read_dir(folder.join("compiled")).unwrap().map(|entry| entry.unwrap().path());
    let mut own = entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&digest));
    own.next().expect("it is kept")
}

#[test]
fn an_entry_of_the_cache_that_is_copied_over_another_does_not_run() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let a = guest(folder, "a");
    let b = guest(folder, "b");
    assert_eq!([said(folder, &a), said(folder, &b)], ["a", "b"]);
    let own = fs::read(entry(folder, &b)).unwrap();
    fs::copy(entry(folder, &a), entry(folder, &b)).unwrap();
    assert_eq!(said(folder, &b), "b", "its own code runs");
    assert_eq!(fs::read(entry(folder, &b)).unwrap(), own, "the copy is overwritten");
    // Anybody can compile, and nobody without the key can make an entry of it.
    let (native, _) = precompile(&Guest::reject("forged").build(), None).unwrap();
    fs::write(entry(folder, &b), [&own[..HEAD], &native].concat()).unwrap();
    assert_eq!(said(folder, &b), "b");
    let mut flipped = own.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(entry(folder, &b), flipped).unwrap();
    assert_eq!(said(folder, &b), "b");
}

#[test]
fn an_entry_is_used_by_the_next_host() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let file = guest(folder, "a");
    said(folder, &file);
    let inode = |path: PathBuf| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let kept = inode(entry(folder, &file));
    said(folder, &file);
    assert_eq!(inode(entry(folder, &file)), kept, "it was not written again");
}

#[test]
fn a_plugin_at_a_path_is_a_regular_file_of_bounded_size() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["pipe.wasm", "pipe.cwasm"] {
        assert!(std::process::Command::new("mkfifo").arg(at(name)).status().unwrap().success());
    }
    fs::create_dir(at("folder")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("folder/plugin.wasm")).status().unwrap().success());
    for name in ["sparse.wasm", "sparse.cwasm", "manifest.cwasm.json"] {
        File::create(at(name)).and_then(|file| file.set_len(3 << 30)).unwrap();
    }
    fs::write(at("manifest.cwasm"), "native").unwrap();
    let cases = [
        ("pipe.wasm", "a pipe"),
        ("pipe.cwasm", "a pipe"),
        ("folder", "a pipe"),
        ("sparse.wasm", "larger than 134217728 bytes"),
        ("sparse.cwasm", "larger than 536870912 bytes"),
        ("manifest.cwasm", "larger than 1048576 bytes"),
    ];
    for (name, says) in cases {
        let (done, loaded) = std::sync::mpsc::channel();
        let settings = Settings::at("guest", at(name));
        std::thread::spawn(move || {
            let loaded = Plugin::load(&Engine::new().unwrap(), settings);
            done.send(loaded.map(drop).map_err(|error| towpath_registry::LoadError::from(error).in_words()))
        });
        let loaded = loaded.recv_timeout(std::time::Duration::from_secs(30)).expect("it does not wait");
        let problem = loaded.expect_err(name);
        assert!(problem.contains(says), "{name}: {problem}");
    }
}
