//! Messages as cases of a plugin, without personal data.

use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;
use towpath_config::Config;
use towpath_local::LocalQueue;
use towpath_plugin::digest;
use towpath_types::message::Message;
use towpath_types::queue::{Handle, Queue as _, Received};

use crate::event::Event;
use crate::known::Groups;
use crate::letters::Letters;
use crate::place::{Backend, Found};
use crate::redact::{self, Redactor};
use crate::secret_headers::SecretHeaders;

/// Where the key of the replacements is.
const KEY: &str = ".towpath/redact.key";

/// How many messages are read at a time.
const PAGE: usize = 100;

/// What is recorded, and where to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// The folder of the cases.
    pub to: PathBuf,
    /// Messages of this group; a star at the end stands for anything.
    pub group: Option<String>,
    /// So many at most.
    pub limit: u64,
    /// JSON pointers to what is replaced.
    pub redact: Vec<String>,
    /// What looks like an address, a card or a token stays.
    pub keep_patterns: bool,
}

/// One case that was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Saved {
    /// Its folder.
    pub case: PathBuf,
    /// The message's group.
    pub group: String,
    /// Whether the same event was recorded before.
    pub known: bool,
}

/// Writes cases.
pub struct Recorder {
    /// What was written so far.
    pub saved: Vec<Saved>,
    recording: Recording,
    redactor: Redactor,
    /// Whether a message of a group that is wanted was there.
    met: bool,
}

impl Recorder {
    /// A recorder with this folder's key for replacements, which is made if there is none.
    pub fn new(recording: Recording) -> anyhow::Result<Recorder> {
        let redactor = Redactor::new(redact::key(Path::new(KEY))?, &recording.redact, recording.keep_patterns)?;
        Ok(Recorder { saved: Vec::new(), recording, redactor, met: false })
    }

    /// Whether as many are recorded as were asked for.
    pub fn is_full(&self) -> bool {
        self.saved.len() as u64 >= self.recording.limit
    }

    /// From now on replaces the values of all headers that the config says are secrets.
    pub fn know(&mut self, config: Option<&Config>) {
        self.redactor.secrets = SecretHeaders::of(config);
    }

    /// Writes one message, if it is wanted. The same event makes the same case.
    pub fn save(&mut self, message: &Message) -> anyhow::Result<()> {
        let wanted = is_wanted(self.recording.group.as_deref(), message);
        self.met |= wanted;
        if !wanted || self.is_full() {
            return Ok(());
        }
        let body = self.redactor.body(&message.body);
        let header = |(name, value): &(String, Vec<u8>)| (name.clone(), self.redactor.header(name, value));
        let headers: Vec<(String, Vec<u8>)> = message.headers.iter().map(header).collect();
        let group = self.redactor.text(message.group.as_str());
        let path = group.split('/').next().unwrap_or_default().to_owned();
        // What carries the event differs from one delivery to the next; the event does not.
        let name = digest(&[path.as_bytes(), b"\0", &body].concat());
        let case = self.recording.to.join(format!("recorded-{}", name.get(..10).unwrap_or_default()));
        let known = case.exists();
        if !known {
            let mut event = Event::of(&path, headers, &body);
            event.group = Some(group.clone());
            event.sent_at = Some(message.sent_at.to_string());
            event.write(&case)?;
        }
        self.saved.push(Saved { case, group, known });
        Ok(())
    }

    /// Records what waits in a local store.
    pub async fn waiting(&mut self, found: &Found) -> anyhow::Result<()> {
        let Backend::Local(queues) = &found.backend else {
            bail!("what waits on SQS can only be received, not looked at: use --dead, or --listen beside the ingest");
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

/// Fails if no message of such a group was met, and no route can make one.
fn check_group(group: Option<&str>, met: bool, found: &Found) -> anyhow::Result<()> {
    match (group, &found.config) {
        (Some(group), Some(config)) if !met => Groups(group).check(config),
        _ => Ok(()),
    }
}

/// The messages of dead letters of this group as their plugins saw them, with some more than are asked for: the same event may be there
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
        let seen = page.iter().filter_map(|letter| letter.seen(found.config.as_ref()));
        messages.extend(seen.filter(|message| is_wanted(group, message)));
    }
}

/// What waits, unpacked; `None` if it is no webhook.
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
