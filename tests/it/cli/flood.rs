//! Clients that misbehave: they cost a bounded amount of memory, and a healthy client does not notice them.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use towpath_tests::guest::Guest;
use towpath_tests::target::Target;

use super::serve::{Server, client, project};

/// A server with an ingest and an SQS endpoint that are flooded, and where they are.
async fn flooded() -> (tempfile::TempDir, Target, Server, [SocketAddr; 2]) {
    let target = Target::fine().await;
    let folder = project(&target.url, Guest::forward());
    let server = Server::start(folder.path(), &["serve", "--sqs", "127.0.0.1:0"]);
    let endpoint = server.sqs();
    let ingest = server.url.strip_prefix("http://").unwrap().split('/').next().unwrap().parse().unwrap();
    (folder, target, server, [ingest, endpoint])
}

/// Posts a webhook, and asks the endpoint for its queues: both on fresh connections.
async fn healthy(server: &Server, endpoint: SocketAddr) {
    let fresh = client();
    let posted = fresh.post(&server.url).body("{\"k\":1}").send().await.unwrap();
    assert_eq!(posted.status(), 202);
    let asked = fresh.post(format!("http://{endpoint}/")).header("x-amz-target", "AmazonSQS.ListQueues").body("{}");
    let queues: Value = serde_json::from_slice(&asked.send().await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(queues["QueueUrls"].as_array().unwrap().len(), 3);
}

/// Opens so many connections to each address and sends this on them.
async fn open(addresses: [SocketAddr; 2], each: usize, text: &'static [u8]) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for address in addresses {
        for _ in 0..each.div_ceil(100) {
            let connect = || async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                // The server may have closed it already, to make room for the next.
                let _ = stream.write_all(text).await;
                stream
            };
            streams.extend(join_all((0..100).map(|_| connect())).await);
        }
    }
    streams
}

const HALF_A_HEAD: &[u8] = b"POST /hooks/g HTTP/1.1\r\nhost: a\r\nx-slow: ";
const HALF_A_BODY: &[u8] = b"POST /hooks/g HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n{";

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_that_do_nothing_cost_little_and_keep_nobody_out() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let (_folder, _target, server, addresses) = flooded().await;
    healthy(&server, addresses[1]).await;
    let before = server.status("VmRSS");
    let mut all = Vec::new();
    for (name, each, text) in
        [("idle", 2500, &b""[..]), ("half a head", 1500, HALF_A_HEAD), ("half a body", 1000, HALF_A_BODY)]
    {
        all.extend(open(addresses, each, text).await);
        healthy(&server, addresses[1]).await;
        let grown = server.status("VmRSS").saturating_sub(before);
        assert!(grown < 200 * 1024, "{name}: {grown} KiB for {} connections", all.len());
    }
    assert_eq!(all.len(), 10_000);
    drop(all);
    healthy(&server, addresses[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_end_fill_no_memory() {
    const ALMOST: &[u8] = b"POST /hooks/g HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
    let (_folder, _target, server, addresses) = flooded().await;
    healthy(&server, addresses[1]).await;
    let before = server.status("VmRSS");
    let part = vec![b'x'; 900_000];
    let send = async |mut stream: TcpStream| {
        // Whoever has to make room cannot send it all.
        let _ = stream.write_all(&part).await;
        stream
    };
    // Half a gibibyte for each of the two.
    let all = join_all(open(addresses, 600, ALMOST).await.into_iter().map(send)).await;
    let grown = server.status("VmRSS").saturating_sub(before);
    assert!(grown < 512 * 1024, "{grown} KiB for {} connections", all.len());
    healthy(&server, addresses[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_bodies_that_wait_for_the_disk_fill_no_memory_and_are_stored_once_it_answers() {
    let (folder, _target, server, addresses) = flooded().await;
    healthy(&server, addresses[1]).await;
    let before = server.status("VmRSS");
    // Who holds the lock of the file keeps every send waiting.
    let store = rusqlite::Connection::open(folder.path().join(".towpath/towpath.db")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = "x".repeat(900_000);
    let client = client();
    let post = || client.post(&server.url).body(body.clone()).send();
    let mut posts: JoinSet<_> = (0..600).map(|_| post()).collect();
    // Half a gibibyte is under way: some of it is answered 503, or its connection is closed to make room. Nothing can be stored.
    let first = posts.join_next().await.unwrap().unwrap();
    let first = first.map(|answer| answer.status().as_u16());
    assert!(matches!(first, Ok(503) | Err(_)), "{first:?}");
    let grown = server.status("VmRSS").saturating_sub(before);
    assert!(grown < 512 * 1024, "{grown} KiB");
    store.execute_batch("ROLLBACK").unwrap();
    drop(posts);
    healthy(&server, addresses[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_bodies_of_clients_that_hang_up_count_until_they_are_stored() {
    let (folder, _target, server, addresses) = flooded().await;
    healthy(&server, addresses[1]).await;
    let before = server.status("VmHWM");
    let store = rusqlite::Connection::open(folder.path().join(".towpath/towpath.db")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = "x".repeat(900_000);
    let ingest = format!("POST /hooks/g HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let url = format!("http://{}/000000000000/events.fifo", addresses[1]);
    let send = serde_json::json!({"QueueUrl": url, "MessageGroupId": "g/1", "MessageBody": body}).to_string();
    let send = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nx-amz-target: AmazonSQS.SendMessage\r\ncontent-length: {}\r\n\r\n{send}",
        send.len()
    );
    // Each hangs up once it has sent all, and has a look at what the server does then.
    let mut clients = JoinSet::new();
    for (address, request) in addresses.into_iter().zip([ingest, send]) {
        let request: std::sync::Arc<str> = request.into();
        for _ in 0..500 {
            let request = std::sync::Arc::clone(&request);
            clients.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let _ = stream.write_all(request.as_bytes()).await;
                let _ = stream.shutdown().await;
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer).await;
                answer.starts_with(b"HTTP/1.1 5")
            });
        }
    }
    // Until the first one is refused, or all have hung up: nothing can be stored meanwhile.
    while let Some(client) = clients.join_next().await {
        if client.unwrap() {
            break;
        }
    }
    let grown = server.status("VmHWM") - before;
    assert!(grown < 640 * 1024, "{grown} KiB");
    store.execute_batch("ROLLBACK").unwrap();
    drop(clients);
    healthy(&server, addresses[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let (_folder, target, _server, [ingest, _]) = flooded().await;
    let mut stream = TcpStream::connect(ingest).await.unwrap();
    let requests: String = (0..100)
        .map(|n| format!("POST /hooks/g HTTP/1.1\r\nhost: a\r\ncontent-length: 13\r\n\r\n{{\"k\":1,\"n\":{}}}", n % 10))
        .collect();
    let last = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{requests}{last}").as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!((answers.matches("202 Accepted").count(), answers.matches("200 OK").count()), (100, 1), "{answers}");
    target.called(100).await;
    let order: Vec<usize> = target.bodies().iter().map(|body| body[11..12].parse().unwrap()).collect();
    assert_eq!(order, (0..100).map(|n| n % 10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_refused_and_nothing_of_it_is_stored() {
    let (_folder, target, server, addresses) = flooded().await;
    let head = |text: &str| format!("POST /hooks/g HTTP/1.1\r\nhost: a\r\n{text}\r\n\r\n").into_bytes();
    let cases = [
        ("noise", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()),
        ("no version", b"GET /\r\n\r\n".to_vec()),
        ("HTTP/2 at once", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("two lengths", [head("content-length: 2\r\ncontent-length: 3"), b"{}x".to_vec()].concat()),
        ("a length that is none", [head("content-length: +2"), b"{}".to_vec()].concat()),
        ("a length beyond counting", [head("content-length: 99999999999999999999"), b"{}".to_vec()].concat()),
        (
            "length and chunks",
            [head("content-length: 2\r\ntransfer-encoding: chunked"), b"5\r\nhello\r\n0\r\n\r\n".to_vec()].concat(),
        ),
        ("a chunk that is none", [head("transfer-encoding: chunked"), b"zz\r\n{}\r\n0\r\n\r\n".to_vec()].concat()),
        ("a space in a name", head("x y: 1\r\ncontent-length: 0")),
        ("a folded header", head("x: 1\r\n  2\r\ncontent-length: 0")),
        ("a head of a megabyte", head(&format!("x: {}", "x".repeat(1024 * 1024)))),
        ("a thousand headers", head(&"x: 1\r\n".repeat(1000))),
    ];
    for address in addresses {
        for (name, bytes) in &cases {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            // A connection that is reset is an answer too.
            let _ = stream.read_to_end(&mut answer).await;
            let text = String::from_utf8_lossy(&answer);
            let refused = answer.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.0 4");
            // Chunks win over a length, and both are taken away from whoever stands before: RFC 9112 section 6.3.
            assert!(refused || *name == "length and chunks" && address == addresses[0], "{name}: {text}");
        }
        healthy(&server, addresses[1]).await;
    }
    target.called(2).await;
    assert!(target.bodies().iter().all(|body| body == "{\"k\":1}" || body == "hello"), "{:?}", target.bodies());
}
