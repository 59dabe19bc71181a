//! Secrets that senders send in a handshake: arms a route for one, disarms it, shows what was learned.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use towpath_config::secrets::variable;
use towpath_config::{Config, LearnedStore, NotReplaced, SecretFolder, Secrets, Stored, Version, meant};
use towpath_types::clock::{Clock, Timestamp};

use crate::{aws, config};

/// How often a change is tried when a handshake changes the secret meanwhile.
const ATTEMPTS: usize = 5;

/// Where an operator says the secrets are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretPlace {
    /// The config, whose routes name the secrets.
    pub config: PathBuf,
    /// The folder of a local store, instead of the config's.
    pub store: Option<PathBuf>,
}

/// The secrets that routes keep, and where they are stored.
pub struct LearnedSecrets {
    config: Config,
    /// The names of all secrets in the config.
    all: BTreeSet<String>,
    store: Arc<dyn LearnedStore>,
    /// Whether a variable of the environment wins.
    is_local: bool,
}

/// A secret that a route keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// The path of the route.
    pub route: String,
    /// Whether webhooks can be verified with it.
    pub state: State,
    /// Until when a handshake may bring a new one.
    pub armed_until: Option<Timestamp>,
    /// When the time ran out in which none brought one.
    pub expired_at: Option<Timestamp>,
    /// When it was last learned, armed or disarmed; `None` if nothing is stored, or the time is unknown.
    pub stored_at: Option<Timestamp>,
}

/// Whether a secret can verify webhooks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No handshake has brought it.
    Unlearned,
    /// A handshake has brought it.
    Learned,
    /// A variable of the environment has it, so nothing is learned.
    Given,
}

impl State {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Unlearned => "unlearned",
            State::Learned => "learned",
            State::Given => "given",
        }
    }
}

impl LearnedSecrets {
    /// Finds the secrets of a place. Changes nothing.
    pub async fn find(place: &SecretPlace) -> anyhow::Result<LearnedSecrets> {
        let secrets = Secrets::placeholders();
        let config = config::load(&place.config, &secrets).await?;
        if let Some(store) = place.store.as_ref().filter(|store| !store.is_dir()) {
            bail!("there is no store in {}: has `towpath serve` run there?", store.display());
        }
        let is_local = place.store.is_some() || config.queue.url.is_none();
        let store: Arc<dyn LearnedStore> = if is_local {
            Arc::new(SecretFolder::of_store(place.store.as_ref().unwrap_or(&config.queue.store)))
        } else {
            aws::learned_secrets(&config).await?
        };
        Ok(LearnedSecrets { config, all: secrets.asked(), store, is_local })
    }

    /// All of them, in the order of their routes.
    pub async fn list(&self) -> anyhow::Result<Vec<Kept>> {
        let mut listed = Vec::new();
        for (name, route) in self.names() {
            listed.push(self.kept(name, route, self.read(name).await?.as_ref()));
        }
        Ok(listed)
    }

    /// The value of a secret.
    pub async fn show(&self, name: &str) -> anyhow::Result<Arc<str>> {
        self.route(name)?;
        let stored = self.read(name).await?.map(|version| Stored::read(&version.text)).unwrap_or_default();
        match stored.secret {
            Some(secret) => Ok(secret),
            None if self.is_given(name) => {
                bail!("{} is set, and nothing was learned: its value is in use", variable(name))
            }
            None => bail!(
                "the secret {name:?} has not been learned yet: run `towpath secret arm {name}`, then create the webhook at the sender"
            ),
        }
    }

    /// Lets the next handshake of its route bring a new secret, until `length` from now. The previous one stays in use until
    /// then.
    pub async fn arm(&self, name: &str, length: Duration) -> anyhow::Result<Kept> {
        let route = self.route(name)?;
        if self.is_given(name) {
            let variable = variable(name);
            bail!(
                "{variable} is set, so no handshake brings this secret: unset it here and for the host, and restart the host"
            );
        }
        let until = Clock::wall().now() + length;
        self.change(name, route, |stored| Stored { armed_until: Some(until), ..stored }).await
    }

    /// Takes no new secret any more. One that was learned stays in use.
    pub async fn disarm(&self, name: &str) -> anyhow::Result<Kept> {
        let route = self.route(name)?;
        self.change(name, route, |stored| Stored { armed_until: None, ..stored }).await
    }

    /// Changes what is stored. A handshake that comes meanwhile is not overwritten: the change is made to what it stored.
    async fn change(&self, name: &str, route: &str, change: impl Fn(Stored) -> Stored) -> anyhow::Result<Kept> {
        for _ in 0..ATTEMPTS {
            let seen = self.read(name).await?;
            let before = seen.as_ref().map(|seen| Stored::read(&seen.text)).unwrap_or_default();
            let after = change(before.clone());
            if after == before {
                return Ok(self.kept(name, route, seen.as_ref()));
            }
            let text = after.text();
            match self.store.replace(name, seen.as_ref(), &text).await {
                Ok(()) => {
                    let now = Version { text, id: String::new(), at: Some(Clock::wall().now()) };
                    return Ok(self.kept(name, route, Some(&now)));
                }
                Err(NotReplaced::Changed) => {}
                Err(NotReplaced::Failed(problem)) => {
                    return Err(anyhow::Error::msg(problem)).with_context(|| format!("storing the secret {name:?}"));
                }
            }
        }
        Err(NotReplaced::Changed).with_context(|| format!("storing the secret {name:?}"))
    }

    async fn read(&self, name: &str) -> anyhow::Result<Option<Version>> {
        let read = self.store.read(name).await.map_err(anyhow::Error::msg);
        read.with_context(|| format!("reading the secret {name:?}"))
    }

    fn kept(&self, name: &str, route: &str, version: Option<&Version>) -> Kept {
        let stored = version.map(|version| Stored::read(&version.text)).unwrap_or_default();
        let state = match stored.secret {
            _ if self.is_given(name) => State::Given,
            Some(_) => State::Learned,
            None => State::Unlearned,
        };
        let now = Clock::wall().now();
        let is_armed = stored.is_armed(now);
        let armed_until = stored.armed_until.filter(|_| is_armed);
        // What is disarmed before anything was learned is stored with the earliest time.
        let expired_at = stored.armed_until.filter(|until| !is_armed && *until != Timestamp::default());
        let stored_at = version.and_then(|version| version.at);
        Kept { name: name.to_owned(), route: route.to_owned(), state, armed_until, expired_at, stored_at }
    }

    fn is_given(&self, name: &str) -> bool {
        self.is_local && Secrets::from_env().is_set(name)
    }

    /// Each secret and the path of its route.
    fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.config.routes.iter().filter_map(|route| Some((route.learned()?.name(), route.path.as_str())))
    }

    /// The route that keeps a secret.
    fn route(&self, name: &str) -> anyhow::Result<&str> {
        if let Some((_, route)) = self.names().find(|(own, _)| *own == name) {
            return Ok(route);
        }
        if self.all.contains(name) {
            let given = if self.is_local {
                format!("set in {}", variable(name))
            } else {
                "put into Secrets Manager".to_owned()
            };
            bail!("the secret {name:?} does not come in a handshake: it is {given}");
        }
        let known: Vec<&str> = self.names().map(|(name, _)| name).collect();
        if known.is_empty() {
            bail!("no route keeps a secret named {name:?}: no route of {} keeps any", self.config.file.display());
        }
        let guess = meant(name, known.iter().copied());
        bail!("no route keeps a secret named {name:?}: {guess}the secrets that routes keep are {}", known.join(", "))
    }
}
