//! The audit: who did what to dead letters, who replayed or erased what, and why, and who looked at bodies in the console. Each line of JSON is written before the action;
//! what is done to a group, and a drop that is refused, gets a second one with the outcome. Of a letter that is dropped or edited it has the whole, as it was.

mod recent;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use towpath_files::lock::lock_if_supported;
use towpath_files::private;
use towpath_types::clock::{Clock, Timestamp};
use towpath_types::dead_letter::DeadLetter;
use towpath_types::queue::{Attributes, GroupId, MessageId};

use crate::erase::{Counts, Subject};
use crate::letters::Letter;
use crate::place::{Found, user};
use crate::replay::{Record, Request};
use crate::secret_headers::SecretHeaders;

pub use recent::{Line, Recent};

/// How long to wait for another process that writes letters to the audit.
const PATIENCE: Duration = Duration::from_secs(60);

/// A replay that was started or resumed.
#[derive(Serialize)]
struct Replayed<'a> {
    at: Timestamp,
    by: String,
    action: &'static str,
    run: &'a str,
    /// How many events were left to send.
    events: u64,
    #[serde(flatten)]
    request: &'a Request,
}

/// An erasure that begins or ends. It names nobody: neither groups nor values.
#[derive(Serialize)]
struct ErasedEvents<'a> {
    at: Timestamp,
    by: String,
    action: &'static str,
    step: &'static str,
    note: &'a str,
    /// How many groups were named.
    groups: usize,
    /// Where values were compared.
    pointers: Vec<&'a str>,
    waiting: u64,
    dead_letters: u64,
    refused: u64,
    other_queues: u64,
    archived: u64,
}

/// A look at the body of an event.
#[derive(Serialize)]
struct Looked<'a> {
    at: Timestamp,
    by: &'a str,
    action: &'static str,
    id: &'a MessageId,
    group: &'a GroupId,
}

/// A group that is retried now.
#[derive(Serialize)]
struct Retried<'a> {
    at: Timestamp,
    by: &'a str,
    action: &'static str,
    /// The id of its head in the queue.
    id: &'a MessageId,
    group: &'a GroupId,
    note: &'a str,
}

/// A move of a channel in the registry, or its outcome.
#[derive(Serialize)]
struct Moved<'a> {
    at: Timestamp,
    by: &'a str,
    action: &'a str,
    plugin: &'a str,
    channel: &'a str,
    /// The version, if the operator named one or it is known by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
    /// `done` or `failed`, if it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
}

/// A test of the routes of a provider.
#[derive(Serialize)]
struct TestOf<'a> {
    at: Timestamp,
    by: &'a str,
    action: &'static str,
    provider: &'a str,
    /// The path, if the operator named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    /// Whether an event with a valid signature is sent too, which is stored and delivered.
    send: bool,
}

/// The outcome of an action that was recorded before.
#[derive(Serialize)]
struct Ended<'a> {
    at: Timestamp,
    by: &'a str,
    action: &'a str,
    /// `done`; `refused` if nothing was done; `failed` if it stopped at an error.
    outcome: &'static str,
    /// How many messages it was done to.
    messages: u64,
    /// The id of the first message in its queue.
    id: &'a MessageId,
    group: &'a GroupId,
}

/// What was done to one letter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When it was recorded.
    pub at: Timestamp,
    /// Who did it.
    pub by: String,
    /// `edit`, `drop` or `redrive`; `dead-letter` or `park` if a waiting message, and with `park` its group, became letters.
    pub action: String,
    /// `retention` if a rule of the config did it; absent if an operator did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The letter's id in the dead-letter queue; of a waiting message its id in the queue of events.
    pub id: MessageId,
    /// The letter's group.
    pub group: GroupId,
    /// The operator's reason.
    pub note: String,
    /// Whether the letter was never verified and the operator accepted that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted_unverified: bool,
    /// Why the letter was dead-lettered.
    pub letter: DeadLetter,
    /// The body before the action; absent for a redrive, which changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The attributes before the action, if there is a body.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

impl AuditEntry {
    /// The entry without the values of secret headers, which the file has.
    pub fn hidden(self, secrets: &SecretHeaders) -> AuditEntry {
        let secrets = secrets.clone().and(self.letter.secret_header.as_deref());
        let body = self.body.map(|body| secrets.hidden_in_body(body));
        AuditEntry { body, attributes: secrets.hidden_in_attributes(self.attributes), ..self }
    }

    fn new(by: &str, action: &str, note: &str, letter: &Letter, whole: bool) -> AuditEntry {
        AuditEntry {
            at: Clock::wall().now(),
            by: by.to_owned(),
            action: action.to_owned(),
            reason: None,
            id: letter.id.clone(),
            group: letter.group.clone(),
            note: note.to_owned(),
            accepted_unverified: action == "edit" && !letter.death.is_verified(),
            letter: letter.death.clone(),
            body: whole.then(|| letter.body.text().into_owned()),
            attributes: if whole { letter.attributes.clone() } else { Attributes::new() },
        }
    }
}

/// The audit's file: in the folder of a local store, or for SQS in `.towpath` of the working directory.
pub struct Audit {
    file: PathBuf,
    /// Who acts.
    by: String,
}

impl Audit {
    /// The audit of a place.
    pub fn of(found: &Found) -> Audit {
        Audit { by: found.by.clone(), ..Audit::in_folder(&found.folder()) }
    }

    /// The audit of the store in this folder, for the user of this process.
    pub fn in_folder(folder: &Path) -> Audit {
        Audit { file: folder.join("audit.jsonl"), by: user() }
    }

    /// Locks the audit for a process that copies a letter of a local store into it, until the file is closed. Under the lock it checks that
    /// the letter still exists: an erasure may just have deleted it. `None` on a file system without locks. Waits outside the runtime's threads: another
    /// process may hold the lock for a minute.
    pub async fn alone(&self) -> anyhow::Result<Option<File>> {
        let path = self.file.with_extension("lock");
        let lock = {
            let path = path.clone();
            move || {
                private::make_folder(path.parent().unwrap_or(Path::new(".")))?;
                lock_if_supported(&path, PATIENCE)
            }
        };
        let locking = || format!("locking {}", path.display());
        spawn_blocking(lock).await.with_context(locking)?.with_context(locking)
    }

    /// Writes an entry. The caller must not act if this fails.
    pub fn write(&self, action: &str, note: &str, letter: &Letter) -> anyhow::Result<()> {
        // Without fsync: a redrive moves thousands of letters, and each is still in a queue.
        let whole = action != "redrive";
        self.append(&[AuditEntry::new(&self.by, action, note, letter, whole)], whole)
    }

    /// Records that this rule of the config removes these letters.
    pub fn retention(&self, rule: &str, letters: &[Letter]) -> anyhow::Result<()> {
        let entry = |letter| AuditEntry {
            reason: Some("retention".to_owned()),
            ..AuditEntry::new("towpath", "drop", rule, letter, true)
        };
        self.append(&letters.iter().map(entry).collect::<Vec<_>>(), true)
    }

    /// Records a replay that starts or goes on. The caller must not act if this fails.
    pub fn replay(&self, record: &Record) -> anyhow::Result<()> {
        let replayed = Replayed {
            at: Clock::wall().now(),
            by: self.by.clone(),
            action: "replay",
            run: &record.run,
            events: record.events.saturating_sub(record.sent),
            request: &record.request,
        };
        self.append(&[replayed], true)
    }

    /// Records an erasure: at its `begin` what was found, at its `end` what was erased. The caller must not act if this fails.
    pub(crate) fn erasure(
        &self,
        step: &'static str,
        note: &str,
        subject: &Subject,
        counts: &Counts,
    ) -> anyhow::Result<()> {
        let Counts { waiting, dead_letters, refused, other_queues, archived, .. } = *counts;
        let entry = ErasedEvents {
            at: Clock::wall().now(),
            by: self.by.clone(),
            action: "erase",
            step,
            note,
            groups: subject.groups.len(),
            pointers: subject.values.iter().map(|(pointer, _)| pointer.as_str()).collect(),
            waiting,
            dead_letters,
            refused,
            other_queues,
            archived,
        };
        self.append(&[entry], true)
    }

    /// Records that a group is retried now. The caller must not act if this fails.
    pub(crate) fn retried(&self, note: &str, head: &MessageId, group: &GroupId) -> anyhow::Result<()> {
        let at = Clock::wall().now();
        let retried = Retried { at, by: &self.by, action: "retry", id: head, group, note };
        self.append(&[retried], true)
    }

    /// Records that a waiting message, or with it its group, goes to the dead-letter queue. Its body is not written: it stays in the letter. The caller
    /// must not act if this fails.
    pub(crate) fn buried(
        &self,
        action: &str,
        note: &str,
        id: &MessageId,
        group: &GroupId,
        letter: DeadLetter,
    ) -> anyhow::Result<()> {
        let entry = AuditEntry {
            at: Clock::wall().now(),
            by: self.by.clone(),
            action: action.to_owned(),
            reason: None,
            id: id.clone(),
            group: group.clone(),
            note: note.to_owned(),
            accepted_unverified: false,
            letter,
            body: None,
            attributes: Attributes::new(),
        };
        self.append(&[entry], true)
    }

    /// Records the outcome of an action that was recorded before.
    pub(crate) fn ended(
        &self,
        action: &str,
        outcome: &'static str,
        messages: u64,
        id: &MessageId,
        group: &GroupId,
    ) -> anyhow::Result<()> {
        let at = Clock::wall().now();
        let ended = Ended { at, by: &self.by, action, outcome, messages, id, group };
        let written = self.lines(&[ended], true);
        written.with_context(|| format!("writing the outcome ({outcome}, {messages}) to {}", self.file.display()))
    }

    /// Records that a channel of a plugin is moved. The caller must not act if this fails.
    pub(crate) fn moves(
        &self,
        action: &str,
        note: &str,
        plugin: &str,
        channel: &str,
        version: Option<&str>,
    ) -> anyhow::Result<()> {
        let at = Clock::wall().now();
        self.append(&[Moved { at, by: &self.by, action, plugin, channel, version, note, outcome: None }], true)
    }

    /// Records that the routes of a provider are tested. The caller must not act if this fails.
    pub fn test(&self, provider: &str, path: Option<&str>, send: bool) -> anyhow::Result<()> {
        let at = Clock::wall().now();
        self.append(&[TestOf { at, by: &self.by, action: "test", provider, path, send }], true)
    }

    /// Records the outcome of such a move.
    pub(crate) fn moved(
        &self,
        action: &str,
        outcome: &'static str,
        plugin: &str,
        channel: &str,
        version: Option<&str>,
    ) -> anyhow::Result<()> {
        let at = Clock::wall().now();
        let moved = Moved { at, by: &self.by, action, plugin, channel, version, note: "", outcome: Some(outcome) };
        let written = self.lines(&[moved], true);
        written.with_context(|| format!("writing the outcome ({outcome}) to {}", self.file.display()))
    }

    /// Records that somebody looks at the body of an event. The caller must not show it if this fails. Without fsync: a look changes nothing.
    pub fn look(&self, id: &MessageId, group: &GroupId) -> anyhow::Result<()> {
        let looked = Looked { at: Clock::wall().now(), by: &self.by, action: "look", id, group };
        self.append(&[looked], false)
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    fn append(&self, entries: &[impl Serialize], sync: bool) -> anyhow::Result<()> {
        self.lines(entries, sync).with_context(|| format!("writing {}; nothing was done", self.file.display()))
    }

    fn lines(&self, entries: &[impl Serialize], sync: bool) -> std::io::Result<()> {
        let line = |entry| serde_json::to_string(entry).unwrap_or_default() + "\n";
        let text: String = entries.iter().map(line).collect();
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let new = !self.file.exists();
        private::make_folder(folder)?;
        let mut file = private::append(&self.file)?;
        file.write_all(text.as_bytes())?;
        if sync {
            file.sync_data()?;
        }
        if new { private::sync_folder(folder) } else { Ok(()) }
    }

    /// The last lines that end before this place of the file, newest first; `None` starts at its end. Bodies are left out.
    pub fn recent(&self, before: Option<u64>, most: usize) -> anyhow::Result<Recent> {
        recent::read(&self.file, before, most).with_context(|| format!("reading {}", self.file.display()))
    }

    /// What was done to letters, oldest first.
    pub fn read(&self) -> anyhow::Result<Vec<AuditEntry>> {
        let text = private::read(&self.file).with_context(|| format!("reading {}", self.file.display()))?;
        Ok(text.unwrap_or_default().lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_look_names_who_looked_at_what_and_is_no_action_on_a_letter() {
        let folder = tempfile::TempDir::new().expect("folder");
        let audit = Audit { by: "ada".to_owned(), ..Audit::in_folder(folder.path()) };
        audit.look(&"m-1".into(), &"crm/<1>\n".into()).expect("written");
        let text = std::fs::read_to_string(audit.file()).expect("read");
        let line: Value = serde_json::from_str(text.trim_end()).expect("one line of JSON");
        let fields = ["by", "action", "id", "group"].map(|name| line[name].as_str().unwrap_or_default());
        assert_eq!(fields, ["ada", "look", "m-1", "crm/<1>\n"]);
        assert!(line["at"].is_number() || line["at"].is_string(), "{line}");
        assert!(audit.read().expect("read").is_empty());
    }

    #[tokio::test]
    async fn whoever_waits_for_the_audit_lets_the_runtime_go_on() {
        let folder = tempfile::TempDir::new().expect("folder");
        let audit = Audit::in_folder(folder.path());
        let held = audit.alone().await.expect("no error").expect("a lock");
        // This runtime has one thread: only if that goes on is the lock released.
        let release = async {
            tokio::task::yield_now().await;
            drop(held);
        };
        let (locked, ()) = tokio::join!(audit.alone(), release);
        assert!(locked.expect("no error").is_some());
    }
}
