use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

const AGE: Duration = Duration::from_secs(10);

/// A name that can move: it resolves to one address at a time, and its lookups are counted.
#[derive(Clone)]
struct Moving(Arc<Mutex<SocketAddr>>, Arc<AtomicUsize>);

impl Resolve for Moving {
    fn resolve(&self, _: Name) -> Resolving {
        self.1.fetch_add(1, Ordering::Relaxed);
        let address = *self.0.lock();
        Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
    }
}

/// A server that keeps its connections open and answers each request with its own name.
async fn server(name: &'static str, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            connections.spawn(async move {
                let mut buffer = [0; 4096];
                while matches!(stream.read(&mut buffer).await, Ok(1..)) {
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    stream.write_all(answer.as_bytes()).await.expect("somebody listens");
                }
            });
        }
    });
    address
}

async fn asked(pool: &Pool) -> String {
    let answer = pool.client().get("http://moving.example/").send().await.expect("an answer");
    answer.text().await.expect("a body")
}

/// Time advances only here: while bytes are in flight the clock must run normally.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_connection_that_is_never_idle_is_replaced_at_its_maximum_age_and_its_name_resolved_again() {
    towpath_runtime::install_crypto();
    let mut servers = JoinSet::new();
    let old = server("old", &mut servers).await;
    let new = server("new", &mut servers).await;
    let moving = Moving(Arc::new(Mutex::new(old)), Arc::default());
    let resolver = moving.clone();
    let make = move || Ok(plain(AGE).no_proxy().dns_resolver(Arc::new(resolver.clone())).build().expect("a client"));
    let pool = Pool::new(AGE, make).expect("a pool");
    for _ in 0..5 {
        assert_eq!(asked(&pool).await, "old");
    }
    *moving.0.lock() = new;
    pass(AGE / 2).await;
    assert_eq!(asked(&pool).await, "old", "the connection is young");
    assert_eq!(moving.1.load(Ordering::Relaxed), 1, "and was used again");
    pass(AGE / 2).await;
    assert_eq!(asked(&pool).await, "new");
    assert_eq!(moving.1.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn the_name_is_resolved_again_after_a_failed_connect() {
    towpath_runtime::install_crypto();
    let mut servers = JoinSet::new();
    let new = server("new", &mut servers).await;
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port").local_addr().expect("an address");
    let moving = Moving(Arc::new(Mutex::new(gone)), Arc::default());
    let resolver = moving.clone();
    let make = move || Ok(plain(AGE).no_proxy().dns_resolver(Arc::new(resolver.clone())).build().expect("a client"));
    let pool = Pool::new(AGE, make).expect("a pool");
    let failed = pool.client().get("http://moving.example/").send().await.expect_err("no server listens");
    assert!(failed.is_connect(), "{failed:?}");
    *moving.0.lock() = new;
    assert_eq!(asked(&pool).await, "new", "within the maximum age");
}

#[tokio::test]
async fn connections_that_cannot_be_renewed_are_kept() {
    towpath_runtime::install_crypto();
    let made = AtomicUsize::new(0);
    let make = move || match made.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(plain(AGE).build().expect("a client")),
        _ => Err(ClientError::Ca { endpoint: "target sss".to_owned() }),
    };
    let pool = Pool::new(AGE, make).expect("a pool");
    pass(AGE).await;
    let mut servers = JoinSet::new();
    let address = server("fine", &mut servers).await;
    let answer = pool.client().get(format!("http://{address}/")).send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "fine");
}
