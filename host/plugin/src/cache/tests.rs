//! Code that somebody else puts into the cache folder is never used.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

fn cache(folder: &TempDir) -> Cache {
    Cache::open(&folder.path().join("compiled"), &folder.path().join("key")).expect("a cache")
}

fn bound(digest: &str, compiler: &str) -> Bound {
    Bound { digest: digest.to_owned(), compiler: compiler.to_owned() }
}

fn refused(folder: &TempDir) -> String {
    let opened = Cache::open(&folder.path().join("compiled"), &folder.path().join("key"));
    let error = opened.map(drop).expect_err("it is not used");
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

#[test]
fn an_entry_is_found_by_a_later_host() {
    let folder = TempDir::new().expect("folder");
    assert_eq!(cache(&folder).find(&bound("a", "c")), None);
    cache(&folder).keep(&bound("a", "c"), b"native");
    assert_eq!(cache(&folder).find(&bound("a", "c")).as_deref(), Some(&b"native"[..]));
}

#[test]
fn an_entry_that_fails_its_mac_is_ignored_and_overwritten() {
    type Attack = fn(&Path, &Path);
    let cases: [(&str, Attack); 10] = [
        ("copied over another's", |other, own| assert!(fs::copy(other, own).is_ok())),
        ("a flipped byte of the code", |_, own| change(own, |entry| *entry.last_mut().expect("a byte") ^= 1)),
        ("a flipped byte of the MAC", |_, own| change(own, |entry| entry[MAGIC.len()] ^= 1)),
        ("cut off", |_, own| change(own, |entry| assert!(entry.pop().is_some()))),
        ("cut off in its MAC", |_, own| change(own, |entry| entry.truncate(MAGIC.len() + 8))),
        ("bytes behind it", |_, own| change(own, |entry| entry.push(0))),
        ("empty", |_, own| change(own, Vec::clear)),
        ("a link to another's", |other, own| {
            fs::remove_file(own).expect("removed");
            std::os::unix::fs::symlink(other, own).expect("a link");
        }),
        ("a link to itself elsewhere", |_, own| {
            fs::rename(own, own.with_extension("moved")).expect("moved");
            std::os::unix::fs::symlink(own.with_extension("moved"), own).expect("a link");
        }),
        ("a pipe", |_, own| {
            fs::remove_file(own).expect("removed");
            assert!(std::process::Command::new("mkfifo").arg(own).status().expect("mkfifo").success());
        }),
    ];
    for (name, attack) in cases {
        let folder = TempDir::new().expect("folder");
        let cache = cache(&folder);
        let own = bound("own", "c");
        let other = bound("other", "c");
        cache.keep(&own, b"own code");
        cache.keep(&other, b"other code");
        attack(&cache.folder.join(other.file()), &cache.folder.join(own.file()));
        assert_eq!(cache.find(&own), None, "{name}");
        cache.keep(&own, b"own code");
        assert_eq!(cache.find(&own).as_deref(), Some(&b"own code"[..]), "{name}");
        assert_eq!(cache.find(&other).as_deref(), Some(&b"other code"[..]), "{name}: the other one is as it was");
    }
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut entry = fs::read(file).expect("an entry");
    change(&mut entry);
    fs::write(file, entry).expect("written");
}

#[test]
fn an_entry_of_another_compiler_or_another_users_key_is_not_used() {
    let folder = TempDir::new().expect("folder");
    let cache_of_one = cache(&folder);
    let old = bound("own", "0123456789abcdef-old");
    let new = bound("own", "0123456789abcdef-new");
    assert_eq!(old.file(), new.file(), "not even where its name is the same");
    cache_of_one.keep(&old, b"old code");
    assert_eq!(cache_of_one.find(&new), None);
    fs::remove_file(folder.path().join("key")).expect("removed");
    assert_eq!(cache(&folder).find(&old), None, "written under another key");
}

#[test]
fn a_folder_that_others_can_use_is_rejected_with_a_fix() {
    for (mode, said) in [(0o770, "written by other users"), (0o707, "written"), (0o755, "read by other users")] {
        let folder = TempDir::new().expect("folder");
        drop(cache(&folder));
        fs::set_permissions(folder.path().join("compiled"), Permissions::from_mode(mode)).expect("mode");
        let problem = refused(&folder);
        assert!(problem.contains(said) && problem.contains("chmod 700"), "{mode:o}: {problem}");
    }
    let folder = TempDir::new().expect("folder");
    fs::create_dir(folder.path().join("elsewhere")).expect("folder");
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), folder.path().join("compiled")).expect("a link");
    assert!(refused(&folder).contains("is a symbolic link: remove it"), "{}", refused(&folder));
}

#[test]
fn a_key_that_others_may_know_is_rejected_with_a_fix() {
    type Change = fn(&Path);
    let cases: [(&str, Change, &str); 5] = [
        (
            "read",
            |key| fs::set_permissions(key, Permissions::from_mode(0o640)).expect("mode"),
            "read by other users: delete",
        ),
        (
            "written",
            |key| fs::set_permissions(key, Permissions::from_mode(0o602)).expect("mode"),
            "written by other users",
        ),
        ("short", |key| fs::write(key, "short").expect("written"), "not a key of 32 bytes: delete it"),
        (
            "endless",
            |key| OpenOptions::new().write(true).open(key).and_then(|key| key.set_len(3 << 30)).expect("sparse"),
            "larger",
        ),
        (
            "a link",
            |key| {
                fs::rename(key, key.with_extension("moved")).expect("moved");
                std::os::unix::fs::symlink(key.with_extension("moved"), key).expect("a link");
            },
            "a symbolic link",
        ),
    ];
    for (name, change, said) in cases {
        let folder = TempDir::new().expect("folder");
        drop(cache(&folder));
        change(&folder.path().join("key"));
        assert!(refused(&folder).contains(said), "{name}: {}", refused(&folder));
    }
}

#[test]
fn hosts_that_start_at_the_same_time_share_one_key() {
    let folder = TempDir::new().expect("folder");
    std::thread::scope(|scope| {
        let hosts: Vec<_> = (0..8)
            .map(|host| {
                let folder = &folder;
                scope.spawn(move || cache(folder).keep(&bound(&format!("{host}"), "c"), b"native"))
            })
            .collect();
        hosts.into_iter().for_each(|host| host.join().expect("a host"));
    });
    let cache = cache(&folder);
    for host in 0..8 {
        assert!(cache.find(&bound(&format!("{host}"), "c")).is_some(), "{host}");
    }
    let mode = fs::metadata(folder.path().join("key")).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_least_recently_used_entries_are_evicted() {
    let folder = TempDir::new().expect("folder");
    let cache = Cache { max_all: 1000, ..cache(&folder) };
    let at = |digest: &str, seconds| {
        let file =
            fs::File::options().write(true).open(cache.folder.join(bound(digest, "c").file())).expect("an entry");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("a time");
    };
    cache.keep(&bound("used", "c"), &[1; 350]);
    at("used", 1);
    cache.keep(&bound("old", "c"), &[2; 350]);
    at("old", 2);
    assert!(cache.find(&bound("used", "c")).is_some());
    let abandoned = cache.folder.join("abandoned.new");
    fs::write(&abandoned, [0; 500]).expect("written");
    fs::File::options()
        .write(true)
        .open(&abandoned)
        .and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH))
        .expect("old");
    cache.keep(&bound("new", "c"), &[3; 350]);
    let found = ["used", "old", "new"].map(|digest| cache.find(&bound(digest, "c")).is_some());
    assert_eq!(found, [true, false, true]);
    assert!(!abandoned.exists(), "what was never finished is removed");
    cache.keep(&bound("large", "c"), &[4; 1000]);
    assert!(cache.find(&bound("large", "c")).is_none() && cache.find(&bound("new", "c")).is_some(), "it fits nowhere");
}
