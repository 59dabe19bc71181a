//! The faults, in three lanes. Each lane injects faults of its own kind, one after another, by the seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::Settings;
use super::world::{QUEUE, World};
use crate::proxy::Link;
use crate::receiver::Mood;

/// The number of faults, by kind.
pub(super) type Done = BTreeMap<&'static str, usize>;

/// How far clocks are moved forward or back. All ranges are in milliseconds.
const CLOCK: (u64, u64) = (1000, 20_000);

/// The pause between two faults of a lane, and how long a fault lasts.
const PAUSE: (u64, u64) = (200, 1500);
const LENGTH: (u64, u64) = (300, 3000);

/// A host is frozen for longer than the lease of `poll`, 4 s.
const FROZEN: (u64, u64) = (4500, 7000);

/// Rarely, a host that serves or runs functions is frozen for longer than its lease: 30 s and 18 s.
const FROZEN_LONG: (u64, u64) = (30_500, 33_000);

/// An answer of the queue is delayed for longer than the lease of `poll`, 4 s, and for less than its client's timeout: 6 s, for a
/// request that waits at most one second.
const LATE: (u64, u64) = (4500, 4900);

/// The planted bug that only late answers of the queue reveal.
const LEASE_FROM_ANSWER: &str = "lease-from-answer";

/// A file size limit at which nothing can be stored.
const FULL_DISK: u64 = 16 * 1024;

/// Starts the lanes. Each ends at `end`, with its last fault undone.
pub(super) fn start(world: &Arc<World>, settings: &Settings, end: Instant) -> JoinSet<Done> {
    let lane = |kind: Kind| {
        let seed = settings.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(kind as u64);
        let functions = settings.bootstrap.is_some();
        let only_late = settings.planted.as_deref() == Some(LEASE_FROM_ANSWER);
        let world = Arc::clone(world);
        let random = Rng::with_seed(seed);
        let done = Done::new();
        Lane { kind, world, random, functions, only_late, end, done }
    };
    let operation = if settings.clocks { Kind::OperationAndClocks } else { Kind::Operation };
    [Kind::Process, Kind::Network, operation].map(|kind| lane(kind).run()).into_iter().collect()
}

/// What a lane injects faults into. No two lanes touch the same thing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Process,
    Network,
    Operation,
    OperationAndClocks,
}

struct Lane {
    kind: Kind,
    world: Arc<World>,
    random: Rng,
    functions: bool,
    /// Whether to inject only late answers of the queue.
    only_late: bool,
    end: Instant,
    done: Done,
}

impl Lane {
    async fn run(mut self) -> Done {
        loop {
            let pause = self.between(PAUSE);
            sleep_until((Instant::now() + pause).min(self.end)).await;
            if Instant::now() >= self.end {
                return self.done;
            }
            let made = match self.kind {
                Kind::Network if self.only_late || self.random.u32(..8) == 0 => self.late().await,
                _ if self.only_late => return self.done,
                Kind::Process => self.process().await,
                Kind::Network => self.network().await,
                Kind::Operation | Kind::OperationAndClocks => self.operation().await,
            };
            if let Err(error) = made {
                self.world.journal.done(format!("a fault could not be injected: {error:#}"));
            }
        }
    }

    fn between(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_millis(self.random.u64(least..=most))
    }

    /// Records a fault; returns how long it lasts.
    fn begin(&mut self, kind: &'static str, detail: &str, length: (u64, u64)) -> Duration {
        *self.done.entry(kind).or_default() += 1;
        let length = self.between(length);
        self.world.journal.done(format!("{kind}{detail}, for {} ms", length.as_millis()));
        length
    }

    /// Kills, terminates and freezes hosts.
    async fn process(&mut self) -> anyhow::Result<()> {
        let world = Arc::clone(&self.world);
        let host = self.random.usize(..world.hosts());
        match self.random.u32(..if self.functions { 5 } else { 4 }) {
            0 | 1 => {
                let length = self.begin("killed", &format!(" host {host}"), LENGTH);
                if let Some(mut process) = world.host(host).await {
                    process.kill().await;
                }
                sleep(length).await;
                world.restart(host).await
            }
            2 => {
                let length = self.begin("ended", &format!(" host {host}"), LENGTH);
                if let Some(mut process) = world.host(host).await {
                    process.terminate().await;
                }
                sleep(length).await;
                world.restart(host).await
            }
            4 => {
                let length = self.begin("killed functions", "", LENGTH);
                world.kill_functions().await;
                sleep(length).await;
                Ok(())
            }
            _ => self.freeze(host).await,
        }
    }

    /// Freezes a host for a while.
    async fn freeze(&mut self, host: usize) -> anyhow::Result<()> {
        let world = Arc::clone(&self.world);
        // The first host has the queue: while it is frozen, nothing happens.
        let may_be_long = host > 0 && !world.polling().contains(&host);
        let long = may_be_long && self.random.u32(..4) == 0;
        let length = self.begin("frozen", &format!(" host {host}"), if long { FROZEN_LONG } else { FROZEN });
        let Some(process) = world.host(host).await else { return Ok(()) };
        let from = world.journal.elapsed();
        process.freeze();
        sleep(length).await;
        world.journal.paused(host, from);
        process.thaw();
        Ok(())
    }

    /// Delays the queue's answers to `poll` until the messages in them are visible to other hosts.
    async fn late(&mut self) -> anyhow::Result<()> {
        let length = self.begin("late answers", " of the queue", LATE);
        if let Some((_, queue)) = self.world.lines.iter().find(|(name, _)| *name == QUEUE) {
            queue.set(Link::Stalled);
        }
        sleep(length).await;
        self.world.calm();
        Ok(())
    }

    /// Cuts and stalls connections, and makes the target misbehave.
    async fn network(&mut self) -> anyhow::Result<()> {
        let world = Arc::clone(&self.world);
        if self.random.bool() {
            let Some((name, line)) = world.lines.get(self.random.usize(..world.lines.len())) else { return Ok(()) };
            let cut = self.random.bool();
            let length = self.begin(if cut { "cut" } else { "stalled" }, &format!(" the line to the {name}"), LENGTH);
            line.set(if cut { Link::Cut } else { Link::Stalled });
            sleep(length).await;
        } else {
            let mood = match self.random.u32(..6) {
                0 => Mood::Away(503),
                1 => Mood::Away(429),
                2 => Mood::Away(500),
                3 => Mood::Slow,
                4 => Mood::Torn,
                _ => Mood::Shaky(2),
            };
            let length = self.begin("target", &format!(" is {mood:?}"), LENGTH);
            world.target.set(mood);
            sleep(length).await;
        }
        world.calm();
        Ok(())
    }

    /// Holds the target, breaks the plugin, replays events, fills the disk, moves the clock.
    async fn operation(&mut self) -> anyhow::Result<()> {
        let world = Arc::clone(&self.world);
        match self.random.u32(..if self.kind == Kind::OperationAndClocks { 14 } else { 9 }) {
            0..4 => {
                let length = self.begin("hold", " of the target", LENGTH);
                world.run(&["hold", "sss", "-c", "serve.toml"]).await?;
                sleep(length).await;
                let resume: &[&str] = if self.random.bool() {
                    &["resume", "sss", "-c", "serve.toml"]
                } else {
                    &["resume", "sss", "-c", "serve.toml", "--rate", "200/s"]
                };
                world.run(resume).await?;
            }
            4 => {
                // Rarely, because dead letters say little about order. Hosts check the registry every 15 s, and when they start.
                let length = self.begin("broken plugin", "", (4000, 16_000));
                world.swap(true).await?;
                sleep(length).await;
                world.swap(false).await?;
            }
            5 => {
                let length = self.begin("replay", " of the last seconds", LENGTH);
                let since = format!("{}s", self.random.u32(1..=5));
                let done = world.run(&["replay", "--since", &since, "--overtaken", "-c", "serve.toml"]).await?;
                anyhow::ensure!(done == Some(0), "the replay failed: see commands.log");
                sleep(length).await;
            }
            6..9 => {
                let length = self.begin("full disk", "", LENGTH);
                self.limit_files(Some(FULL_DISK)).await;
                sleep(length).await;
                self.limit_files(None).await;
            }
            _ => {
                let by = i64::try_from(self.between(CLOCK).as_millis())?;
                let by = if self.random.bool() { by } else { -by };
                let length = self.begin("clock", &format!(" {by:+} ms"), LENGTH);
                world.set_clock(by)?;
                sleep(length).await;
                world.set_clock(0)?;
            }
        }
        Ok(())
    }

    async fn limit_files(&self, bytes: Option<u64>) {
        for host in 0..self.world.serving() {
            if let Some(process) = self.world.host(host).await {
                process.limit_files(bytes);
            }
        }
    }
}
