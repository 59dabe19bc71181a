//! `secret`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use towpath_operate::secret;

use super::ConfigFile;

/// The shortest time for which a route takes a new secret.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest time for which a route takes a new secret.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// `secret`.
#[derive(Subcommand, Debug)]
pub enum Secret {
    /// Let the next handshake of a route bring its secret
    #[command(after_help = "\
Examples:
  towpath secret arm asana                    then create the webhook at Asana within 15 minutes
  towpath secret arm asana --for 1h
  towpath secret arm asana -c s3://bucket/towpath.json

The first handshake that carries a usable secret uses this up. Until then whoever knows the URL of the route can \
send one, so arm it just before you create the webhook. A secret that was learned before stays in use until a new one is \
learned. Running hosts need no restart. On AWS you need permission to write the secret; it is created if it does not exist.

Exit code 2 if no route keeps a secret of this name, or it cannot be stored.")]
    Arm {
        /// The name of the secret; `towpath secret list` prints all
        name: String,
        /// How long the route takes a new secret, 1s to 24h
        #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = length)]
        length: Duration,
        /// Where the secrets are
        #[command(flatten)]
        place: SecretPlace,
    },
    /// Take no new secret any more; the learned one stays in use
    #[command(after_help = "\
Example:
  towpath secret disarm asana

Exit code 2 if no route keeps a secret of this name, or it cannot be stored.")]
    Disarm {
        /// The name of the secret
        name: String,
        /// Where the secrets are
        #[command(flatten)]
        place: SecretPlace,
    },
    /// Print a learned secret, for a sender that wants it sent back
    #[command(after_help = "\
Examples:
  towpath secret show gusto
  towpath secret show gusto --json

Whoever has the secret can sign webhooks of the route.

Exit code 2 if no route keeps a secret of this name, or it has not been learned yet.")]
    Show {
        /// The name of the secret
        name: String,
        /// Where the secrets are
        #[command(flatten)]
        place: SecretPlace,
    },
    /// List the secrets that routes keep from handshakes, without their values
    #[command(after_help = "\
Examples:
  towpath secret list
  towpath secret list --json

STATE is `unlearned`; `learned`; `given`: set in the environment of this command, so that nothing is learned; `armed (none yet)`; \
or `armed (has a secret)`, which becomes `learned` when the new secret comes. ARMED UNTIL is `expired` if none came in time. STORED \
says how long ago it was learned, armed or disarmed.")]
    List {
        /// Where the secrets are
        #[command(flatten)]
        place: SecretPlace,
    },
}

/// Where the secrets are.
#[derive(ClapArgs, Debug, Clone, Default)]
pub struct SecretPlace {
    /// The config
    #[command(flatten)]
    pub config: ConfigFile,
    /// The folder of a local store, instead of the config's
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

impl SecretPlace {
    /// As the operate room takes it.
    pub fn wanted(&self) -> secret::SecretPlace {
        secret::SecretPlace { config: self.config.file(), store: self.store.clone() }
    }
}

fn length(text: &str) -> Result<Duration, String> {
    let length = humantime::parse_duration(text).ok().filter(|length| (SHORTEST..=LONGEST).contains(length));
    length.ok_or_else(|| "give a time such as 90s, 15m or 24h, from 1s to 24h".to_owned())
}
