//! `record`: messages as cases of a plugin, without personal data.

mod listen;

use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;
use towpath_config::Config;
use towpath_local::LocalQueue;
use towpath_operate::known::Groups;
use towpath_operate::letters::Letters;
use towpath_operate::place::{Backend, Found};
use towpath_operate::redact::{self, Redactor};
use towpath_operate::secret_headers::SecretHeaders;
use towpath_plugin::digest;
use towpath_types::message::Message;
use towpath_types::queue::{Handle, Queue as _, Received};

use super::dlq::with_letters;
use crate::args::{LetterPlace, Record};
use crate::event::Event;
use crate::output::{Exit, Output};

/// Where the key of the replacements is.
const KEY: &str = ".towpath/redact.key";

/// How many messages are read at a time.
const PAGE: usize = 100;

/// One case that was written.
#[derive(Serialize)]
struct Saved {
    case: PathBuf,
    group: String,
    /// Whether the same event was recorded before.
    known: bool,
}

/// What is recorded, and where to.
struct Recorder<'a> {
    args: &'a Record,
    redactor: Redactor,
    saved: Vec<Saved>,
    /// Whether a message of a group that is wanted was there.
    met: bool,
}

pub(super) async fn run(args: Record, output: &Output) -> anyhow::Result<Exit> {
    let redactor = Redactor::new(redact::key(Path::new(KEY))?, &args.redact, args.keep_patterns)?;
    let mut recorder = Recorder { args: &args, redactor, saved: Vec::new(), met: false };
    match (args.listen, args.dead) {
        (Some(address), _) => recorder.listen(address, output).await?,
        (None, true) => recorder.dead_letters(output).await?,
        (None, false) => recorder.waiting(output).await?,
    }
    let saved = recorder.saved;
    if output.is_json() {
        output.json(&saved);
    }
    let new = saved.iter().filter(|saved| !saved.known).count();
    output.say(format!("{} recorded, {new} new, in {}", saved.len(), args.to.display()));
    if new > 0 {
        output.note("look through them before they are committed: free text is not searched for names");
    }
    Ok(if saved.is_empty() { Exit::Findings } else { Exit::Done })
}

impl Recorder<'_> {
    fn is_full(&self) -> bool {
        self.saved.len() as u64 >= self.args.limit
    }

    /// Writes one message, if it is wanted. The same event makes the same case.
    fn save(&mut self, message: &Message) -> anyhow::Result<()> {
        let wanted = is_wanted(self.args.group.as_deref(), message);
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
        let case = self.args.to.join(format!("recorded-{}", name.get(..10).unwrap_or_default()));
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

    /// From now on replaces the values of all headers that the config says are secrets.
    fn know(&mut self, config: Option<&Config>, output: &Output) {
        self.redactor.secrets = SecretHeaders::of(config);
        if config.is_none() {
            output.note(
                "no config is at hand: headers with secrets are known by usual names only; --config names the others",
            );
        }
    }

    async fn dead_letters(&mut self, output: &Output) -> anyhow::Result<()> {
        let place = LetterPlace { place: self.args.place.clone(), refused: false };
        let limit = self.args.limit;
        let group = self.args.group.clone();
        let read = with_letters(&place, None, |found, letters| {
            Box::pin(async move {
                let messages = dead(found, letters, limit, group.as_deref()).await?;
                check_group(group.as_deref(), !messages.is_empty(), found).map(|()| messages)
            })
        });
        let messages = read.await?.unwrap_or_default();
        let config = self.args.place.wanted().config().await?;
        self.know(config.as_ref(), output);
        messages.iter().try_for_each(|message| self.save(message))
    }

    async fn waiting(&mut self, output: &Output) -> anyhow::Result<()> {
        let found = Found::find(&self.args.place.wanted()).await?;
        self.know(found.config.as_ref(), output);
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
        check_group(self.args.group.as_deref(), self.met, &found)
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

/// The messages of dead letters of this group as their plugins saw them.
async fn dead(
    found: &Found,
    letters: &mut dyn Letters,
    limit: u64,
    group: Option<&str>,
) -> anyhow::Result<Vec<Message>> {
    let mut messages = Vec::new();
    loop {
        let page = letters.next().await?;
        if page.is_empty() || messages.len() as u64 >= limit.saturating_mul(10) {
            return Ok(messages);
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
        handle: Handle(String::new()),
    };
    Message::read(&received, queue.name()).ok()
}
