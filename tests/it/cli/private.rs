//! What is written is its user's alone, whatever the umask says, and nothing is written through a link.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use towpath_tests::binary::binary;
use towpath_tests::guest::Guest;
use towpath_tests::target::{Answer, Target};

use super::serve::{Server, client, project};
use super::{err, out, towpath};

/// Runs it where everybody may do anything with what is made.
fn loose(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(binary("towpath")).args(args);
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", err(&output));
    output
}

fn modes(folder: &Path, found: &mut BTreeMap<String, u32>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.insert(path.display().to_string(), path.metadata().unwrap().permissions().mode() & 0o777);
        if path.is_dir() {
            modes(&path, found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_webhooks_is_its_users_alone_whatever_the_umask() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::under_umask(folder.path(), "000");
    for n in 0..2 {
        assert_eq!(client().post(&server.url).body(format!("{{\"k\":{n}}}")).send().await.unwrap().status(), 202);
    }
    target.called(2).await;
    server.logs("dead");
    server.stop();
    let here = folder.path();
    loose(here, &["hold", "sss", "--reason", "x"]);
    loose(here, &["dlq", "drop", "--reason", "refused", "--note", "x"]);
    loose(here, &["store", "recover", ".towpath", "saved"]);
    loose(here, &["store", "compact"]);
    loose(here, &["plugin", "keygen", "signing.key"]);
    let mut found = BTreeMap::new();
    for own in [".towpath", "saved"] {
        found.insert(own.to_owned(), here.join(own).metadata().unwrap().permissions().mode() & 0o777);
        modes(&here.join(own), &mut found);
    }
    found.insert("signing.key".to_owned(), here.join("signing.key").metadata().unwrap().permissions().mode() & 0o777);
    for name in ["story.jsonl", "audit.jsonl", "towpath.db"] {
        assert!(found.keys().any(|path| path.ends_with(name)), "{name}: {found:?}");
    }
    let shared: Vec<_> = found.iter().filter(|(_, mode)| **mode & 0o077 != 0).collect();
    assert!(shared.is_empty(), "{shared:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_somebody_planted_is_an_error_that_names_it() {
    let target = Target::answering(|_| Answer::Status(404, String::new())).await;
    let folder = project(&target.url, Guest::forward());
    let here = folder.path();
    let server = Server::start(here, &["serve"]);
    assert_eq!(client().post(&server.url).body("{\"k\":1}").send().await.unwrap().status(), 202);
    server.logs("dead");
    server.stop();
    let elsewhere = here.join("elsewhere");
    let drop_all = ["dlq", "drop", "--reason", "refused", "--note", "x"];
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let record = ["record", "--to", "cases", "--dead"];
    let cases: [(&str, &[&[&str]]); 7] = [
        ("audit.jsonl", &[&drop_all, &["dlq", "audit"], &["trace", "nosuch"]]),
        ("story.jsonl", &[&serve, &["tail", "--no-follow"]]),
        ("redact.key", &[&record]),
        ("towpath.db", &[&serve, &["status"], &drop_all]),
        ("towpath.db-wal", &[&serve, &["status"], &drop_all]),
        ("towpath.db-shm", &[&serve, &["status"], &drop_all]),
        ("", &[&serve, &["status"], &drop_all]),
    ];
    for (name, commands) in cases {
        let planted = here.join(".towpath").join(name);
        let planted: std::path::PathBuf = planted.components().collect();
        let aside = here.join("aside");
        let was_there = std::fs::rename(&planted, &aside).is_ok();
        symlink(&elsewhere, &planted).unwrap();
        for args in commands {
            let refused = towpath(here, args);
            assert_eq!(refused.status.code(), Some(2), "{name}, {args:?}: {} {}", out(&refused), err(&refused));
            let says =
                format!("{} is a symbolic link", Path::new(".towpath").join(name).components().as_path().display());
            assert!(err(&refused).contains(&says), "{name}, {args:?}: {}", err(&refused));
        }
        assert!(!elsewhere.exists(), "{name}: nothing is made where the link points to");
        std::fs::remove_file(&planted).unwrap();
        if was_there {
            std::fs::rename(&aside, &planted).unwrap();
        }
    }
    assert!(towpath(here, &drop_all).status.success());
}
