//! Who signs the events that are sent.

use std::path::Path;

use anyhow::{Context as _, bail};
use towpath_config::Secrets;
use towpath_config::verify::Verification;
use towpath_files::regular::{self, MAX_CONFIG};
use towpath_operate::routed::{Routed, verification_of};
use towpath_types::clock::Clock;
use towpath_types::envelope::Webhook;
use towpath_verify::sign::{PrivateKey, sign};

use crate::args::Send;

/// The name that stands for the route of each event.
const ROUTE: &str = "route";

pub(crate) enum Signer {
    /// Events are sent as they were recorded.
    Nobody,
    Sender(Verification, Option<PrivateKey>),
    Routes(Box<Routed>, Option<PrivateKey>),
}

impl Signer {
    pub(super) async fn of(args: &Send) -> anyhow::Result<Signer> {
        let key = private_key(args.signature.private_key.as_deref())?;
        match args.sender.as_deref() {
            None if key.is_some() => bail!("--private-key signs only together with --as SENDER"),
            None => Ok(Signer::Nobody),
            Some(ROUTE) if args.secret.is_some() || !args.param.is_empty() => {
                bail!("--secret and --param are for a sender by its name: with `--as {ROUTE}` the config has them")
            }
            Some(ROUTE) => Ok(Signer::Routes(Box::new(Routed::load(&args.config.file()).await?), key)),
            Some(name) => {
                let verify = verification_of(name, args.secret.as_deref(), &args.param, &Secrets::from_env());
                Ok(Signer::Sender(verify.with_context(|| format!("signing as {name}"))?, key))
            }
        }
    }

    /// The event as it is sent.
    pub(super) fn sign(&self, path: &str, webhook: Webhook) -> anyhow::Result<Webhook> {
        let now = Clock::wall().now();
        match self {
            Signer::Nobody => Ok(webhook),
            Signer::Sender(verify, key) => Ok(sign(verify, &webhook, now, key.as_ref())?),
            Signer::Routes(routed, key) => {
                let matched = routed.route(path)?;
                let Some(verify) = &matched.route.verify else {
                    bail!("the route {path:?} has no verify, so there is nothing to sign: leave out --as");
                };
                let webhook = Webhook { path: matched.segments, ..webhook };
                Ok(sign(verify, &webhook, now, key.as_ref())?)
            }
        }
    }
}

/// The key in this file.
pub(crate) fn private_key(file: Option<&Path>) -> anyhow::Result<Option<PrivateKey>> {
    let Some(file) = file else { return Ok(None) };
    let text = regular::read_text(file, MAX_CONFIG).with_context(|| format!("reading {}", file.display()))?;
    let key = PrivateKey::read(&text).with_context(|| format!("reading a private key from {}", file.display()))?;
    Ok(Some(key))
}
