//! `provider`.

use clap::Subcommand;

#[derive(Subcommand, Debug)]
pub enum Provider {
    /// List the senders that `provider` of a route knows
    #[command(after_help = "\
Examples:
  towpath provider list
  towpath provider list --search pay
  towpath provider list --json

PROOF is how the sender proves who it is: the algorithm of its signature, or jwt, basic, or token for a secret that it sends \
along. HANDSHAKE: it checks the endpoint before it sends events. SPLIT: one request holds several events, and each becomes a \
message. CONFIDENCE says how well the sender's rules are documented.")]
    List {
        /// Only those whose name or title contains this text, in any case
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Show a route for a sender, the secrets that it needs, and what to do at the sender
    #[command(after_help = "\
Examples:
  towpath provider show github
  towpath provider show twilio --json

The route is complete but for the plugin and values in angle brackets. Behind # is what the provider stands for: a key that \
the route has itself replaces it. docs/configure.md#providers

Exit code 2 if there is no such provider.")]
    Show {
        /// The name, as `towpath provider list` prints it
        name: String,
    },
}
