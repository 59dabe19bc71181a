//! What a target sees, and what it cannot do to the host.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use futures_util::future::BoxFuture;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use towpath_engine::pipeline::Settlement;
use towpath_engine::poll::{self, Options};
use towpath_runtime::lease::Lease;
use towpath_tests::guest::{Guest, Request};
use towpath_tests::rig::{Rig, TOKEN, http, one_route, received};
use towpath_tests::server::Server;
use towpath_tests::target::{Answer, Target};
use towpath_tests::wire::{Stream, Wire};

#[tokio::test]
async fn every_delivery_says_what_it_is() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write(
        "guest",
        Guest::deliver(&[Request::default(), Request { header: Some(("x-own", "1")), ..Request::default() }]),
    );
    let auth = "\nauth = { scheme = \"bearer\", secret = \"token\" }";
    let pipeline = rig.pipeline(&(one_route(&target.url).replace("/\"", "/base\"") + auth));
    rig.send("g/1", "{}").await;
    let id = rig.events.browse(None, 1).await.unwrap().remove(0).id;
    rig.run(&pipeline).await;
    let calls = target.calls();
    assert_eq!(calls.len(), 2);
    for (position, call) in calls.iter().enumerate() {
        assert_eq!(call.header("webhook-id"), id.as_str());
        assert_eq!(call.header("idempotency-key"), format!("{id}/{position}"));
        assert_eq!(call.header("authorization"), format!("Bearer {TOKEN}"));
        assert!(call.header("user-agent").starts_with("towpath/"));
        assert!(call.header("webhook-timestamp").parse::<u64>().unwrap() > 1_700_000_000);
    }
    assert_eq!(calls[1].header("x-own"), "1");
}

#[tokio::test]
async fn requests_of_one_verdict_go_in_order_and_the_first_that_fails_decides() {
    let target = Target::answering(|call| match call.path.as_str() {
        "/two" => Answer::Status(503, String::new()),
        _ => Answer::Status(200, String::new()),
    })
    .await;
    let rig = Rig::new().await;
    let request = |path| Request { path, ..Request::default() };
    rig.write("guest", Guest::deliver(&[request("/one"), request("/two"), request("/three")]));
    let pipeline = rig.pipeline(&one_route(&target.url));
    rig.send("g/1", "{}").await;
    assert!(matches!(rig.run(&pipeline).await.as_slice(), [Settlement::Retry(_)]));
    let paths: Vec<String> = target.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/one", "/two"]);
}

#[tokio::test]
async fn nothing_of_a_verdict_is_sent_if_one_of_its_targets_is_on_hold() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    let held = Request { target: "held", ..Request::default() };
    rig.write("guest", Guest::deliver(&[Request::default(), held]).with_targets(&["sss", "held"]));
    let held = format!("\n[target.held]\nurl = \"{}\"\nallow_private = true\nhold = true", target.url);
    let pipeline = rig.pipeline(&(one_route(&target.url) + &held));
    rig.send("g/1", "{}").await;
    assert!(matches!(rig.run(&pipeline).await.as_slice(), [Settlement::Retry(_)]));
    assert!(target.calls().is_empty(), "or the first would be sent again at every try");
}

#[tokio::test]
async fn a_retry_carries_the_same_ids() {
    let target = Target::answering(|_| Answer::Status(503, String::new())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&target.url));
    rig.send("g/1", "{}").await;
    let batch = rig.receive().await;
    for _ in 0..2 {
        pipeline.group(Lease::of(Duration::from_secs(60))).next(&batch[0]).await;
    }
    let ids = |name| target.calls().iter().map(|call| call.header(name).to_owned()).collect::<HashSet<_>>();
    assert_eq!((target.calls().len(), ids("webhook-id").len(), ids("idempotency-key").len()), (2, 1, 1));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Target::fine().await;
    let location = elsewhere.url.clone();
    let target = Target::answering(move |_| Answer::Header(307, "location", location.clone())).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&target.url));
    rig.send("g/1", "{}").await;
    rig.run(&pipeline).await;
    assert_eq!((target.calls().len(), elsewhere.calls().len()), (1, 0));
    assert_eq!(rig.letters().await[0].status, Some(307));
}

#[tokio::test]
async fn the_connection_of_an_endless_answer_is_closed() {
    let (closed, mut was_closed) = tokio::sync::mpsc::unbounded_channel();
    let script = move |mut stream: Box<dyn Stream>| -> BoxFuture<'static, ()> {
        let closed = closed.clone();
        Box::pin(async move {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 8192]).await;
            }
            let _ = closed.send(());
        })
    };
    let wire = Wire::start(None, Arc::new(script)).await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&one_route(&format!("http://{}", wire.address)));
    rig.send("g/1", "{}").await;
    assert_eq!(rig.run(&pipeline).await, [Settlement::Ack]);
    was_closed.recv().await.expect("the target could not go on");
}

/// A target that counts the connections that its requests come by.
async fn counting() -> (Server, Arc<Mutex<HashSet<SocketAddr>>>) {
    let peers: Arc<Mutex<HashSet<SocketAddr>>> = Arc::default();
    let seen = Arc::clone(&peers);
    let router = Router::new().fallback(move |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move {
        seen.lock().unwrap().insert(peer);
        "ok"
    });
    (Server::start(router).await, peers)
}

#[tokio::test]
async fn connections_are_reused_up_to_their_maximum_age() {
    let (server, peers) = counting().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&(one_route(&server.url) + "\nconnection_max_age = \"10s\""));
    // The pauses are shorter than what an idle connection is kept for: it is its age that ends it.
    for (round, connections) in [1, 1, 2].into_iter().enumerate() {
        for n in 0..5 {
            rig.send("g/1", &format!("{round}.{n}")).await;
        }
        assert_eq!(rig.run(&pipeline).await, [Settlement::Ack; 5]);
        assert_eq!(peers.lock().unwrap().len(), connections, "round {round}");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(5)).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_name_that_resolves_inwards_is_not_called_unless_allowed() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    for allowed in [false, true] {
        // What a name resolves to is not known when the config is read, and may change: the resolver must stop it.
        let text =
            one_route("https://sss.example").replace("allow_private = true", &format!("allow_private = {allowed}"));
        let mut config = rig.config(&text);
        let inwards = target.url.replace("127.0.0.1", "localhost");
        http(&mut config, "sss").url = inwards.parse().unwrap();
        let pipeline = rig.pipeline_of(config, Arc::new(rig.dead_letters.clone()), None);
        rig.send(&format!("g/{allowed}"), "{}").await;
        assert_eq!(rig.run(&pipeline).await == [Settlement::Ack], allowed);
        assert_eq!(target.calls().len(), usize::from(allowed));
    }
}

#[tokio::test]
async fn an_event_goes_through_while_another_target_answers_nobody_or_has_its_limit() {
    for (limit, most) in [("", 12), ("concurrency = 1", 1), ("rate = 0.01", 1)] {
        let quick = Target::fine().await;
        let slow = Target::answering(|_| Answer::Wait).await;
        let rig = Rig::new().await;
        rig.write("guest", Guest::forward());
        rig.write("slow", Guest::deliver(&[Request { target: "slow", ..Request::default() }]).with_targets(&["slow"]));
        let text = format!(
            "{}\n[[route]]\npath = 's'\ngroup = 's/{{json:/k}}'\nplugin = 'slow'\n[plugin.slow]\npath = 'slow.wasm'\n
            [target.slow]\nurl = '{}'\nallow_private = true\ntimeout = '5m'\n{limit}",
            one_route(&quick.url),
            slow.url
        );
        for group in 0..40 {
            rig.send(&format!("s/{group}"), "{}").await;
        }
        let options = Options { wait: Duration::from_millis(20), ..Options::default() };
        let queue = Arc::new(rig.events.clone());
        let stop = CancellationToken::new();
        let mut driver = JoinSet::new();
        driver.spawn(poll::run(queue, rig.pipeline(&text), options, Arc::default(), stop.clone()));
        slow.called(most).await;
        rig.send("g/1", "{}").await;
        tokio::time::timeout(Duration::from_secs(60), quick.called(1)).await.expect("its target is there");
        assert_eq!(slow.calls().len(), most, "{limit:?}");
        assert!(rig.letters().await.is_empty());
        driver.shutdown().await;
    }
}

#[tokio::test]
async fn a_group_in_a_function_does_not_sit_and_wait_for_a_limit() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("guest", Guest::forward());
    let pipeline = rig.pipeline(&(one_route(&target.url) + "\nrate = 0.01"));
    let first = received("g/1", "1");
    let second = received("g/2", "2");
    let lease = || Lease::of(Duration::from_secs(600));
    assert_eq!(pipeline.group(lease()).next(&first).await, Settlement::Ack);
    // No bytes are under way from here on: time goes by as soon as nothing else happens.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let settled = pipeline.group(lease()).next(&second).await;
    assert!(matches!(settled, Settlement::Retry(_)), "{settled:?}");
    assert_eq!((begun.elapsed().as_secs(), target.calls().len()), (5, 1));
}
