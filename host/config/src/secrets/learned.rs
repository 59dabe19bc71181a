//! A secret that its sender sends in a handshake. It is learned only while an operator has armed it, and once.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;
use towpath_types::clock::Timestamp;

use super::form::Form;
use super::learned_store::{LearnedStore, NotReplaced, Version};
use super::secret::{NotFetched, Secret, SecretStore};
use super::stored::{MARKER, Stored};

/// The longest secret that is learned, in bytes. Senders use 16 to 64.
const LONGEST: usize = 512;

/// How often a change is tried when others change the same secret meanwhile. Each of them either disarms it or arms it again.
const ATTEMPTS: usize = 3;

/// A value that no route learns, armed or not: it begins with the mark of an armed entry. A handshake that brings it closes no route.
pub const NEVER_LEARNED: &str = "towpath-armed-is-never-learned";

/// What became of a secret that a handshake carried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Learning {
    /// It is stored durably, and verifies webhooks from now on.
    Learned,
    /// It is the one that is stored.
    Known,
    /// No operator has armed the secret.
    NotArmed,
    /// The secret is set in the environment, so nothing is learned.
    Given,
    /// It is armed, and stays armed: the value cannot be used, and why.
    Unusable(&'static str),
    /// It could not be read or stored, and why.
    Unavailable(String),
}

/// The secret of a route that keeps what a handshake brings.
pub struct Learned {
    name: String,
    value: Secret,
    /// `None` if nothing is ever learned.
    store: Option<Arc<dyn LearnedStore>>,
    armed_until: Option<Timestamp>,
    last: tokio::sync::Mutex<Option<Reading>>,
}

struct Reading {
    begun: Instant,
    found: Result<Option<Version>, String>,
}

impl Learned {
    /// A secret that is given otherwise, or a placeholder: it is never learned.
    pub(super) fn given(name: &str, value: Secret) -> Learned {
        let name = name.to_owned();
        Learned { name, value, store: None, armed_until: None, last: tokio::sync::Mutex::default() }
    }

    /// A secret by its stored text, or why that cannot be used.
    pub(super) fn stored(
        name: &str,
        form: Form,
        text: Option<&str>,
        fetched: Arc<dyn SecretStore>,
        store: Option<Arc<dyn LearnedStore>>,
    ) -> Result<Learned, &'static str> {
        let Stored { secret, armed_until } = text.map(Stored::read).unwrap_or_default();
        let source: Arc<dyn SecretStore> = Arc::new(WithoutMarker(fetched));
        let value = Secret::of(secret.unwrap_or_default(), Some((source, name.to_owned())));
        let learned = Learned { store, armed_until, ..Learned::given(name, value) };
        learned.also_used_as(form)?;
        Ok(learned)
    }

    /// Records a use, or says why the value does not suit it. What is not learned yet will have to.
    pub(crate) fn also_used_as(&self, form: Form) -> Result<(), &'static str> {
        match self.value.used_as(form) {
            Err(problem) if self.value.is_learned() => Err(problem),
            _ => Ok(()),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value; [`Secret::is_learned`] says whether there is one.
    pub fn value(&self) -> &Secret {
        &self.value
    }

    /// Whether it was armed when the config was read.
    pub fn was_armed(&self, now: Timestamp) -> bool {
        self.armed_until.is_some_and(|until| now < until)
    }

    /// Whether a handshake can ever change it.
    pub fn is_learnable(&self) -> bool {
        self.store.is_some()
    }

    /// Learns a secret that a handshake carries, if it may. One that is stored already is known, so a sender that repeats a
    /// handshake whose answer was lost gets its answer.
    pub async fn learn(&self, given: &[u8], now: Timestamp) -> Learning {
        let Some(store) = &self.store else {
            return if self.value.is(given) { Learning::Known } else { Learning::Given };
        };
        for _ in 0..ATTEMPTS {
            let seen = match self.read(&**store).await {
                Ok(seen) => seen,
                Err(problem) => return Learning::Unavailable(problem),
            };
            let stored = seen.as_ref().map(|seen| Stored::read(&seen.text)).unwrap_or_default();
            if !stored.is_armed(now) {
                let kept = stored.secret.filter(|kept| Secret::new(Arc::clone(kept)).is(given));
                let Some(kept) = kept else { return Learning::NotArmed };
                if let Err(problem) = store.settle().await {
                    return Learning::Unavailable(problem);
                }
                // Another process may have learned it.
                self.value.set(kept);
                return Learning::Known;
            }
            let secret = match usable(given, &self.value) {
                Ok(secret) => secret,
                Err(problem) => return Learning::Unusable(problem),
            };
            match store.replace(&self.name, seen.as_ref(), secret).await {
                Ok(()) => {
                    self.value.set(secret.into());
                    return Learning::Learned;
                }
                Err(NotReplaced::Changed) => {}
                Err(NotReplaced::Failed(problem)) => return Learning::Unavailable(problem),
            }
        }
        Learning::Unavailable(NotReplaced::Changed.to_string())
    }

    /// What is stored now: read after this call began, so that it shows what an operator did before. Handshakes that come at
    /// once share a read, and strangers cause one read in each interval.
    async fn read(&self, store: &dyn LearnedStore) -> Result<Option<Version>, String> {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(reading) = last.as_ref() {
            if reading.begun > asked {
                return reading.found.clone();
            }
            tokio::time::sleep_until(reading.begun + store.read_every()).await;
        }
        let begun = Instant::now();
        let found = store.read(&self.name).await;
        *last = Some(Reading { begun, found: found.clone() });
        found
    }
}

impl fmt::Debug for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Learned({})", self.name)
    }
}

/// A value as text, if it can be learned for the uses of this secret; or why not.
fn usable<'a>(given: &'a [u8], secret: &Secret) -> Result<&'a str, &'static str> {
    let text = std::str::from_utf8(given).map_err(|_| "it is not UTF-8")?;
    if text.len() > LONGEST {
        return Err("it is longer than 512 bytes");
    }
    if text.starts_with(MARKER) {
        return Err("it begins like the text that arms a secret");
    }
    // A secret with a line break or a space at its end would not survive being stored as text.
    if let Some(problem) = secret.problem(text).or_else(|| Form::Header.problem(text)) {
        return Err(problem);
    }
    if secret.forms().into_iter().any(|form| form.is_weak(text)) {
        return Err("it can be guessed: it has less than 128 bits of entropy");
    }
    Ok(text)
}

/// The secrets of a store without the line that arms them.
#[derive(Debug)]
struct WithoutMarker(Arc<dyn SecretStore>);

#[async_trait]
impl SecretStore for WithoutMarker {
    async fn fetch(&self, name: &str) -> Result<String, NotFetched> {
        let stored = Stored::read(&self.0.fetch(name).await?);
        let none = || NotFetched::Unknown("it has not been learned yet".to_owned());
        stored.secret.map(|secret| secret.to_string()).ok_or_else(none)
    }
}

#[cfg(test)]
mod tests;
