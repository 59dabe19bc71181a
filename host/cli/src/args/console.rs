//! `console`.

use std::net::SocketAddr;

use clap::Args as ClapArgs;

use super::{LogGroups, Names, QueuePlace};

/// `console`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath console                             the queues and the store of towpath.toml
  towpath console --store /var/lib/towpath --read-only
  AWS_PROFILE=ops towpath console -c s3://bucket/towpath.json
  towpath console -c s3://bucket/towpath.json --log-group /aws/lambda/towpath-host --since 7d

It prints a link that logs in once, within 10 minutes. After that the token in `console.token` logs in: it is in the folder of the \
store, and for SQS in `.towpath` of the working directory. On AWS the console has the permissions of whoever starts it.

`towpath serve --console` and `towpath dev` have the same console. Ctrl-C ends it; hosts notice nothing.

Exit codes: 0 after Ctrl-C; 2 if the store or queue cannot be read, or nothing can listen at the address.")]
pub struct Console {
    /// The store or queue
    #[command(flatten)]
    pub place: QueuePlace,
    /// The address to listen on [default: console.listen, 127.0.0.1:8082, or a free port if it is taken]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where functions log the story
    #[command(flatten)]
    pub logs: LogGroups,
    /// Let everybody look, and nobody act
    #[arg(long)]
    pub read_only: bool,
    /// Allowed host names
    #[command(flatten)]
    pub names: Names,
}
