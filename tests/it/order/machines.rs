//! Hosts and a service in a time that tests make: each has a runtime of its own with tokio's paused clock, and all go on
//! together, a step at a time. A host can stand still while everything else goes on, as a process that is stopped or a machine
//! that is suspended does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;
use towpath_types::clock::{Clock, Timestamp};

use super::books::Pauses;

/// How far all go at a time: the clocks of two machines differ by this at most.
const STEP: Duration = Duration::from_millis(50);

/// Where wall clocks begin, so that they can be set back.
const ORIGIN: Timestamp = Timestamp(1_700_000_000_000);
const AHEAD: Duration = Duration::from_secs(3600);

/// What is done to a host.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Its process is stopped, and goes on later: both clocks went on.
    Stopped(Duration),
    /// Its machine is suspended: the monotonic clock stood still.
    Suspended(Duration),
    /// Its wall clock is set back.
    SetBack(Duration),
}

/// A fault, the host that it is done to, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) at: Duration,
    pub(super) host: u64,
    pub(super) fault: Fault,
}

/// Up to seven faults of the first `hosts`; they last up to three times `lease`. One run does not suspend machines and set
/// clocks back: a clock that is set back by as long as the other stood still tells nobody that it did.
pub(super) fn faults(hosts: u64, lease: Duration) -> impl Strategy<Value = Vec<Planned>> {
    let longest = millis(lease * 3);
    let fault = (0..20_000_u64, 0..hosts, any::<bool>(), 100..longest);
    (any::<bool>(), prop::collection::vec(fault, 0..8)).prop_map(|(suspends, faults)| {
        let plan = |(at, host, stops, length)| {
            let length = Duration::from_millis(length);
            let fault = match (stops, suspends) {
                (true, _) => Fault::Stopped(length),
                (false, true) => Fault::Suspended(length),
                (false, false) => Fault::SetBack(length),
            };
            Planned { at: Duration::from_millis(at), host, fault }
        };
        faults.into_iter().map(plan).collect()
    })
}

struct Host {
    runtime: Runtime,
    work: JoinHandle<()>,
    stop: CancellationToken,
    /// By how much its wall clock is ahead of tokio's.
    ahead: &'static AtomicU64,
    /// Until when it stands still, and what it finds when it goes on.
    still: Option<(Duration, Fault)>,
}

/// All machines.
pub(super) struct Machines {
    service: Runtime,
    hosts: BTreeMap<u64, Host>,
    faults: Vec<Planned>,
    pauses: Pauses,
    elapsed: Duration,
}

/// What a host is started with.
pub(super) struct Start {
    pub(super) service: Handle,
    pub(super) clock: Clock,
    pub(super) stop: CancellationToken,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

impl Machines {
    pub(super) fn new(faults: Vec<Planned>, pauses: Pauses) -> Machines {
        Machines { service: runtime(), hosts: BTreeMap::new(), faults, pauses, elapsed: Duration::ZERO }
    }

    /// Does something at the service. Its time goes on only if that waits.
    pub(super) fn at_service<T>(&self, work: impl Future<Output = T>) -> T {
        self.service.block_on(work)
    }

    /// The clock of the service.
    pub(super) fn clock(&self) -> Clock {
        let _entered = self.service.enter();
        towpath_runtime::time::tokio_clock(ORIGIN)
    }

    /// Starts a host.
    pub(super) fn start<W>(&mut self, host: u64, work: impl FnOnce(Start) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let ahead: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(millis(AHEAD))));
        let runtime = runtime();
        let stop = CancellationToken::new();
        let clock = {
            let _entered = runtime.enter();
            towpath_runtime::time::tokio_clock(ORIGIN + self.elapsed).shifted(ahead)
        };
        let work = work(Start { service: self.service.handle().clone(), clock, stop: stop.clone() });
        let work = runtime.spawn(work);
        self.hosts.insert(host, Host { runtime, work, stop, ahead, still: None });
    }

    /// Ends a host where it is; requests that it made go on.
    pub(super) fn kill(&mut self, host: u64) {
        self.hosts.remove(&host);
    }

    /// Asks a host to end, and waits until it has.
    pub(super) fn drain(&mut self, host: u64) {
        self.hosts[&host].stop.cancel();
        while !self.hosts[&host].work.is_finished() {
            self.pass(STEP);
        }
        self.kill(host);
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.elapsed + time;
        while self.elapsed < end {
            self.hurt();
            self.service.block_on(async { sleep(STEP).await });
            for host in self.hosts.values_mut() {
                host.step(self.elapsed);
            }
            self.elapsed += STEP;
        }
    }

    /// Does what is planned for now.
    fn hurt(&mut self) {
        let now = self.elapsed;
        for Planned { host: number, fault, .. } in self.faults.extract_if(.., |planned| planned.at <= now) {
            let Some(host) = self.hosts.get_mut(&number).filter(|host| host.still.is_none()) else { continue };
            match fault {
                Fault::Stopped(length) | Fault::Suspended(length) => {
                    host.still = Some((now + length, fault));
                    self.service.block_on(async { self.pauses.begin(number) });
                }
                Fault::SetBack(length) => {
                    let set_back = |ahead: u64| Some(ahead.saturating_sub(millis(length)));
                    host.ahead.fetch_update(Ordering::SeqCst, Ordering::SeqCst, set_back).unwrap();
                }
            }
        }
    }
}

impl Host {
    fn step(&mut self, now: Duration) {
        match self.still {
            Some((until, _)) if now < until => return,
            Some((_, Fault::Stopped(length))) => self.runtime.block_on(advance(length)),
            Some((_, Fault::Suspended(length))) => drop(self.ahead.fetch_add(millis(length), Ordering::SeqCst)),
            Some((_, Fault::SetBack(_))) | None => {}
        }
        self.still = None;
        self.runtime.block_on(async { sleep(STEP).await });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}
