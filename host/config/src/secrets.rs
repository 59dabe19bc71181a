//! Secrets: references in the config, values from the environment or a secret store. Values are never printed.

mod folder;
mod form;
pub(crate) mod late;
mod learned;
mod learned_store;
pub(crate) mod secret;
mod stored;
mod webhook_key;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tracing::error;

use late::Late;
use secret::without_line_break;

pub use folder::SecretFolder;
pub use form::Form;
pub use learned::{Learned, Learning, NEVER_LEARNED};
pub(crate) use learned_store::is_name;
pub use learned_store::{LearnedStore, NotReplaced, Version};
pub use secret::{NamedSecret, NotFetched, Secret, SecretStore};
pub use stored::Stored;
pub use webhook_key::{WebhookKey, symmetric_key};

/// What is known of a secret that is looked up while the host runs.
#[derive(Clone, Debug)]
pub enum Lookup {
    Found(Secret),
    /// There is none, or it cannot be used.
    Unknown,
    /// Its store cannot be reached, and why.
    Unavailable(String),
}

/// The values of secrets by name.
#[derive(Clone, Debug)]
pub struct Secrets(Source);

#[derive(Clone, Debug)]
enum Source {
    /// `None` is a value that is not UTF-8.
    Environment(BTreeMap<String, Option<Secret>>),
    Store {
        known: BTreeMap<String, Secret>,
        problems: BTreeMap<String, NotFetched>,
        only_these: bool,
        may_come: bool,
        late: Arc<Late>,
    },
    Placeholders(Arc<Mutex<BTreeSet<String>>>),
}

impl Secrets {
    /// From the environment: the secret `sss-token` is `TOWPATH_SECRET_SSS_TOKEN`.
    #[expect(clippy::disallowed_methods, reason = "this is the config's way to the environment")]
    pub fn from_env() -> Secrets {
        let pairs = std::env::vars_os().filter_map(|(name, value)| {
            let key = name.to_str()?.strip_prefix(PREFIX)?.to_owned();
            let name = key.to_ascii_lowercase().replace('_', "-");
            let secret = value.to_str().map(|value| Secret::new(without_line_break(&name, value)));
            Some((key, secret))
        });
        Secrets(Source::Environment(pairs.collect()))
    }

    /// These values by name, as if from the environment.
    pub fn of(values: impl IntoIterator<Item = (String, String)>) -> Secrets {
        let secret =
            |(name, value): (String, String)| (key(&name), Some(Secret::new(without_line_break(&name, &value))));
        let known = values.into_iter().map(secret);
        Secrets(Source::Environment(known.collect()))
    }

    /// The secrets of these names, fetched from a store concurrently. One that is not available becomes a mistake of
    /// the config that names it.
    pub async fn from_store(store: Arc<dyn SecretStore>, names: impl IntoIterator<Item = String>) -> Secrets {
        let fetched = names.into_iter().map(|name| async { (store.fetch(&name).await, name) });
        let mut known = BTreeMap::new();
        let mut problems = BTreeMap::new();
        for (value, name) in join_all(fetched).await {
            match value {
                Ok(value) => {
                    let value = without_line_break(&name, &value);
                    let secret = Secret::of(value, Some((Arc::clone(&store), name.clone())));
                    known.insert(name, secret);
                }
                Err(problem) => drop(problems.insert(name, problem)),
            }
        }
        let late = Arc::new(Late::new(store));
        Secrets(Source::Store { known, problems, only_these: false, may_come: false, late })
    }

    /// One that is not available is no mistake of the config: what needs it waits. For a host that loads its config again
    /// until none is missing.
    #[must_use]
    pub fn that_may_come(self) -> Secrets {
        match self.0 {
            Source::Store { known, problems, only_these, late, .. } => {
                Secrets(Source::Store { known, problems, only_these, may_come: true, late })
            }
            other => Secrets(other),
        }
    }

    /// Whether what needs a secret that is not available waits for it.
    pub(crate) fn may_come(&self) -> bool {
        matches!(self.0, Source::Store { may_come: true, .. })
    }

    /// Uses placeholders for all secrets that were not fetched: for a host that uses part of the config, and may read
    /// no other secrets.
    #[must_use]
    pub fn and_placeholders(self) -> Secrets {
        match self.0 {
            Source::Store { known, problems, may_come, late, .. } => {
                Secrets(Source::Store { known, problems, only_these: true, may_come, late })
            }
            other => Secrets(other),
        }
    }

    /// A placeholder for every name: to check a config without its secrets, and to find out which ones it names.
    /// Nothing that uses secrets may run with it.
    pub fn placeholders() -> Secrets {
        Secrets(Source::Placeholders(Arc::default()))
    }

    /// The names for which placeholders were requested.
    pub fn asked(&self) -> BTreeSet<String> {
        match &self.0 {
            Source::Placeholders(asked) => asked.lock().clone(),
            Source::Environment(_) | Source::Store { .. } => BTreeSet::new(),
        }
    }

    /// The secret of this name for this use, or the problem and a hint.
    pub fn get(&self, name: &str, form: Form) -> Result<Secret, (String, String)> {
        let placeholder = || Ok(Secret::new("placeholder"));
        let secret = match &self.0 {
            Source::Placeholders(asked) => {
                asked.lock().insert(name.to_owned());
                return placeholder();
            }
            Source::Environment(values) => {
                let hint = format!("set the environment variable {}", variable(name));
                match values.get(&key(name)) {
                    Some(Some(secret)) => secret,
                    Some(None) => return Err((format!("the secret {name:?} cannot be used: it is not UTF-8"), hint)),
                    None => return Err((format!("the secret {name:?} is not set"), hint)),
                }
            }
            Source::Store { known, problems, only_these, .. } => match (known.get(name), problems.get(name)) {
                (Some(secret), _) => secret,
                (None, None) if *only_these => return placeholder(),
                (None, problem) => {
                    let problem = problem.map_or_else(|| "it was not fetched".to_owned(), ToString::to_string);
                    let hint = "check that Secrets Manager has it as secrets.prefix plus its name, and that the role may read it";
                    return Err((format!("the secret {name:?} is not available: {problem}"), hint.to_owned()));
                }
            },
        };
        secret.used_as(form).map_err(|problem| {
            let place = match &self.0 {
                Source::Environment(_) => format!("the environment variable {}", variable(name)),
                Source::Store { .. } | Source::Placeholders(_) => "Secrets Manager".to_owned(),
            };
            let hint = format!("put its value into {place} exactly as its issuer shows it");
            (format!("the secret {name:?} cannot be used: {problem}"), hint)
        })?;
        Ok(secret.clone())
    }

    /// A secret that a handshake brings, which may not be learned yet; or the problem and a hint. `store` is the folder of the
    /// local store: where secrets come from the environment, learned ones are kept there. A value in the environment wins.
    pub(crate) fn learned(&self, name: &str, form: Form, store: Option<&Path>) -> Result<Learned, (String, String)> {
        let read = match &self.0 {
            Source::Placeholders(_) => None,
            Source::Environment(values) if values.contains_key(&key(name)) => None,
            Source::Environment(_) => {
                let Some(store) = store else {
                    let (variable, problem) = (variable(name), format!("the secret {name:?} is not set"));
                    let hint = format!(
                        "only the host with the store learns it: set {variable} to what `towpath secret show {name}` prints there"
                    );
                    return Err((problem, hint));
                };
                let folder = SecretFolder::of_store(store);
                let found = folder.look(name).map_err(|error| {
                    let hint = "the user who runs the host must be able to read the folder of the store".to_owned();
                    (format!("the learned secret {name:?} cannot be read: {error}"), hint)
                })?;
                let folder = Arc::new(folder);
                Some(Learned::stored(
                    name,
                    form,
                    found.as_ref().map(|found| found.text.as_str()),
                    Arc::clone(&folder) as Arc<dyn SecretStore>,
                    Some(folder),
                ))
            }
            Source::Store { known, problems, only_these, late, .. } => match (known.get(name), problems.get(name)) {
                (None, None) if *only_these => None,
                (None, Some(NotFetched::Failed(_)) | None) => None,
                (known, _) => {
                    let store = late.store();
                    let text = known.map(Secret::expose);
                    Some(Learned::stored(name, form, text.as_deref(), Arc::clone(&store), store.learned()))
                }
            },
        };
        match read {
            Some(read) => read.map_err(|problem| {
                let hint = format!("run `towpath secret arm {name}`, and repeat the handshake at the sender");
                (format!("the learned secret {name:?} cannot be used: {problem}"), hint)
            }),
            None => self.get(name, form).map(|value| Learned::given(name, value)),
        }
    }

    /// The secret of a name that only a webhook tells, which ends in its tenant.
    pub(crate) async fn find(&self, prefix: &str, tenant: &str, form: Form) -> Lookup {
        let name = &format!("{prefix}{tenant}");
        let found = match &self.0 {
            Source::Placeholders(_) => return Lookup::Unavailable("secrets are not read".to_owned()),
            // Another name of the same variable belongs to another tenant.
            Source::Environment(_)
                if tenant.contains(|c: char| c != '-' && !c.is_ascii_lowercase() && !c.is_ascii_digit()) =>
            {
                return Lookup::Unknown;
            }
            Source::Environment(values) => values.get(&key(name)).cloned().flatten(),
            Source::Store { known, late, .. } => match known.get(name) {
                Some(secret) => Some(secret.clone()),
                None => match late.find(name).await {
                    Ok(found) => found,
                    Err(problem) => return Lookup::Unavailable(problem),
                },
            },
        };
        match found.map(|secret| (secret.used_as(form), secret)) {
            Some((Ok(()), secret)) => Lookup::Found(secret),
            Some((Err(problem), _)) => {
                error!(secret = name, problem, "secret of a tenant cannot be used");
                Lookup::Unknown
            }
            None => Lookup::Unknown,
        }
    }

    /// Whether the value of this name can be guessed. Unknown for placeholders.
    pub fn is_weak(&self, name: &str, form: Form) -> bool {
        let secret = match &self.0 {
            Source::Environment(values) => values.get(&key(name)).and_then(Option::as_ref),
            Source::Store { known, .. } => known.get(name),
            Source::Placeholders(_) => None,
        };
        secret.is_some_and(|secret| form.is_weak(&secret.expose()))
    }

    /// Whether there is a value of this name.
    pub fn is_set(&self, name: &str) -> bool {
        match &self.0 {
            Source::Environment(values) => values.contains_key(&key(name)),
            Source::Store { known, .. } => known.contains_key(name),
            Source::Placeholders(_) => false,
        }
    }
}

/// The environment variable of a secret.
pub fn variable(name: &str) -> String {
    format!("{PREFIX}{}", key(name))
}

const PREFIX: &str = "TOWPATH_SECRET_";

fn key(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests;
