//! Records messages as cases of a plugin, without personal data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use towpath_config::Config;
use towpath_config::route::Routes;
use towpath_local::LocalQueue;
use towpath_plugin::digest;
use towpath_select::hide;
use towpath_types::message::Message;
use towpath_types::queue::{Handle, Queue as _, Received};

use crate::event::Event;
use crate::known::Groups;
use crate::letters::Letters;
use crate::place::{Backend, Found};
use crate::redact::{self, Redactor};
use crate::secret_headers::SecretHeaders;

/// The file with the key of the replacements.
const KEY: &str = ".towpath/redact.key";

/// How many messages are read at a time.
const PAGE: usize = 100;

/// Messages on SQS cannot be read without receiving them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("messages that wait on SQS can only be received, not browsed")]
pub struct OnlyReceived;

/// What to record, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// The folder of the cases.
    pub to: PathBuf,
    /// Only messages of this group; a star at the end matches anything.
    pub group: Option<String>,
    /// The most messages to record.
    pub limit: u64,
    /// JSON pointers to values that are replaced.
    pub redact: Vec<String>,
    /// Whether to keep what looks like an address, a card or a token.
    pub keep_patterns: bool,
}

/// A recorded case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Saved {
    /// The folder of the case.
    pub case: PathBuf,
    /// The message's group.
    pub group: String,
    /// Whether the same event had been recorded before.
    pub known: bool,
}

/// Writes cases.
pub struct Recorder {
    /// The cases so far.
    pub saved: Vec<Saved>,
    recording: Recording,
    redactor: Redactor,
    /// Whether a message of the group was found.
    met: bool,
    routes: Routes,
}

impl Recorder {
    /// A recorder that uses the working directory's key for replacements, or creates it.
    pub fn new(recording: Recording) -> anyhow::Result<Recorder> {
        let redactor = Redactor::new(redact::key(Path::new(KEY))?, &recording.redact, recording.keep_patterns)?;
        Ok(Recorder { saved: Vec::new(), recording, redactor, met: false, routes: Routes::default() })
    }

    /// Whether the limit is reached.
    pub fn is_full(&self) -> bool {
        self.saved.len() as u64 >= self.recording.limit
    }

    /// From now on also replaces the values that the config says are secret.
    pub fn know(&mut self, config: Option<&Config>) {
        self.redactor.secrets = SecretHeaders::of(config);
        self.routes = config.map(|config| config.routes.clone()).unwrap_or_default();
    }

    /// Records one message, if it matches. The same event always gives the same case.
    pub fn save(&mut self, message: &Message) -> anyhow::Result<()> {
        let wanted = is_wanted(self.recording.group.as_deref(), message);
        self.met |= wanted;
        if !wanted || self.is_full() {
            return Ok(());
        }
        let mut webhook = message.webhook.clone();
        // Plugins do not see them either. Headers stay, with another value.
        for token in self.routes.by_group(&message.group).into_iter().flat_map(|route| route.tokens()) {
            if token.source.header().is_none() {
                hide(Arc::make_mut(&mut webhook), &token);
            }
        }
        let webhook = self.redactor.webhook(&webhook);
        let group = self.redactor.text(message.group.as_str());
        // Without the config, the beginning of the group is the best guess.
        let path = match self.routes.by_group(&message.group) {
            Some(route) => route.pattern.filled(&webhook.path),
            None => group.split('/').next().unwrap_or_default().to_owned(),
        };
        // Headers differ from one delivery of an event to the next, its body does not.
        let name = digest(&[path.as_bytes(), b"\0", &webhook.body].concat());
        let case = self.recording.to.join(format!("recorded-{}", name.get(..10).unwrap_or_default()));
        let known = case.exists();
        if !known {
            let mut event = Event::of(&path, &webhook);
            event.group = Some(group.clone());
            event.sent_at = Some(message.sent_at.to_string());
            event.write(&case)?;
        }
        self.saved.push(Saved { case, group, known });
        Ok(())
    }

    /// Records the messages that wait in a local store.
    pub async fn waiting(&mut self, found: &Found) -> anyhow::Result<()> {
        let Backend::Local(queues) = &found.backend else {
            return Err(OnlyReceived.into());
        };
        let mut after: Option<String> = None;
        while !self.is_full() {
            let page = queues.events.browse(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.sequence.clone());
            for browsed in page {
                if let Some(message) = unpacked(browsed, &queues.events) {
                    self.save(&message)?;
                }
            }
        }
        check_group(self.recording.group.as_deref(), self.met, found)
    }
}

fn is_wanted(group: Option<&str>, message: &Message) -> bool {
    group.is_none_or(|group| Groups(group).has(message.group.as_str()))
}

/// Fails if no message of the group was found and no route can produce one.
fn check_group(group: Option<&str>, met: bool, found: &Found) -> anyhow::Result<()> {
    match (group, &found.config) {
        (Some(group), Some(config)) if !met => Ok(Groups(group).check(config)?),
        _ => Ok(()),
    }
}

/// The messages of dead letters of this group, as their plugins saw them. Returns more than `limit`, because the same event may occur
/// twice.
pub async fn dead(
    found: &Found,
    letters: &mut dyn Letters,
    limit: u64,
    group: Option<&str>,
) -> anyhow::Result<Vec<Message>> {
    let mut messages = Vec::new();
    loop {
        let page = letters.next().await?;
        if page.is_empty() || messages.len() as u64 >= limit.saturating_mul(10) {
            return check_group(group, !messages.is_empty(), found).map(|()| messages);
        }
        let seen = page.iter().filter_map(|letter| letter.seen(found.config.as_deref()));
        messages.extend(seen.filter(|message| is_wanted(group, message)));
    }
}

/// The message in a browsed one; `None` if it is not a webhook.
fn unpacked(browsed: towpath_local::Browsed, queue: &LocalQueue) -> Option<Message> {
    let received = Received {
        id: browsed.id,
        group: browsed.group,
        dedup_id: None,
        sequence: Some(browsed.sequence),
        receive_count: browsed.receive_count.max(1),
        sent_at: browsed.sent_at,
        body: browsed.body,
        attributes: browsed.attributes,
        trace: None,
        handle: Handle::from(String::new()),
    };
    Message::read(&received, queue.name()).ok()
}
