//! The ticker of the engine's epoch: it ends guests that run for too long. It rests while no guest runs, because a thread that wakes all
//! the time costs an idle host more than everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};

use super::host::TICK;

/// How many ticks without a guest it waits before it rests. To wake it for each of a few calls a second would cost more than to tick.
const PATIENCE: u32 = 100;

/// The ticker of an engine. Ends with the last clone.
#[derive(Clone)]
pub(super) struct Ticker {
    thread: Arc<Ending>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// How many guests run.
    running: AtomicUsize,
    rests: AtomicBool,
}

/// Wakes the thread when the engine is dropped, so that it sees that.
struct Ending(Thread);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

impl Ticker {
    /// A plain thread, because a guest that spins can starve all tokio timers.
    pub(super) fn start(engine: &wasmtime::Engine) -> std::io::Result<Ticker> {
        Ticker::start_with(engine, PATIENCE)
    }

    fn start_with(engine: &wasmtime::Engine, patience: u32) -> std::io::Result<Ticker> {
        let engine = engine.weak();
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let tick = move || {
            let mut idle = 0;
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                thread::sleep(TICK);
                idle = if shared.running.load(Ordering::SeqCst) > 0 { 0 } else { idle + 1 };
                if idle > patience {
                    shared.rest();
                    idle = 0;
                }
            }
        };
        let thread = thread::Builder::new().name("towpath-ticker".to_owned()).spawn(tick)?.thread().clone();
        Ok(Ticker { thread: Arc::new(Ending(thread)), state })
    }

    /// A guest runs until the result is dropped.
    pub(super) fn run(&self) -> Running {
        self.state.running.fetch_add(1, Ordering::SeqCst);
        // Either this sees that it rests, or it sees that a guest runs.
        if self.state.rests.load(Ordering::SeqCst) {
            self.thread.0.unpark();
        }
        Running(Arc::clone(&self.state))
    }
}

impl State {
    /// Rests until a guest runs, or the engine is gone.
    fn rest(&self) {
        self.rests.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) == 0 {
            thread::park();
        }
        self.rests.store(false, Ordering::SeqCst);
    }
}

/// A guest that runs.
pub(super) struct Running(Arc<State>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> wasmtime::Engine {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        wasmtime::Engine::new(&config).expect("an engine")
    }

    fn until(condition: impl Fn() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    #[cfg(feature = "compile")]
    /// Runs a guest that never ends by itself, until the epoch ends it.
    fn spin(engine: &wasmtime::Engine) {
        // (module (func (export "spin") (loop br 0)))
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x08\x01\x04spin\0\0\x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";
        let module = wasmtime::Module::new(engine, module).expect("a module");
        let mut store = wasmtime::Store::new(engine, ());
        store.set_epoch_deadline(1);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("an instance");
        let spin = instance.get_typed_func::<(), ()>(&mut store, "spin").expect("a function");
        let error = spin.call(&mut store, ()).expect_err("it is ended");
        assert_eq!(error.downcast_ref::<wasmtime::Trap>(), Some(&wasmtime::Trap::Interrupt));
    }

    #[cfg(feature = "compile")]
    #[test]
    fn it_rests_while_no_guest_runs_and_still_ends_the_next_one() {
        let engine = engine();
        let ticker = Ticker::start_with(&engine, 0).expect("a ticker");
        for _ in 0..20 {
            until(|| ticker.state.rests.load(Ordering::SeqCst));
            let running = ticker.run();
            spin(&engine);
            assert!(!ticker.state.rests.load(Ordering::SeqCst), "a guest runs");
            drop(running);
        }
    }

    #[test]
    fn it_ends_with_the_engine_even_while_it_rests() {
        let engine = engine();
        let ticker = Ticker::start_with(&engine, 0).expect("a ticker");
        let state = Arc::downgrade(&ticker.state);
        until(|| ticker.state.rests.load(Ordering::SeqCst));
        drop(engine);
        drop(ticker);
        until(|| state.strong_count() == 0);
    }
}
