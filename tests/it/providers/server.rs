//! A real server with a real store, as a sender meets it: requests go over a socket, byte for byte.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use towpath_config::Config;
use towpath_intake::{Ingest, router};
use towpath_local::Browsed;
use towpath_tests::rig::Rig;
use towpath_tests::server::Server;
use towpath_types::clock::{Clock, Timestamp};
use towpath_verify::note_keys::NoteKeys;

use super::publisher::Publisher;

/// What comes over the wire.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: &'a [(String, Vec<u8>)],
    pub(super) body: &'a [u8],
}

#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// Names are in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answered {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The server of one config, at a moment that does not pass.
pub(super) struct Front {
    rig: Rig,
    server: Server,
    pub(super) publisher: Publisher,
}

impl Front {
    pub(super) async fn of(config: Config, at: Timestamp, publisher: Publisher) -> Front {
        let clock = Clock::starting_at(at, stopped);
        let rig = Rig::with_clock(clock).await;
        let ingest = Ingest::new(config.routes, Arc::new(rig.events.clone()), 1024 * 1024)
            .keeping_refused(Arc::new(rig.refused.clone()))
            .fetching_with(publisher.clone())
            .vouching_by(NoteKeys::new(config.note_keys))
            .clocked_by(clock);
        let server = Server::start(router(Arc::new(ingest), "/hooks")).await;
        Front { rig, server, publisher }
    }

    pub(super) async fn ask(&self, request: &Request<'_>) -> Answered {
        let address = self.server.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let Request { method, target, headers, body } = request;
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nhost: hooks.example.com\r\nconnection: close\r\n");
        bytes.push_str(&format!("content-length: {}\r\n", body.len()));
        let mut bytes = bytes.into_bytes();
        for (name, value) in *headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend([b"\r\n", *body].concat());
        stream.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        read(&answer)
    }

    /// The events that are stored.
    pub(super) async fn stored(&self) -> Vec<Browsed> {
        self.rig.events.browse(None, 100).await.unwrap()
    }
}

/// A monotonic clock that stands still: no case depends on how long a test takes.
fn stopped() -> Instant {
    static MOMENT: LazyLock<Instant> = LazyLock::new(Instant::now);
    *MOMENT
}

fn read(answer: &[u8]) -> Answered {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    Answered { status, headers: lines.map(header).collect(), body: body.to_owned() }
}
