//! The commands that prove what is promised.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// `chaos`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath chaos                               a minute of faults by a seed that is shown
  towpath chaos --seed 7 --minutes 30         longer, by a seed that was shown
  towpath chaos --folder ./run --json         keep the store and all logs

Hosts share one queue: some serve, some poll its SQS endpoint. While senders post events of thousands of groups, hosts
are killed, ended and frozen, connections cut and stalled; the target answers 429, 5xx, too late and half; dead-letter
sends fail, the target is held, the mapping replaced by one that traps, the disk is full. A build with the feature
`faults` moves the clocks too. The target keeps the books: nothing lost, the order of every group kept, the rest dead for
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
    /// Where store, configs and logs are kept [default: a folder that goes away if all is well]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// A bug that is to be found
    #[cfg(feature = "faults")]
    #[arg(long, value_name = "BUG", value_parser = ["ack-before-delivery", "release-head-first"])]
    pub planted: Option<String>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse().ok().filter(|minutes| (0.1..=10_000.0).contains(minutes));
    minutes.ok_or_else(|| "a number of minutes from 0.1 to 10000".to_owned())
}
