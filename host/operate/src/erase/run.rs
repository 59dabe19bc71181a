//! Erases.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};
use towpath_files::private;
use towpath_local::{Scrubbed, Store};
use towpath_types::clock::Clock;

use super::person::{Person, ids};
use super::place::Place;
use super::plan::Events;
use super::unfinished::Unfinished;
use super::unreachable::{Unreachable, all};
use super::{Counts, EraseError, Request, traces};
use crate::audit::{self, Audit};
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
    /// How many bytes of the store are in use, if they were too many to rewrite: then deleted bytes are left in it.
    pub too_large: Option<u64>,
    /// What is not erased.
    pub unreachable: Vec<Unreachable>,
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
    let mut interrupted = Unfinished::read(&place.folder)?;
    if let Some(earlier) = interrupted.take_if(|earlier| earlier.subject != request.subject) {
        let by = earlier.by.clone();
        let started_at = earlier.started_at.to_string();
        let request = Request { subject: earlier.subject.clone(), note: earlier.note.clone(), ..request.clone() };
        if Erasure::new(&place, &request, earlier, progress)?.complete(found).await?.in_flight > 0 {
            return Err(EraseError::Earlier { by, started_at }.into());
        }
    }
    let unfinished = interrupted.unwrap_or_else(|| Unfinished {
        by: audit::by(),
        started_at: Clock::wall().now(),
        note: request.note.clone(),
        subject: request.subject.clone(),
        ids: Default::default(),
    });
    Erasure::new(&place, request, unfinished, progress)?.complete(found).await
}

struct Erasure<'a> {
    place: &'a Place,
    request: &'a Request,
    person: Person,
    unfinished: Unfinished,
    progress: Progress<'a>,
    until: Instant,
    erased: Counts,
    deduplication_ids: u64,
}

impl<'a> Erasure<'a> {
    fn new(
        place: &'a Place,
        request: &'a Request,
        unfinished: Unfinished,
        progress: Progress<'a>,
    ) -> anyhow::Result<Erasure<'a>> {
        let person = Person::new(request.subject.clone(), unfinished.ids.clone())?;
        let until = Instant::now() + request.wait;
        let erased = Counts::default();
        Ok(Erasure { place, request, person, unfinished, progress, until, erased, deduplication_ids: 0 })
    }

    async fn complete(mut self, found: &Found) -> anyhow::Result<Report> {
        let audit = Audit::in_folder(&self.place.folder);
        let events = self.find().await?;
        audit.erasure("begin", &self.request.note, &self.request.subject, &events.counts)?;
        let mut left = self.rounds(events).await?;
        let too_large = match &self.place.store {
            Some(store) => self.scrub(store).await?,
            None => None,
        };
        // A host writes the story after it has settled a message.
        self.traces()?;
        let damaged = left.damaged;
        if left.in_flight() == 0 {
            left = self.find().await?;
        }
        let in_flight = left.in_flight();
        let arrived = left.counts.sum() - in_flight;
        audit.erasure("end", &self.request.note, &self.request.subject, &self.erased)?;
        if in_flight + arrived == 0 {
            Unfinished::remove(&self.place.folder)?;
        }
        let unreachable = all(found, damaged, Clock::wall().now());
        let Erasure { place, erased, deduplication_ids, .. } = self;
        let searched_queues = place.store.is_some();
        Ok(Report { erased, deduplication_ids, in_flight, arrived, searched_queues, too_large, unreachable })
    }

    /// Erases what is found, and again what arrives meanwhile. Returns what was found last.
    async fn rounds(&mut self, mut events: Events) -> anyhow::Result<Events> {
        for _ in 0..ROUNDS {
            self.stored(&events).await?;
            self.archived()?;
            if let Some(store) = &self.place.store {
                let ids = std::sync::Arc::clone(&self.person.ids);
                self.deduplication_ids += store.forget(self.person.whole_groups(), ids).await?;
            }
            self.traces()?;
            events = self.find().await?;
            let is_only_in_flight = events.counts.sum() == events.in_flight();
            if is_only_in_flight && (events.in_flight() == 0 || Instant::now() >= self.until) {
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
            if left.is_empty() || Instant::now() >= self.until {
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

    fn archived(&mut self) -> anyhow::Result<()> {
        let Some(archive) = &self.place.archive else { return Ok(()) };
        let (bar, all) = self.archive_bar("erasing in the archive")?;
        let mut done = 0;
        let person = self.person.clone();
        let mut learned = Vec::new();
        let erased = archive.erase(
            &|event, body| person.has_archived(event, body),
            &mut |event| learned.extend(ids(&event.id, &event.attributes)),
            &mut || {
                done += 1;
                bar(done, all);
            },
        );
        self.erased.archived += erased.with_context(|| erasing(archive.path()))?.events;
        // Of those that were delivered since the search.
        self.person.learn(learned);
        Ok(())
    }

    fn archive_bar(&self, what: &'static str) -> anyhow::Result<(impl Fn(u64, u64) + use<'a>, u64)> {
        let all = match &self.place.archive {
            Some(archive) => archive.segments().with_context(|| erasing(archive.path()))?,
            None => 0,
        };
        let progress = self.progress;
        Ok((move |done, all| progress(what, done, all), all))
    }

    fn traces(&mut self) -> anyhow::Result<()> {
        (self.progress)("erasing in the story and the audit", 0, 0);
        let erased = traces::erase(&self.place.folder, &self.person)?;
        self.erased.story += erased.story;
        self.erased.audit += erased.audit;
        self.erased.replays += erased.replays;
        Ok(())
    }

    /// Removes deleted bytes from the store. Returns how many are in use, if they are too many.
    async fn scrub(&self, store: &Store) -> anyhow::Result<Option<u64>> {
        (self.progress)("rewriting the store", 0, 0);
        Ok(match store.scrub(self.request.most).await? {
            Scrubbed::Done => None,
            Scrubbed::TooLarge { bytes } => Some(bytes),
        })
    }
}

fn erasing(archive: &Path) -> String {
    format!("erasing in the archive {}", archive.display())
}
