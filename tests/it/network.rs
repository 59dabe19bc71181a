//! Targets that misbehave on the wire, and TLS. Whatever they send, the host reads a bounded part of it for a bounded
//! time, and no message is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use towpath_engine::pipeline::Settlement;
use towpath_runtime::lease::Lease;
use towpath_tests::guest::Guest;
use towpath_tests::rig::{Rig, one_route, received};
use towpath_tests::target::Target;
use towpath_tests::wire::{Authority, Script, Stream, Wire};

/// Longer than anything here takes, and much shorter than five minutes.
const WAIT: Duration = Duration::from_secs(20);

/// What became of a message to a target at this URL, with these keys of the target.
async fn deliver(url: &str, keys: &str) -> (Rig, Vec<Settlement>) {
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&format!("{}\n{keys}", one_route(url)));
    rig.send("g/1", "{}").await;
    let settlements = rig.run(&pipeline).await;
    (rig, settlements)
}

/// A name, the first bytes of an answer, and what comes behind them for ever.
type Hostile = (&'static str, &'static [u8], Option<&'static [u8]>);

const HOSTILE: [Hostile; 7] = [
    ("silence", b"", None),
    ("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n", None),
    ("an endless status line", b"HTTP/1.1 200 ", Some(&[b'x'; 8192])),
    ("an endless header", b"HTTP/1.1 200 OK\r\nx: ", Some(&[b'x'; 8192])),
    ("endless headers", b"HTTP/1.1 200 OK\r\n", Some(b"x: 1\r\ny: 2\r\n")),
    ("a flood of 1xx", b"", Some(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")),
    ("two lengths", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", None),
];

#[tokio::test]
async fn an_answer_that_is_none_is_a_failed_attempt_and_the_message_is_kept() {
    for (name, first, forever) in HOSTILE {
        let wire = Wire::answering(first, forever).await;
        let (rig, settlements) = deliver(&format!("http://{}", wire.address), "").await;
        assert!(matches!(settlements[..], [Settlement::Retry(_)]), "{name}: {settlements:?}");
        assert_eq!((wire.requests(), rig.letters().await.len()), (1, 0), "{name}");
    }
}

/// How a body goes on behind its first bytes.
#[derive(Clone, Copy)]
enum Then {
    Breaks,
    Stalls,
    GoesOn(&'static [u8]),
    Drips,
}

/// A name, the headers of a body, its first bytes, and how it goes on.
type Body = (&'static str, &'static str, &'static str, Then);

const BODIES: [Body; 9] = [
    ("a chunk that is cut", "transfer-encoding: chunked", "ff\r\nno such thing", Then::Breaks),
    ("a chunk that never comes", "transfer-encoding: chunked", "ff\r\nno such thing", Then::Stalls),
    ("chunks without an end", "transfer-encoding: chunked", "d\r\nno such thing\r\n", Then::Breaks),
    ("no chunk at all", "transfer-encoding: chunked", "no such thing", Then::Breaks),
    ("endless chunks", "transfer-encoding: chunked", "d\r\nno such thing\r\n", Then::GoesOn(b"7\r\n and on\r\n")),
    ("a length that is not reached", "content-length: 100", "no such thing", Then::Breaks),
    ("a length that is waited for", "content-length: 100", "no such thing", Then::Stalls),
    ("an endless body", "connection: close", "no such thing", Then::GoesOn(&[b'x'; 8192])),
    ("a body that drips", "content-length: 1000000", "no such thing", Then::Drips),
];

/// A server that answers each request with this status and body.
async fn answering(status: &'static str, body: Body) -> Wire {
    let script = move |mut stream: Box<dyn Stream>| -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let (_, headers, first, then) = body;
            // What came and was not read would break the connection before the answer is out.
            let _ = stream.read(&mut [0; 1024]).await;
            let answer = format!("HTTP/1.1 {status}\r\nretry-after: 7\r\n{headers}\r\n\r\n{first}");
            let mut sent = stream.write_all(answer.as_bytes()).await;
            match then {
                Then::Breaks => drop(stream.shutdown().await),
                Then::Stalls => while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {},
                Then::GoesOn(more) => {
                    while sent.is_ok() {
                        sent = stream.write_all(more).await;
                    }
                }
                Then::Drips => {
                    while sent.is_ok() {
                        sent = stream.write_all(b"x").await;
                        let _ = stream.flush().await;
                        tokio::task::yield_now().await;
                    }
                }
            }
        })
    };
    Wire::start(None, Arc::new(script)).await
}

#[tokio::test]
async fn the_status_decides_whatever_becomes_of_the_body() {
    for body in BODIES {
        let name = body.0;
        for status in ["200 OK", "202 Accepted", "299 Odd"] {
            let wire = answering(status, body).await;
            let (rig, settlements) = deliver(&format!("http://{}", wire.address), "").await;
            assert_eq!(settlements, [Settlement::Ack], "{status}, {name}");
            assert_eq!((wire.requests(), rig.letters().await.len()), (1, 0), "{status}, {name}");
        }
        let wire = answering("404 Not Found", body).await;
        let (rig, settlements) = deliver(&format!("http://{}", wire.address), "").await;
        assert_eq!(settlements, [Settlement::Buried], "{name}");
        let letter = rig.letters().await.remove(0);
        assert_eq!((letter.reason.as_str(), letter.status), ("refused", Some(404)), "{name}");
        let excerpt = letter.excerpt.starts_with("no such thing") || name == "no chunk at all";
        assert!(excerpt && letter.excerpt.len() <= 1024, "{name}: {:?}", letter.excerpt);
        let wire = answering("503 Service Unavailable", body).await;
        let (_rig, settlements) = deliver(&format!("http://{}", wire.address), "").await;
        assert_eq!(settlements, [Settlement::Retry(Duration::from_secs(7))], "{name}");
        assert_eq!(wire.requests(), 1, "{name}");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_body_as_long_as_for_an_answer() {
    let endless = BODIES.into_iter().filter(|(.., then)| !matches!(then, Then::Breaks));
    for (status, body) in endless.flat_map(|body| ["200 OK", "404 Not Found"].map(|status| (status, body))) {
        let wire = answering(status, body).await;
        let rig = Rig::new().await;
        let url = format!("http://{}", wire.address);
        rig.write("guest", Guest::forward());
        let pipeline = rig.pipeline(&one_route(&url).replace("timeout = \"300ms\"", "timeout = \"5m\""));
        let lease = Lease::of(Duration::from_secs(3600));
        let settled = tokio::time::timeout(WAIT, pipeline.group(lease).next(&received("g/1", "{}"))).await;
        let settled = settled.unwrap_or_else(|_| panic!("{status}, {}: it waits for the body", body.0));
        assert_eq!(settled == Settlement::Ack, status == "200 OK", "{status}, {}: {settled:?}", body.0);
    }
}

#[tokio::test]
async fn what_is_compressed_is_not_blown_up() {
    // It says that it is 8 bytes of gzip; what they would become is nobody's business.
    let answer = b"HTTP/1.1 404 Not Found\r\ncontent-encoding: gzip\r\ncontent-length: 8\r\n\r\n\x1f\x8b\x08\0bomb";
    let wire = Wire::answering(answer, None).await;
    let (rig, settlements) = deliver(&format!("http://{}", wire.address), "").await;
    assert_eq!(settlements, [Settlement::Buried]);
    let letter = rig.letters().await.remove(0);
    assert_eq!((letter.reason.as_str(), letter.excerpt.contains("bomb")), ("refused", true), "{letter:?}");
}

#[tokio::test]
async fn an_early_hint_before_the_answer_is_no_answer() {
    let answer = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let wire = Wire::answering(answer, None).await;
    let (_rig, settlements) = deliver(&format!("http://{}", wire.address), "").await;
    assert_eq!(settlements, [Settlement::Ack]);
}

/// Reads what is left of a request's body, and answers 200.
fn polite() -> Script {
    Arc::new(|mut stream: Box<dyn Stream>| -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            let _ = stream.shutdown().await;
        })
    })
}

#[tokio::test]
async fn only_the_given_authority_is_believed_and_only_for_the_right_name() {
    let ours = Authority::default();
    let theirs = Authority::default();
    let cases = [
        ("the system's authorities", None, &ours, "localhost", false),
        ("the given one", Some(&ours), &ours, "localhost", true),
        ("another one", Some(&theirs), &ours, "localhost", false),
        ("another name", Some(&ours), &ours, "sss.example", false),
    ];
    for (name, ca, authority, certified, delivered) in cases {
        let wire = Wire::start(Some(authority.server(certified, false)), polite()).await;
        let url = format!("https://localhost:{}", wire.address.port());
        let keys = ca.map(|ca| format!("ca = '''{}'''", ca.pem())).unwrap_or_default();
        let (rig, settlements) = deliver(&url, &keys).await;
        assert_eq!(settlements == [Settlement::Ack], delivered, "{name}: {settlements:?}");
        assert_eq!((wire.requests(), rig.letters().await.len()), (usize::from(delivered), 0), "{name}");
    }
}

#[tokio::test]
async fn a_target_that_wants_a_client_certificate_gets_the_configured_one() {
    let authority = Authority::default();
    let (certificate, key) = authority.issue("towpath");
    let stranger = Authority::default().issue("towpath");
    let cases = [
        ("none", None, false),
        ("its own", Some(format!("{certificate}{key}")), true),
        ("a stranger's", Some(format!("{}{}", stranger.0, stranger.1)), false),
    ];
    for (name, identity, delivered) in cases {
        let wire = Wire::start(Some(authority.server("localhost", true)), polite()).await;
        let rig = Rig::new().await;
        rig.write("guest", Guest::forward());
        let auth = identity.as_ref().map(|_| "auth = { scheme = 'mtls', secret = 'identity' }").unwrap_or_default();
        let url = format!("https://localhost:{}", wire.address.port());
        let text = format!("{}\nca = '''{}'''\n{auth}", one_route(&url), authority.pem());
        let pipeline = rig.pipeline_knowing(&text, &[("identity", identity.as_deref().unwrap_or("-"))]);
        rig.send("g/1", "{}").await;
        assert_eq!(rig.run(&pipeline).await == [Settlement::Ack], delivered, "{name}");
        assert_eq!(wire.requests(), usize::from(delivered), "{name}");
    }
}

#[tokio::test]
async fn a_proxy_is_used_where_the_config_names_it() {
    let proxied = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&proxied);
    let proxy: Script = Arc::new(move |mut stream: Box<dyn Stream>| -> BoxFuture<'static, ()> {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        })
    });
    let wire = Wire::start(None, proxy).await;
    let target = Target::fine().await;
    let (_rig, settlements) = deliver(&target.url, &format!("proxy = 'http://{}'", wire.address)).await;
    assert_eq!(settlements, [Settlement::Ack]);
    assert_eq!((proxied.load(Ordering::SeqCst), target.calls().len()), (1, 0));
}
