//! `mcp`.

use clap::Args as ClapArgs;

use super::{LogGroups, QueuePlace};

/// `mcp`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath mcp -c /etc/towpath.toml
  towpath mcp --store /var/lib/towpath
  towpath mcp -c /etc/towpath.toml --with-bodies
  towpath mcp -c s3://bucket/towpath.json --log-group /aws/lambda/towpath-host

An assistant starts it by itself, and speaks the Model Context Protocol (https://modelcontextprotocol.io) with it over standard input and output. \
Register it like this:

  {
    \"mcpServers\": {
      \"towpath\": { \"command\": \"towpath\", \"args\": [\"mcp\", \"-c\", \"/etc/towpath.toml\"] }
    }
  }

Its tools change nothing. Those that plan an action return the command and the page of the console with which a person may carry it out. \
Bodies and headers of events are withheld unless --with-bodies is given. Then secret values are hidden as in `towpath dlq show`, a body is cut at \
16 KiB, and each look is written to the audit. Logs go to standard error. On SQS, tools show neither groups nor dead letters.

Exit codes: 0 when the assistant closes standard input, or after Ctrl-C; 2 if the store or queue cannot be read.")]
pub struct Mcp {
    /// The store or queue
    #[command(flatten)]
    pub place: QueuePlace,
    /// Where functions log the story
    #[command(flatten)]
    pub logs: LogGroups,
    /// Show bodies and headers of events to the assistant, without secret values
    #[arg(long)]
    pub with_bodies: bool,
}
