//! What a registry may cost whoever reads it: bytes and time have bounds, and only regular files are opened.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use towpath_aws::S3Artifacts;
use towpath_config::S3Url;
use towpath_registry::{Folder, SigningKey};
use towpath_tests::guest::Guest;
use towpath_tests::registry::publish;
use towpath_tests::rig::Rig;
use towpath_tests::s3::client_of;
use towpath_types::artifacts::{Artifacts, Bound};

use super::{Host, config, file, folder, registry};

const KINDS: [(&str, Bound); 5] = [
    ("pointer", Bound::POINTER),
    ("manifest", Bound::MANIFEST),
    ("signature", Bound::SIGNATURE),
    ("component", Bound::COMPONENT),
    ("native code", Bound::NATIVE),
];

#[tokio::test]
async fn of_every_kind_of_object_no_more_is_read_than_its_bound() {
    let folder = TempDir::new().unwrap();
    let artifacts = Folder::new(folder.path());
    for (kind, bound) in KINDS {
        let file = File::create(folder.path().join("object")).unwrap();
        for length in [bound.bytes + 1, 3 << 30] {
            file.set_len(length).unwrap();
            let problem = artifacts.get("object", bound).await.map(drop).unwrap_err().to_string();
            assert!(problem.contains(&format!("object: larger than {} bytes", bound.bytes)), "{kind}: {problem}");
        }
        let key = format!("new {kind}");
        let bound = Bound { bytes: 8, ..bound };
        let problem = artifacts.put(&key, vec![0; 9], None, bound).await.unwrap_err().to_string();
        assert!(problem.contains("larger than 8 bytes"), "{kind}: {problem}");
        assert!(artifacts.put(&key, vec![0; 8], None, bound).await.unwrap(), "{kind}");
    }
}

#[tokio::test]
async fn whatever_lies_in_place_of_an_object_a_running_host_goes_on() {
    for lies in ["a sparse file", "a pipe", "a folder", "a device"] {
        for name in ["pointer", "manifest.json", "manifest.sig", "plugin.wasm"] {
            let (rig, (key, _)) = (Rig::new().await, SigningKey::generate().unwrap());
            let registry = registry(&rig);
            publish(&registry, "crm", "current", Guest::reject("one"), Some(&key)).await.unwrap();
            let host = Host::try_start(rig, &config(""), Some(key.public())).await.unwrap_or_else(|e| panic!("{e}"));
            let two = publish(&registry, "crm", "current", Guest::reject("two"), Some(&key)).await.unwrap();
            let object = match name {
                "pointer" => folder(&host.rig).join("crm/pointers/current.json"),
                name => file(&host.rig, &two.version, name),
            };
            std::fs::remove_file(&object).unwrap();
            match lies {
                "a sparse file" => File::create(&object).and_then(|file| file.set_len(3 << 30)).unwrap(),
                "a pipe" => assert!(std::process::Command::new("mkfifo").arg(&object).status().unwrap().success()),
                "a folder" => std::fs::create_dir(&object).unwrap(),
                _ => std::os::unix::fs::symlink("/dev/zero", &object).unwrap(),
            }
            let looked = tokio::time::timeout(Duration::from_secs(30), host.look()).await;
            assert!(looked.is_ok(), "{lies} in place of {name}: it hangs");
            assert_eq!(host.reason().await, "one", "{lies} in place of {name}");
        }
    }
}

#[tokio::test]
async fn a_pipe_in_place_of_the_lock_or_of_a_new_object_does_not_stop_a_publisher() {
    let folder = TempDir::new().unwrap();
    let artifacts = Folder::new(folder.path());
    let pipe = |name: &str| {
        let made = std::process::Command::new("mkfifo").arg(folder.path().join(name)).status().unwrap();
        assert!(made.success());
    };
    pipe("object.new");
    assert!(artifacts.put("object", b"1".to_vec(), None, Bound::POINTER).await.unwrap());
    std::fs::remove_file(folder.path().join(".lock")).unwrap();
    pipe(".lock");
    assert!(artifacts.put("other", b"1".to_vec(), None, Bound::POINTER).await.is_err());
    std::fs::remove_file(folder.path().join(".lock")).unwrap();
    // Nor somebody who holds the lock and never lets go.
    let held = File::create(folder.path().join(".lock")).unwrap();
    held.lock().unwrap();
    let bound = Bound { time: Duration::from_millis(50), ..Bound::POINTER };
    let problem = artifacts.put("other", b"1".to_vec(), None, bound).await.unwrap_err().to_string();
    assert!(problem.contains("is held by another process"), "{problem}");
}

/// How a server answers that means harm.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Answer {
    /// A body in chunks that never ends.
    Endless,
    /// A length of 3 GiB, and then nothing.
    Long,
    /// A head, one byte, and then nothing.
    Drips,
    /// Nothing at all.
    Silent,
}

/// A server that answers every request like this, and what it sent.
async fn server(answer: Answer) -> (String, Arc<AtomicU64>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    let counted = Arc::clone(&sent);
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(serve(stream, answer, Arc::clone(&counted)));
        }
    });
    (url, sent, tasks)
}

async fn serve(mut stream: TcpStream, answer: Answer, sent: Arc<AtomicU64>) {
    let head = match answer {
        Answer::Endless => "transfer-encoding: chunked\r\n\r\n",
        Answer::Long => "content-length: 3221225472\r\n\r\n",
        Answer::Drips => "content-length: 100\r\n\r\nx",
        Answer::Silent => "",
    };
    let mut request = [0; 64 * 1024];
    if stream.read(&mut request).await.is_err() || answer == Answer::Silent {
        return std::future::pending().await;
    }
    let head = format!("HTTP/1.1 200 OK\r\netag: \"1\"\r\n{head}");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    if answer != Answer::Endless {
        return std::future::pending().await;
    }
    // Until the client hangs up.
    while stream.write_all(&chunk).await.is_ok() {
        sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_bucket_that_lies_or_drips_costs_no_more_than_the_bound() {
    let bound = Bound { bytes: 64 * 1024, time: Duration::from_millis(500) };
    let cases = [
        (Answer::Endless, "larger than 65536 bytes"),
        (Answer::Long, "larger than 65536 bytes"),
        (Answer::Drips, "took longer than 500ms"),
        (Answer::Silent, "took longer than 500ms"),
    ];
    for (answer, said) in cases {
        let (url, sent, _server) = server(answer).await;
        let place = S3Url { bucket: "bucket".to_owned(), key: "plugins".to_owned() };
        let artifacts = S3Artifacts::new(client_of(&url), place);
        // What takes no time of its own has all that a slow machine needs.
        let bound = if said.starts_with("took") { bound } else { Bound { time: Duration::from_secs(60), ..bound } };
        let got =
            tokio::time::timeout(Duration::from_secs(90), artifacts.get("crm/pointers/current.json", bound)).await;
        let problem = got.expect("it ends").map(drop).unwrap_err().to_string();
        assert!(problem.contains(said), "{answer:?}: {problem}");
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < 16 * 1024 * 1024, "{answer:?}: {sent} bytes were read");
    }
    let (url, _, _server) = server(Answer::Endless).await;
    let place = S3Url { bucket: "bucket".to_owned(), key: "plugins".to_owned() };
    let large = S3Artifacts::new(client_of(&url), place).put("x", vec![0; 65_537], None, bound).await;
    assert!(large.unwrap_err().to_string().contains("larger than 65536 bytes"));
}
