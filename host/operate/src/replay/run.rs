//! Sends the events of a run, batch by batch.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use towpath_types::archive::Archived;
use towpath_types::clock::Clock;
use towpath_types::message::Note;
use towpath_types::queue::{GroupId, MessageId, NewMessage, Part, Queue};
use towpath_types::replay::Replay;
use towpath_verify::note_keys::NoteKeys;

use super::error::ReplayError;
use super::places::Places;
use super::plan::{Plan, plan};
use super::position::{Position, number};
use super::record::{self, Record, State};
use super::selected::{Selected, events};
use super::{Request, keys};
use crate::archive::Progress;
use crate::audit::Audit;
use crate::pace::{MOST, Pace};
use crate::place::{Backend, Found};
use crate::{aws, token};

/// With a rate, the events of this time are one batch: few, because live events wait behind them.
const PORTION: Duration = Duration::from_millis(10);

/// The place is written at least this often while events are sent. An fsync for each small batch would slow the host down.
const WRITTEN: Duration = Duration::from_millis(100);

/// Hexadecimal digits of a new `webhook-id`: 128 bits.
const NEW_ID: usize = 32;

/// A run that can send. Only one does at a time on a store.
pub struct Run<'a> {
    found: &'a Found,
    keys: NoteKeys,
    queue: Arc<dyn Queue>,
    /// Whether the queue stores a batch as a whole or not at all.
    is_atomic: bool,
    folder: PathBuf,
    record: Record,
    /// The number of the last event of each group in the plan.
    last: Arc<HashMap<GroupId, u128>>,
    reading: Progress<'a>,
    _lock: File,
}

/// How far a run came.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// The run.
    pub record: Record,
    /// Events that this command sent.
    pub sent: u64,
}

impl<'a> Run<'a> {
    /// A new run of what this plan shows. Fails if groups have later events and the request does not accept that.
    pub async fn start(
        found: &'a Found,
        request: Request,
        plan: &Plan,
        reading: Progress<'a>,
    ) -> anyhow::Result<Run<'a>> {
        plan.check(&request)?;
        let places = Places::of(found, &request).await?;
        let run: String = token::made().chars().take(8).collect();
        let now = Clock::wall().now();
        let record = Record {
            run,
            by: found.by.clone(),
            started_at: now,
            updated_at: now,
            places: Some(places),
            request,
            events: plan.events,
            sent: 0,
            late: 0,
            position: None,
            state: State::Running,
        };
        Run::open(found, record, plan, None, reading).await
    }

    /// A run that was stopped or killed, with what is left of it. It fails with another queue or archive than at the start. Groups that got later events meanwhile are refused as at the start.
    pub async fn resume(
        found: &'a Found,
        run: &str,
        change: impl FnOnce(&mut Request),
        reading: Progress<'a>,
    ) -> anyhow::Result<(Run<'a>, Plan)> {
        let folder = record::folder(found);
        let lock = record::held(&folder)?;
        let mut record = record::read(&folder, run)?;
        if record.state == State::Complete {
            return Err(ReplayError::Complete(record.run).into());
        }
        let places = Places::of(found, &record.request).await?;
        if let Some(before) = &record.places {
            before.check(&record.run, &places)?;
        }
        change(&mut record.request);
        let plan = plan(found, &record.request, record.position.as_ref(), reading).await?;
        plan.check(&record.request)?;
        record.state = State::Running;
        record.events = record.sent + plan.events;
        // They are before the position: what was sent after them would be overwritten.
        record.late = plan.passed.saturating_sub(record.sent);
        Ok((Run::open(found, record, &plan, Some(lock), reading).await?, plan))
    }

    async fn open(
        found: &'a Found,
        record: Record,
        plan: &Plan,
        lock: Option<File>,
        reading: Progress<'a>,
    ) -> anyhow::Result<Run<'a>> {
        let keys = keys::of(found, record.request.to.as_deref()).await?;
        let (queue, is_atomic): (Arc<dyn Queue>, bool) = match &found.backend {
            Backend::Local(queues) => (Arc::new(queues.events.clone()), true),
            Backend::Sqs { events: Some(url), .. } => (aws::queue(url).await?, false),
            Backend::Sqs { events: None, .. } => return Err(ReplayError::NoQueue.into()),
        };
        let folder = record::folder(found);
        towpath_files::private::make_folder(&folder)?;
        let lock = match lock {
            Some(lock) => lock,
            None => record::held(&folder)?,
        };
        let last = Arc::clone(&plan.last);
        Ok(Run { found, keys, queue, is_atomic, folder, record, last, reading, _lock: lock })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.record.run
    }

    /// How many events reached the archive too late to be sent in order.
    pub fn late(&self) -> u64 {
        self.record.late
    }

    /// How many events are left.
    pub fn left(&self) -> u64 {
        self.record.events.saturating_sub(self.record.sent)
    }

    /// Sends what is left, in order. Between two batches it stops once `stop` resolves, or if a send failed; then it can be resumed.
    pub async fn go(
        mut self,
        mut stop: Pin<&mut (dyn Future<Output = ()> + Send)>,
        mut progress: impl FnMut(u64) + Send,
    ) -> anyhow::Result<Report> {
        let found = self.found;
        record::write(&self.folder, &self.record)?;
        Audit::of(found).replay(&self.record)?;
        let Request { conditions, archive, .. } = self.record.request.clone();
        let position = self.record.position.clone();
        let mut pace = Pace::new(self.record.request.per_second, PORTION);
        let mut unwritten = Unwritten::new();
        let mut left = events(found, &archive, &conditions, position.as_ref(), self.reading).await?;
        let before = self.record.sent;
        let end = loop {
            // Where a batch can be sent in part, each event is one: its place is written, and `stop` asked, before the next.
            let most = if self.is_atomic { pace.chunk() } else { 1 };
            let batch = self.next_batch(&mut left, most)?;
            if batch.is_empty() {
                break State::Complete;
            }
            tokio::select! {
                biased;
                () = &mut stop => break State::Stopped,
                () = pace.wait(batch.len()) => {}
            }
            let batch_size = batch.len();
            let count = batch_size as u64;
            if let Err(problem) = self.send(batch).await {
                break State::Failed(format!("{problem:#}"));
            }
            let is_long = pace.space(batch_size) >= WRITTEN;
            if unwritten.add(count) || is_long || !self.is_atomic {
                record::write(&self.folder, &self.record)?;
                unwritten = Unwritten::new();
            }
            progress(count);
        };
        drop(left);
        self.record.state = end;
        record::write(&self.folder, &self.record)?;
        let sent = self.record.sent - before;
        Ok(Report { record: self.record.clone(), sent })
    }

    fn next_batch(
        &self,
        left: &mut impl Iterator<Item = std::io::Result<Selected>>,
        most: usize,
    ) -> anyhow::Result<Vec<(Archived, NewMessage)>> {
        let mut batch = Vec::new();
        while batch.len() < most
            && let Some(selected) = left.next()
        {
            if let Selected::Sent { event, route } = selected?
                && self.last.get(&event.group).is_some_and(|last| number(&event) <= *last)
            {
                let message = self.message(&event, &route);
                batch.push((*event, message));
            }
        }
        Ok(batch)
    }

    fn message(&self, event: &Archived, route: &str) -> NewMessage {
        let Record { run, by, request, .. } = &self.record;
        let now = Clock::wall().now();
        let id = request.new_ids.then(|| new_id(run, event));
        let replay = Replay { at: now, run: run.clone(), to: request.to.clone(), id };
        let note = Note { at: now, by: by.clone(), text: request.note.clone(), unverified: false };
        self.keys.send_again(event, route, &replay, note)
    }

    /// Sends a batch in order, and moves the position behind what was sent. Nothing is sent behind an event that fails, so no group gets out
    /// of order.
    async fn send(&mut self, batch: Vec<(Archived, NewMessage)>) -> anyhow::Result<()> {
        if self.is_atomic {
            let part = |(_, message): &(Archived, NewMessage)| Part { message: message.clone(), former_group: None };
            self.queue.arrive_all(batch.iter().map(part).collect(), None).await?;
            batch.iter().for_each(|(event, _)| self.sent(event));
            return Ok(());
        }
        for (event, message) in batch {
            self.queue.send(message).await?;
            self.sent(&event);
        }
        Ok(())
    }

    fn sent(&mut self, event: &Archived) {
        self.record.position = Some(Position::after(self.record.position.take(), event));
        self.record.sent += 1;
        self.record.updated_at = Clock::wall().now();
    }
}

/// What was sent since the place was written: what a crash sends again.
struct Unwritten {
    events: u64,
    since: Instant,
}

impl Unwritten {
    fn new() -> Unwritten {
        Unwritten { events: 0, since: Instant::now() }
    }

    /// Whether the place is to be written now.
    fn add(&mut self, events: u64) -> bool {
        self.events += events;
        self.events >= MOST as u64 || self.since.elapsed() >= WRITTEN
    }
}

/// The same each time that the run sends the event.
fn new_id(run: &str, event: &Archived) -> MessageId {
    let parts = [run.as_bytes(), b"\0", event.group.as_str().as_bytes(), b"\0", event.id.as_str().as_bytes()];
    let digest = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize();
    let mut id = hex::encode(digest);
    id.truncate(NEW_ID);
    id.insert_str(0, "msg_");
    id.into()
}
