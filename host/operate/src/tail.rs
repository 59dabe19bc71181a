//! Follows what hosts do with each message.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use tokio::time::sleep;

use crate::aws;
use crate::story::{Entry, Filter, FollowedFile, Source};

/// How often to check a file, and CloudWatch, which costs money per request.
const LOOK: Duration = Duration::from_millis(200);
pub(crate) const LOOK_AT_CLOUDWATCH: Duration = Duration::from_secs(3);

/// How far back to search CloudWatch for the last lines.
pub(crate) const BEFORE: Duration = Duration::from_secs(600);

/// What a follower reports.
#[derive(Debug)]
pub enum Told<'a> {
    /// A line that matches.
    Line(&'a Entry),
    /// The file does not exist yet; the first message creates it.
    NotYet(&'a Path),
    /// Nothing new; a chance to stop.
    Nothing,
}

/// What to follow, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tail {
    /// The lines to report.
    pub filter: Filter,
    /// How many of the last lines to begin with.
    pub lines: usize,
    /// Whether to stop after them.
    pub no_follow: bool,
}

impl Tail {
    /// Follows the file of a source until `tell` returns false. With `no_follow`, a file that `was_named` must exist.
    pub async fn file(
        &self,
        source: &Source,
        was_named: bool,
        mut tell: impl FnMut(Told<'_>) -> bool,
    ) -> anyhow::Result<()> {
        let path = &source.file;
        let mut file = FollowedFile::open(path)?;
        let is_there = path.exists();
        if self.no_follow && !is_there && was_named {
            bail!("there is no {}", path.display());
        }
        let lines = file.whole()?;
        if let Some(config) = &source.config {
            self.filter.check(config, lines.iter().filter_map(|line| Entry::read(line)))?;
        }
        let mut goes_on = self.last(&lines).iter().all(|entry| tell(Told::Line(entry)));
        if self.no_follow {
            return Ok(());
        }
        if !is_there {
            goes_on &= tell(Told::NotYet(path));
        }
        while goes_on {
            let lines = file.lines()?;
            let mut entries =
                lines.iter().filter_map(|line| Entry::read(line)).filter(|entry| self.filter.wants(entry));
            goes_on = entries.all(|entry| tell(Told::Line(&entry)));
            sleep(LOOK).await;
            goes_on &= tell(Told::Nothing);
        }
        Ok(())
    }

    /// Follows log groups of CloudWatch until `tell` returns false.
    pub async fn cloudwatch(&self, groups: Vec<String>, mut tell: impl FnMut(Told<'_>) -> bool) -> anyhow::Result<()> {
        let mut logs = aws::Logs::of(groups, BEFORE).await?;
        let lines = logs.of_hosts().await?;
        let entries = lines.into_iter().filter(|entry| self.filter.wants(entry)).collect::<Vec<_>>();
        let from = entries.len().saturating_sub(self.lines);
        let mut goes_on = entries.iter().skip(from).all(|entry| tell(Told::Line(entry)));
        if self.no_follow {
            return Ok(());
        }
        while goes_on {
            sleep(LOOK_AT_CLOUDWATCH).await;
            let entries = logs.of_hosts().await?;
            let mut entries = entries.iter().filter(|entry| self.filter.wants(entry));
            goes_on = entries.all(|entry| tell(Told::Line(entry))) && tell(Told::Nothing);
        }
        Ok(())
    }

    /// The last lines that match, oldest first.
    fn last(&self, lines: &[String]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for line in lines.iter().rev() {
            if entries.len() == self.lines {
                break;
            }
            entries.extend(Entry::read(line).filter(|entry| self.filter.wants(entry)));
        }
        entries.reverse();
        entries
    }
}
