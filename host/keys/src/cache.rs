//! What was fetched, how long it is used, and when to ask again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use towpath_types::clock::Timestamp;
use towpath_verify::fetched::{Document, Key, Unavailable, Wanted};
use url::Url;

use crate::exchange::Got;

/// How long keys are used whose source names no lifetime, and the bounds of one that it names.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long the last good keys are used while their source fails.
pub(crate) const LAST_GOOD: Duration = Duration::from_secs(24 * 3600);

/// How long a webhook waits for a source before the last good keys are used instead. A source that hangs costs this long
/// once, and less than the senders and callers wait.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How soon a source is asked again for an id that it did not know.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(60);

/// How soon a source that failed is asked again.
pub(crate) const RETRY: Duration = Duration::from_secs(10);

/// How many unknown documents are fetched a minute, where a webhook chooses the URL: for each route, and for each sender.
/// A sender's certificates and ids of keys change a few times a year.
pub(crate) const NEW_PER_MINUTE: u32 = 30;
pub(crate) const NEW_PER_SENDER: u32 = 10;

/// The most documents that are kept.
const MOST: usize = 512;

#[derive(Default)]
pub(crate) struct Cache {
    entries: HashMap<Id, Entry>,
    /// The unknown documents of the last minute, by the end of the host's name and the route.
    budgets: HashMap<(String, String), Minute>,
}

/// The unknown documents that were asked for since a minute began.
struct Minute {
    began: Instant,
    asked: u32,
    /// Those of each sender. At most as many as were asked for.
    senders: HashMap<IpAddr, u32>,
}

#[derive(PartialEq, Eq, Hash, Clone)]
struct Id {
    url: Url,
    document: Document,
    /// The name of the secret: another one may be given other keys.
    bearer: Option<String>,
    allow_private: bool,
}

struct Entry {
    good: Option<Good>,
    last: Option<Last>,
    flight: Option<Flight>,
    used: Instant,
}

struct Good {
    keys: Arc<[Key]>,
    fresh_until: Instant,
    usable_until: Instant,
}

/// A fetch that is under way.
#[derive(Clone)]
struct Flight {
    /// Ends with the fetch.
    done: watch::Receiver<()>,
    began: Instant,
}

/// What to wait for.
pub(crate) struct Wait {
    pub(crate) done: watch::Receiver<()>,
    /// The last good keys, and from when they are used although the fetch goes on.
    pub(crate) meanwhile: Option<(Arc<[Key]>, Instant)>,
}

/// The last answer of the source.
struct Last {
    asked_at: Timestamp,
    came: Instant,
    said: Said,
}

enum Said {
    Keys,
    NoSuchKey,
    Failed(String),
}

/// What to do for a key.
pub(crate) enum Next {
    Answer(Result<Arc<[Key]>, Unavailable>),
    /// It is being fetched.
    Join(Wait),
    Fetch(Wait, watch::Sender<()>),
}

impl Id {
    fn of(wanted: &Wanted) -> Id {
        Id {
            url: wanted.url.clone(),
            document: wanted.document.clone(),
            bearer: wanted.bearer.as_ref().map(|bearer| bearer.name.clone()),
            allow_private: wanted.allow_private,
        }
    }
}

impl Cache {
    /// A key is unknown only if its source said so after the webhook arrived. Otherwise a sender that has just begun to
    /// use a new key would be refused.
    pub(crate) fn next(&mut self, wanted: &Wanted, now: Instant) -> Next {
        let id = Id::of(wanted);
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.used = now;
            if let Some(next) = entry.next(wanted, now) {
                return next;
            }
        }
        let is_new = self.entries.get(&id).is_none_or(|entry| entry.good.is_none());
        if is_new && wanted.is_chosen && !self.may_ask(wanted, now) {
            let why = "too many unknown keys are asked for";
            return Next::Answer(Err(wanted.unavailable(why, COOLDOWN)));
        }
        self.make_room();
        let entry = self.entries.entry(id).or_insert(Entry { good: None, last: None, flight: None, used: now });
        let (sender, done) = watch::channel(());
        let flight = Flight { done, began: now };
        entry.flight = Some(flight.clone());
        Next::Fetch(entry.wait(flight, wanted, now), sender)
    }

    /// Keeps an answer.
    pub(crate) fn put(&mut self, wanted: &Wanted, asked_at: Timestamp, now: Instant, got: Result<Got, String>) {
        let Some(entry) = self.entries.get_mut(&Id::of(wanted)) else { return };
        entry.flight = None;
        let said = match got {
            Ok(Got::Keys { keys, lifetime }) => {
                let fresh_until = now + lifetime.unwrap_or(LIFETIME).clamp(SHORTEST, LONGEST);
                entry.good = Some(Good { keys: keys.into(), fresh_until, usable_until: fresh_until + LAST_GOOD });
                Said::Keys
            }
            // Where there was a key, this is more likely a wall in front of it than the end of the key.
            Ok(Got::PerhapsNoSuchKey) if entry.good.is_some() => Said::Failed("the key is refused now".to_owned()),
            Ok(Got::NoSuchKey | Got::PerhapsNoSuchKey) => {
                entry.good = None;
                Said::NoSuchKey
            }
            Err(why) => Said::Failed(why),
        };
        entry.last = Some(Last { asked_at, came: now, said });
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Without this limit, anyone who can post could make this host fetch any number of documents. A sender has a share, so
    /// that one stranger cannot use up what the route's real sender needs.
    fn may_ask(&mut self, wanted: &Wanted, now: Instant) -> bool {
        // The last two labels, like the route, come from the config, so their number is bounded.
        let host = wanted.url.host_str().unwrap_or_default();
        let owner = host.rsplitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let began = || Minute { began: now, asked: 0, senders: HashMap::new() };
        let minute = self.budgets.entry((owner, wanted.asker.route.clone())).or_insert_with(began);
        if now.duration_since(minute.began) >= Duration::from_secs(60) {
            *minute = began();
        }
        if minute.asked >= NEW_PER_MINUTE {
            return false;
        }
        if let Some(sender) = wanted.asker.sender {
            let own = minute.senders.entry(sender).or_default();
            if *own >= NEW_PER_SENDER {
                return false;
            }
            *own += 1;
        }
        minute.asked += 1;
        true
    }

    /// Drops what was used longest ago; what has no keys first.
    fn make_room(&mut self) {
        if self.entries.len() < MOST {
            return;
        }
        let idle = self.entries.iter().filter(|(_, entry)| entry.flight.is_none());
        let oldest = idle.min_by_key(|(_, entry)| (entry.good.is_some(), entry.used)).map(|(id, _)| id.clone());
        oldest.and_then(|id| self.entries.remove(&id));
    }
}

impl Entry {
    /// The last good keys, if the wanted one is among them.
    fn usable(&self, wanted: &Wanted, now: Instant) -> Option<&Good> {
        let good = self.good.as_ref().filter(|good| now < good.usable_until)?;
        wanted.among(&good.keys).next().map(|_| good)
    }

    fn wait(&self, flight: Flight, wanted: &Wanted, now: Instant) -> Wait {
        let meanwhile = self.usable(wanted, now).map(|good| (Arc::clone(&good.keys), flight.began + GRACE));
        Wait { done: flight.done, meanwhile }
    }

    /// `None` to ask the source.
    fn next(&self, wanted: &Wanted, now: Instant) -> Option<Next> {
        let has_key = |good: &&Good| wanted.among(&good.keys).next().is_some();
        let found = |good: &Good| Some(Next::Answer(Ok(Arc::clone(&good.keys))));
        let fresh = self.good.as_ref().filter(|good| now < good.fresh_until);
        if let Some(good) = fresh.filter(has_key) {
            return found(good);
        }
        // A fetch that panicked dropped its sender.
        if let Some(flight) = self.flight.as_ref().filter(|flight| flight.done.has_changed().is_ok()) {
            return Some(Next::Join(self.wait(flight.clone(), wanted, now)));
        }
        let last = self.last.as_ref()?;
        let passed = now.duration_since(last.came);
        let later = |why: String, pause: Duration| {
            (passed < pause).then(|| Next::Answer(Err(wanted.unavailable(why, pause.saturating_sub(passed)))))
        };
        let is_final = last.asked_at >= wanted.arrived;
        match &last.said {
            Said::Keys if is_final => fresh.and_then(found),
            Said::NoSuchKey if is_final => Some(Next::Answer(Ok(Arc::new([])))),
            Said::Keys | Said::NoSuchKey => {
                later(format!("{} s ago it had no key of this id", passed.as_secs()), COOLDOWN)
            }
            Said::Failed(why) => match self.usable(wanted, now) {
                Some(good) if passed < RETRY => found(good),
                _ => later(why.clone(), RETRY),
            },
        }
    }
}
