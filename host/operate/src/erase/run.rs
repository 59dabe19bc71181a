//! Erases.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;
use towpath_archive::Folder;
use towpath_files::private;
use towpath_local::{Scrubbed, Store};
use towpath_types::clock::{Clock, Timestamp};

use super::deadline::Deadline;
use super::person::Person;
use super::place::Place;
use super::plan::{Events, unknown_groups};
use super::unfinished::Unfinished;
use super::unreachable::{Unreachable, all};
use super::{Counts, EraseError, Request, traces};
use crate::audit::Audit;
use crate::place::Found;

/// How often what is being delivered is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often events that arrive meanwhile are erased too.
const ROUNDS: usize = 5;

/// Called with what is being done, how much of it is done, and how much there is.
pub type Progress<'a> = &'a dyn Fn(&'static str, u64, u64);

/// What was erased, and what not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What was erased.
    pub erased: Counts,
    /// Deduplication ids that were forgotten before they expired.
    pub deduplication_ids: u64,
    /// Events that are still being delivered, and were not erased.
    pub in_flight: u64,
    /// Events that arrived meanwhile, and were not erased.
    pub arrived: u64,
    /// Whether the queues were searched. Those on SQS cannot be.
    pub searched_queues: bool,
    /// Whether the store was rewritten. It is not for a group that looks like a typo.
    pub is_rewritten: bool,
    /// How many bytes of the store are in use, if they were too many to rewrite: then deleted bytes are left in it.
    pub too_large: Option<u64>,
    /// What is not erased.
    pub unreachable: Vec<Unreachable>,
    /// A group that no route of the config makes, and of which nothing was found: perhaps a typo.
    pub unknown_group: Option<String>,
    /// An erasure that was interrupted, and that was completed first.
    pub earlier: Option<Earlier>,
}

/// An erasure that was interrupted, and completed by a later one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Earlier {
    /// Who started it.
    pub by: String,
    /// When.
    pub started_at: Timestamp,
    /// What was erased when it was completed.
    pub erased: Counts,
    /// As in [`Report`].
    pub too_large: Option<u64>,
}

impl Report {
    /// Whether nothing is left in the queues and on this machine, as far as Towpath can tell.
    pub fn is_complete(&self) -> bool {
        self.searched_queues && self.in_flight == 0 && self.arrived == 0 && self.too_large.is_none()
    }
}

/// Erases what the plan shows. It can be killed at any moment and run again: what is not yet erased is found again.
pub async fn run(found: &Found, request: &Request, progress: Progress<'_>) -> anyhow::Result<Report> {
    if request.subject.is_everything() {
        return Err(EraseError::Everything.into());
    }
    let place = Place::of(found, request)?;
    private::make_folder(&place.folder).with_context(|| format!("making {}", place.folder.display()))?;
    let _alone = place.alone()?;
    let folder = request.folder.as_deref().map(absolute).transpose()?;
    let mut interrupted = Unfinished::read(&place.folder)?;
    let is_another = |unfinished: &mut Unfinished| unfinished.subject != request.subject || unfinished.folder != folder;
    let earlier = match interrupted.take_if(is_another) {
        Some(earlier) => Some(complete_earlier(found, request, earlier, progress).await?),
        None => None,
    };
    let is_resumed = interrupted.is_some();
    let unfinished = interrupted.unwrap_or_else(|| Unfinished {
        by: found.by.clone(),
        started_at: Clock::wall().now(),
        note: request.note.clone(),
        subject: request.subject.clone(),
        folder,
        ids: Default::default(),
    });
    let report = Erasure::new(&place, request, unfinished, is_resumed, progress)?.complete(found).await?;
    let left = earlier.as_ref().and_then(|earlier| earlier.too_large).filter(|_| !report.is_rewritten);
    Ok(Report { too_large: report.too_large.or(left), earlier, ..report })
}

/// The next run may have another working directory.
fn absolute(folder: &Path) -> anyhow::Result<PathBuf> {
    folder.canonicalize().with_context(|| format!("finding the folder {}", folder.display()))
}

async fn complete_earlier(
    found: &Found,
    request: &Request,
    earlier: Unfinished,
    progress: Progress<'_>,
) -> anyhow::Result<Earlier> {
    let Unfinished { by, started_at, note, subject, folder, .. } = earlier.clone();
    let request = Request { subject, note, folder, ..request.clone() };
    let completing = || format!("completing the erasure that {by} started at {started_at}");
    let place = Place::of(found, &request).with_context(completing)?;
    let report = Erasure::new(&place, &request, earlier, true, progress)?.complete(found).await?;
    let Report { in_flight, arrived, erased, too_large, .. } = report;
    if in_flight + arrived > 0 {
        return Err(EraseError::Earlier { by, started_at: started_at.to_string(), in_flight, arrived }.into());
    }
    Ok(Earlier { by, started_at, erased, too_large })
}

struct Erasure<'a> {
    place: &'a Place,
    request: &'a Request,
    person: Person,
    unfinished: Unfinished,
    /// Whether an earlier run may have erased something.
    is_resumed: bool,
    progress: Progress<'a>,
    deadline: Deadline,
    erased: Counts,
    deduplication_ids: u64,
}

impl<'a> Erasure<'a> {
    fn new(
        place: &'a Place,
        request: &'a Request,
        unfinished: Unfinished,
        is_resumed: bool,
        progress: Progress<'a>,
    ) -> anyhow::Result<Erasure<'a>> {
        let person = Person::new(request.subject.clone(), unfinished.ids.clone())?;
        let deadline = Deadline::after(request.wait);
        let erased = Counts::default();
        Ok(Erasure { place, request, person, unfinished, is_resumed, progress, deadline, erased, deduplication_ids: 0 })
    }

    async fn complete(mut self, found: &Found) -> anyhow::Result<Report> {
        let audit = Audit::in_folder(&self.place.folder);
        let events = self.find().await?;
        audit.erasure("begin", &self.request.note, &self.request.subject, &events.counts)?;
        let mut left = self.rounds(events).await?;
        let is_typo = self.is_typo(found, &left);
        let scrubbed = match &self.place.store {
            Some(store) if !is_typo => Some(self.scrub(store).await?),
            _ => None,
        };
        let damaged = left.damaged;
        if left.in_flight() == 0 {
            left = self.find().await?;
        }
        // A host writes the story after it has settled a message.
        self.traces()?;
        let in_flight = left.in_flight();
        let arrived = left.counts.sum() - in_flight;
        audit.erasure("end", &self.request.note, &self.request.subject, &self.erased)?;
        if in_flight + arrived == 0 {
            Unfinished::remove(&self.place.folder)?;
        }
        let is_nothing = self.erased.sum() + in_flight + arrived == 0;
        Ok(Report {
            erased: self.erased,
            deduplication_ids: self.deduplication_ids,
            in_flight,
            arrived,
            searched_queues: self.place.store.is_some(),
            is_rewritten: scrubbed == Some(Scrubbed::Done),
            too_large: match scrubbed {
                Some(Scrubbed::TooLarge { bytes }) => Some(bytes),
                Some(Scrubbed::Done) | None => None,
            },
            unreachable: all(found, damaged, Clock::wall().now()),
            unknown_group: if is_nothing { unknown_groups(found, self.request).next().cloned() } else { None },
            earlier: None,
        })
    }

    /// Whether nothing was found and no group exists: hosts need not wait until the store is rewritten.
    fn is_typo(&self, found: &Found, left: &Events) -> bool {
        let is_nothing = self.erased.sum() + self.deduplication_ids + left.counts.sum() == 0 && !self.is_resumed;
        let groups = self.request.subject.groups.len();
        is_nothing && groups > 0 && unknown_groups(found, self.request).count() == groups
    }

    /// Erases what is found, and again what arrives meanwhile. Returns what was found last.
    async fn rounds(&mut self, mut events: Events) -> anyhow::Result<Events> {
        for _ in 0..ROUNDS {
            self.stored(&events).await?;
            self.archived()?;
            self.audited().await?;
            if let Some(store) = &self.place.store {
                let ids = std::sync::Arc::clone(&self.person.ids);
                self.deduplication_ids += store.forget(self.person.whole_groups(), ids).await?;
            }
            self.traces()?;
            events = self.find().await?;
            let is_only_in_flight = events.counts.sum() == events.in_flight();
            if is_only_in_flight && (events.in_flight() == 0 || self.deadline.is_over()) {
                break;
            }
        }
        Ok(events)
    }

    /// Finds events, and records their ids before they can be erased.
    async fn find(&mut self) -> anyhow::Result<Events> {
        let (looked, all) = self.archive_bar("reading the archive")?;
        let mut done = 0;
        let mut looked = || {
            done += 1;
            looked(done, all);
        };
        let events = Events::find(self.place, &mut self.person, &mut looked).await?;
        let known = self.unfinished.ids.len();
        self.unfinished.ids.extend(self.person.ids.iter().cloned());
        if self.unfinished.ids.len() > known || known == 0 {
            self.unfinished.write(&self.place.folder)?;
        }
        Ok(events)
    }

    /// Erases messages. What a host is working on is waited for: it becomes a delivery, a dead letter, or a wait for a retry.
    async fn stored(&mut self, events: &Events) -> anyhow::Result<()> {
        let Some(store) = &self.place.store else { return Ok(()) };
        let all = events.stored.len() as u64;
        let mut left: Vec<String> = events.stored.iter().map(|(sequence, _)| sequence.clone()).collect();
        loop {
            left = store.erase(&left).await.context("erasing messages")?;
            (self.progress)("erasing messages", all - left.len() as u64, all);
            if left.is_empty() || self.deadline.is_over() {
                break;
            }
            sleep(LOOK).await;
        }
        let in_flight = left.len() as u64;
        let Counts { waiting, dead_letters, refused, other_queues, .. } = events.counts;
        self.erased.waiting += waiting.saturating_sub(in_flight);
        self.erased.dead_letters += dead_letters;
        self.erased.refused += refused;
        self.erased.other_queues += other_queues;
        Ok(())
    }

    /// Erases in the archives what was found. What was delivered since is found, and its ids recorded, before the next round.
    fn archived(&mut self) -> anyhow::Result<()> {
        let (looked, all) = self.archive_bar("erasing in the archive")?;
        let person = &self.person;
        let mut done = 0;
        let mut looked = || {
            done += 1;
            looked(done, all);
        };
        for archive in &self.place.archives {
            let erased = archive.erase(&|event, _| person.knows(event.id.as_str()), &mut looked);
            self.erased.archived += erased.with_context(|| erasing(archive.path()))?.events;
        }
        Ok(())
    }

    fn archive_bar(&self, what: &'static str) -> anyhow::Result<(impl Fn(u64, u64) + use<'a>, u64)> {
        let segments = |archive: &Folder| archive.segments().with_context(|| erasing(archive.path()));
        let all = self.place.archives.iter().map(segments).sum::<anyhow::Result<u64>>()?;
        let progress = self.progress;
        Ok((move |done, all| progress(what, done, all), all))
    }

    /// Waits for processes that are copying a letter into the audit. A process that starts later finds that the letter is gone.
    async fn audited(&self) -> anyhow::Result<()> {
        if self.place.store.is_none() {
            return Ok(());
        }
        (self.progress)("waiting for the audit", 0, 0);
        let audit = Audit::in_folder(&self.place.folder);
        audit.alone().await.map(drop).context("waiting for the audit")
    }

    fn traces(&mut self) -> anyhow::Result<()> {
        (self.progress)("erasing in the story and the audit", 0, 0);
        let erased = traces::erase(&self.place.folder, &self.person)?;
        self.erased.story += erased.story;
        self.erased.audit += erased.audit;
        self.erased.replays += erased.replays;
        Ok(())
    }

    /// Removes deleted bytes from the store.
    async fn scrub(&self, store: &Store) -> anyhow::Result<Scrubbed> {
        (self.progress)("rewriting the store", 0, 0);
        Ok(store.scrub(self.request.most).await?)
    }
}

fn erasing(archive: &Path) -> String {
    format!("erasing in the archive {}", archive.display())
}
