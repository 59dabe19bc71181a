//! `provider`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{ConfigFile, Signature};

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
    /// Try the handshakes and proofs of a provider's route on a running ingest
    Test(ProviderTest),
    /// Show how much of each sender is supported, and count
    #[command(after_help = "\
Examples:
  towpath provider coverage
  towpath provider coverage --json | jq .fully_percent

One row a sender. CONNECTS: a route can be set up by its name. ANSWERS: its handshake is answered; - if it has none. PROVES: its \
own proof is verified; url if it has none, so that a secret in the URL stands for it. KEYS: whether the order key and the id of \
its events are known. A sender is fully connected if no column but KEYS says no.")]
    Coverage,
}

/// `provider test`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
Examples:
  towpath provider test zoom                  handshakes, and webhooks that must be refused
  towpath provider test github --event plugins/github/cases/opened/message.json
  towpath provider test --path tenants/acme/crm --send --json

Sends requests to a running `towpath serve` or `towpath dev`, and compares each answer with the one that the config asks for. \
Nothing of it is stored: handshakes are answered, and a webhook without a proof or with the proof of a stranger must be refused \
(it is kept for a day, see `towpath dlq list --refused`). On a route that does not verify at ingest such a webhook would be \
stored, and is not sent.

--send and --event also send one event with a valid signature. It is stored and delivered like any event, to your targets; a made-up one becomes a dead letter if the plugin does not know it.

A route that learns its secret from a handshake need not be armed. The test sends it a secret that is never learned, which must \
be refused, and the learned one, if there is one. It sends no such handshake to an armed route.

Secrets are read from TOWPATH_SECRET_…, as `towpath serve` does.

Exit codes: 0 if every answer is as expected; 1 if one differs; 2 if nothing answers, or the config has no such route.")]
pub struct ProviderTest {
    /// The provider, whose routes in the config are tested
    #[arg(required_unless_present = "path")]
    pub name: Option<String>,
    /// The path of the one route to test, such as tenants/acme/crm
    #[arg(long)]
    pub path: Option<String>,
    /// The URL of the ingest, including its prefix [default: the address and prefix of the config]
    #[arg(long, value_name = "URL", value_parser = ingest_url)]
    pub to: Option<String>,
    /// Also send a made-up event with a valid signature: it is stored and delivered
    #[arg(long)]
    pub send: bool,
    /// Also send this recorded event (message.json) with a valid signature: it is stored and delivered
    #[arg(long, value_name = "FILE")]
    pub event: Option<PathBuf>,
    /// The key to sign with
    #[command(flatten)]
    pub signature: Signature,
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
}

fn ingest_url(text: &str) -> Result<String, String> {
    super::url(text).map_err(|_| "it is not the URL of an ingest, such as http://127.0.0.1:8080/hooks".to_owned())
}
