//! The commands that test the promises.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use towpath_proof::bench::Row;

/// `chaos`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath chaos                               a minute of faults by a random seed, which is printed
  towpath chaos --seed 7 --minutes 30         longer, by a known seed
  towpath chaos --folder ./run --json         keep the store and all logs
  towpath chaos --bootstrap target/debug/bootstrap   add the Lambda host

Several hosts share one queue: some `serve`, some `poll` its SQS endpoint, functions get its batches. Senders post events of \
thousands of groups. Meanwhile hosts are killed, stopped and frozen, and connections cut and stalled; the target answers \
429, 5xx, too late or half; dead-letter sends fail, the target is held, events are replayed, the plugin is replaced by one that traps, and the disk \
fills up. A build with the feature `faults` also moves the clocks.

The test target records every request, and the run is checked against that record: nothing is lost, every group is in order, \
dead letters have the right reason, and nothing is sent twice once the faults are over.

Exit codes: 0 if the record is right; 1 if not, with the seed and the history of each wrong group; 130 after Ctrl-C.")]
pub struct Chaos {
    /// The seed of events and faults [default: random, printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long faults are injected, 0.1 to 10000 minutes
    #[arg(long, default_value_t = 1.0, value_name = "MINUTES", value_parser = minutes)]
    pub minutes: f64,
    /// The number of groups
    #[arg(long, default_value_t = 3000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub groups: u32,
    /// About how many events are sent per second
    #[arg(long, default_value_t = 150, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// How many hosts run `serve`, each with an ingest, on one store
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub serve: u8,
    /// How many hosts run `poll` over the SQS endpoint
    #[arg(long, default_value_t = if cfg!(feature = "aws") { 2 } else { 0 }, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=16))]
    pub poll: u8,
    /// Add the Lambda host: the `bootstrap` that `cargo build -p towpath-lambda` builds; `towpath dev` invokes it
    #[arg(long, value_name = "FILE")]
    pub bootstrap: Option<PathBuf>,
    /// The folder for store, configs and logs [default: a temporary one, removed unless something is wrong]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Plant a bug that the run must find
    #[cfg(feature = "faults")]
    #[arg(long, value_name = "BUG", value_parser = ["ack-before-delivery", "release-head-first", "lease-from-answer"])]
    pub planted: Option<String>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes| (0.1..=10_000.0).contains(minutes));
    minutes.ok_or_else(|| "a number of minutes from 0.1 to 10000".to_owned())
}

/// `bench`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath bench --quick                       about two minutes: every row, in one scenario
  towpath bench --quick --rows limit,serve    only two rows
  towpath bench --html bench.html             all scenarios, with bars
  towpath bench --bootstrap bootstrap --python tests/baseline/runtime.py --markdown BENCHMARKS.md

Every row sends the same events to the same target on this machine. The target verifies each event: lost, duplicated, out of \
order. The rows compare `serve`, `poll`, the Lambda host and ingest with a forwarder in Python, a bare loop of requests, and \
that loop with the plugin's call, which is the limit. Use an optimised build.

Exit codes: 0 if every event arrived in order; 1 if one was lost or out of order; 130 after Ctrl-C.")]
pub struct Bench {
    /// Run one scenario instead of all
    #[arg(long)]
    pub quick: bool,
    /// Only these rows: ingest, bare, limit, core-limit, serve, poll, beside, function, python
    #[arg(long, value_name = "ROW,…", value_delimiter = ',', value_parser = row)]
    pub rows: Vec<Row>,
    /// The Lambda host: the `bootstrap` that `make lambda` builds; required for the row function
    #[arg(long, value_name = "FILE")]
    pub bootstrap: Option<PathBuf>,
    /// The forwarder in Python, behind the Runtime API; required for the row python
    #[arg(long, value_name = "FILE")]
    pub python: Option<PathBuf>,
    /// Also write the tables to this file, as Markdown
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Also write bars to this file, as HTML
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The part of a row that runs in a process of its own
    #[arg(long, hide = true, value_parser = ["bare", "parts"])]
    pub child: Option<String>,
    #[arg(long, hide = true, requires = "child")]
    pub(crate) child_target: Option<String>,
    #[arg(long, hide = true, requires = "child", default_value_t = 0)]
    pub(crate) child_messages: u32,
    #[arg(long, hide = true, requires = "child", default_value_t = 1)]
    pub(crate) child_groups: u32,
    #[arg(long, hide = true, requires = "child", default_value_t = 200)]
    pub(crate) child_bytes: u32,
    #[arg(long, hide = true, requires = "child", default_value_t = 16)]
    pub(crate) child_lanes: u32,
    #[arg(long, hide = true, requires = "child", default_value_t = 0)]
    pub(crate) child_rate: u32,
}

fn row(text: &str) -> Result<Row, String> {
    let named = serde_json::from_value(serde_json::Value::String(text.to_owned()));
    named.map_err(|_| {
        "one of ingest, bare, limit, core-limit, serve, poll, beside, live, function and python".to_owned()
    })
}
