//! The commands that prove what is promised.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use towpath_proof::bench::Row;

/// `chaos`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath chaos                               a minute of faults by a seed that is shown
  towpath chaos --seed 7 --minutes 30         longer, by a seed that was shown
  towpath chaos --folder ./run --json         keep the store and all logs
  towpath chaos --bootstrap target/debug/bootstrap   the Lambda host is among the hosts

Hosts share one queue: some serve, some poll its SQS endpoint, functions get its batches. While senders post events of \
thousands of groups, hosts are killed, ended and frozen, connections cut and stalled; the target answers 429, 5xx, too late \
and half; dead-letter sends fail, the target is held, the mapping replaced by one that traps, the disk is full. A build with the feature \
`faults` moves the clocks too. The target keeps the books: nothing lost, the order of every group kept, the rest dead for \
the right reason, and no duplicate once all is calm.

Exit code 1 if the books do not add up: the seed and the history of each group are printed.")]
pub struct Chaos {
    /// What decides on events and faults [default: another one each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long there are faults
    #[arg(long, default_value_t = 1.0, value_name = "MINUTES", value_parser = minutes)]
    pub minutes: f64,
    /// How many groups
    #[arg(long, default_value_t = 3000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub groups: u32,
    /// About how many events are sent a second
    #[arg(long, default_value_t = 150, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// How many hosts serve, with the queue and an ingest
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub serve: u8,
    /// How many hosts poll the queue's endpoint
    #[arg(long, default_value_t = if cfg!(feature = "aws") { 2 } else { 0 }, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=16))]
    pub poll: u8,
    /// The Lambda host too: `bootstrap`, as `cargo build -p towpath-lambda` builds it; `towpath dev` invokes it
    #[arg(long, value_name = "FILE")]
    pub bootstrap: Option<PathBuf>,
    /// Where store, configs and logs are kept [default: a folder that goes away if all is well]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// A bug that is to be found
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
  towpath bench --quick                       two minutes: every way, in one scenario
  towpath bench --quick --rows limit,serve    the same for two of them
  towpath bench --html bench.html             all scenarios, with bars
  towpath bench --bootstrap bootstrap --python tests/baseline/runtime.py --markdown BENCHMARKS.md

Every row carries the same events to the same target on this machine, which verifies each: lost, twice, out of order. Beside \
`serve`, `poll`, the Lambda host and ingest stand the Python forwarder, a bare loop of requests, and that loop with the plugin's \
call, which is the limit. Run a build with optimisations. Exit code 1 if an event is lost or out of order.")]
pub struct Bench {
    /// One scenario instead of all
    #[arg(long)]
    pub quick: bool,
    /// These ways and no others: ingest, bare, limit, core-limit, serve, poll, beside, function, python
    #[arg(long, value_name = "ROW,…", value_delimiter = ',', value_parser = row)]
    pub rows: Vec<Row>,
    /// The Lambda host: `bootstrap`, as `make lambda` builds it
    #[arg(long, value_name = "FILE")]
    pub bootstrap: Option<PathBuf>,
    /// The forwarder in Python, behind the Runtime API
    #[arg(long, value_name = "FILE")]
    pub python: Option<PathBuf>,
    /// Also write the tables here
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Also write bars here
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// What a row runs in a process of its own
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
}

fn row(text: &str) -> Result<Row, String> {
    let named = serde_json::from_value(serde_json::Value::String(text.to_owned()));
    named.map_err(|_| "one of ingest, bare, limit, core-limit, serve, poll, beside, function and python".to_owned())
}
