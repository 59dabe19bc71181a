//! The guest's world: a fixed clock, seeded random numbers, and a stderr of which the end is kept. Nothing here waits,
//! so a guest cannot sleep in the host.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWrite;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::{HostWallClock, WasiCtx};

use towpath_types::clock::Timestamp;

/// How much of stderr is kept.
const STDERR: usize = 16 * 1024;

/// The most random bytes per guest call.
const MAX_RANDOM: u64 = 64 * 1024;

/// The WASI context of one call: nothing comes from the host, everything from the message.
pub(super) fn context(message_id: &str, now: Timestamp, stderr: &Stderr) -> WasiCtx {
    let seed: [u8; 32] = Sha256::digest(message_id.as_bytes()).into();
    let mut wasi = WasiCtx::builder();
    wasi.wall_clock(FrozenClock(now))
        .max_random_size(MAX_RANDOM)
        .secure_random(ChaCha8Rng::from_seed(seed))
        .insecure_random(ChaCha8Rng::from_seed(seed))
        .insecure_random_seed(u128::from_le_bytes(seed.first_chunk().copied().unwrap_or_default()))
        .stdout(stderr.clone())
        .stderr(stderr.clone());
    wasi.build()
}

/// A wall clock that never advances.
struct FrozenClock(Timestamp);

impl HostWallClock for FrozenClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.0)
    }
}

/// A monotonic clock that advances only when the guest sleeps, and then immediately.
#[derive(Default)]
pub(super) struct Monotonic {
    now: u64,
}

/// Lets the linker find a guest's monotonic clock.
pub(super) struct HasMonotonic;

impl HasData for HasMonotonic {
    type Data<'a> = MonotonicView<'a>;
}

/// The clock, and the table of its pollables.
pub(super) struct MonotonicView<'a> {
    pub(super) clock: &'a mut Monotonic,
    pub(super) table: &'a mut ResourceTable,
}

impl monotonic_clock::Host for MonotonicView<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.clock.now)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.clock.now = self.clock.now.max(when);
        let ready = self.table.push(Ready)?;
        subscribe(self.table, ready)
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(self.clock.now.saturating_add(duration))
    }
}

struct Ready;

#[async_trait::async_trait]
impl Pollable for Ready {
    async fn ready(&mut self) {}
}

/// The end of what a guest wrote to stdout and stderr.
#[derive(Clone, Default)]
pub(super) struct Stderr(Arc<Mutex<VecDeque<u8>>>);

impl Stderr {
    pub(super) fn text(&self) -> String {
        let mut tail = self.0.lock();
        String::from_utf8_lossy(tail.make_contiguous()).into_owned()
    }
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}

impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut tail = self.0.lock();
        // Copying a slice is fast; a guest may print megabytes.
        tail.extend(bytes.get(bytes.len().saturating_sub(STDERR)..).unwrap_or_default());
        let excess = tail.len().saturating_sub(STDERR);
        tail.drain(..excess);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STDERR)
    }
}
