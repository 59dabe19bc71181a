//! A TCP proxy whose connections can be cut and stalled.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    /// Bytes pass.
    Open,
    /// Every connection is reset, and every new one.
    Cut,
    /// Bytes are held back until the link is open again.
    Stalled,
}

/// A proxy. It runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    link: watch::Sender<Link>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free port for this upstream, which need not listen yet.
    pub(crate) async fn start(upstream: SocketAddr) -> anyhow::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("starting a proxy")?;
        let address = listener.local_addr().context("starting a proxy")?;
        let (link, state) = watch::channel(Link::Open);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, upstream, state));
        Ok(Proxy { address, link, _tasks: tasks })
    }

    pub(crate) fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, link: watch::Receiver<Link>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else { continue };
        connections.spawn(carry(client, upstream, link.clone()));
    }
}

async fn carry(client: TcpStream, upstream: SocketAddr, link: watch::Receiver<Link>) {
    let mut cut = link.clone();
    if *cut.borrow_and_update() == Link::Cut {
        return;
    }
    let _ = client.set_nodelay(true);
    let carried = async {
        let server = TcpStream::connect(upstream).await.ok()?;
        let _ = server.set_nodelay(true);
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let there = copy(from_client, to_server, link.clone());
        let back = copy(from_server, to_client, link.clone());
        // The end of one half must not end the other: an answer may still be in flight.
        tokio::join!(there, back);
        Some(())
    };
    tokio::select! {
        _ = carried => {}
        _ = cut.wait_for(|link| *link == Link::Cut) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: watch::Receiver<Link>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let was_open = *link.borrow() == Link::Open;
        if link.wait_for(|link| *link == Link::Open).await.is_err() {
            break;
        }
        // If the sender gave up meanwhile, nobody would get an answer, and a late request could undo what it did since.
        if !was_open && is_gone(&mut from) {
            break;
        }
        let Some(bytes) = buffer.get(..count) else { break };
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// Whether the other end has closed the connection.
fn is_gone(from: &mut OwnedReadHalf) -> bool {
    matches!(from.peek(&mut [0]).now_or_never(), Some(Ok(0) | Err(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_passes_bytes_stalls_and_is_cut() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("server");
        let proxy = Proxy::start(server.local_addr().expect("address")).await.expect("proxy");
        let mut client = TcpStream::connect(proxy.address).await.expect("client");
        let (mut there, _) = server.accept().await.expect("connection");
        let mut byte = [0];
        client.write_all(b"a").await.expect("write");
        assert_eq!(there.read_exact(&mut byte).await.map(|_| byte).ok(), Some(*b"a"));

        proxy.set(Link::Stalled);
        client.write_all(b"b").await.expect("write");
        tokio::select! {
            biased;
            _ = there.read_exact(&mut byte) => panic!("it passed"),
            () = async { for _ in 0..100 { tokio::task::yield_now().await; } } => {}
        }
        proxy.set(Link::Open);
        assert_eq!(there.read_exact(&mut byte).await.map(|_| byte).ok(), Some(*b"b"));

        // Bytes that are held back when their client goes away are dropped.
        let mut gone = TcpStream::connect(proxy.address).await.expect("client");
        let (mut there, _) = server.accept().await.expect("connection");
        proxy.set(Link::Stalled);
        gone.write_all(b"c").await.expect("write");
        drop(gone);
        // A later connection shows that the proxy has handled it.
        let mut later = TcpStream::connect(proxy.address).await.expect("client");
        let (mut later_there, _) = server.accept().await.expect("connection");
        proxy.set(Link::Open);
        later.write_all(b"d").await.expect("write");
        assert_eq!(later_there.read_exact(&mut byte).await.map(|_| byte).ok(), Some(*b"d"));
        assert!(matches!(there.read(&mut byte).await, Ok(0) | Err(_)), "nobody waits for an answer");

        proxy.set(Link::Cut);
        assert!(matches!(client.read(&mut byte).await, Ok(0) | Err(_)), "cut");
        let mut again = TcpStream::connect(proxy.address).await.expect("client");
        assert!(matches!(again.read(&mut byte).await, Ok(0) | Err(_)), "a new one too");
    }
}
