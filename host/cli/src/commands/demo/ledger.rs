//! The demo's ledger: which events were accepted, and whether each was handled, in order.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use towpath_compose::Station;
use towpath_local::{Browsed, LocalQueue};
use towpath_operate::queues::Queues;
use towpath_types::dead_letter::DeadLetter;

use crate::sss::Call;

/// Every event that was answered 202, in this run or an interrupted one, in order.
pub(super) struct Ledger {
    received: Vec<(String, String)>,
    resumed: usize,
    /// The last dead letter before this run; later ones are this run's.
    dead_before: Option<String>,
}

/// The result of the check.
pub(super) struct Tally {
    counts: HashMap<String, [usize; 4]>,
    pub(super) problems: Vec<String>,
    lost: usize,
    in_order: bool,
}

/// A verdict as `--json` prints it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    plugins: Vec<Counts>,
    lost: usize,
    in_order: bool,
    problems: &'a [String],
}

/// The messages of one plugin.
#[derive(Serialize)]
struct Counts {
    plugin: &'static str,
    received: usize,
    delivered: usize,
    skipped: usize,
    dead: usize,
}

impl Ledger {
    /// Opens the ledger. Messages that wait from an earlier run count as received.
    pub(super) async fn open(queues: &Queues) -> anyhow::Result<Ledger> {
        let waiting = all(&queues.events, None).await?;
        let received: Vec<_> =
            waiting.into_iter().map(|message| (String::from(message.id), String::from(message.group))).collect();
        let dead_before = all(&queues.dead_letters, None).await?.pop().map(|last| last.sequence);
        Ok(Ledger { resumed: received.len(), received, dead_before })
    }

    pub(super) fn resumed(&self) -> usize {
        self.resumed
    }

    pub(super) fn received(&mut self, id: String, group: String) {
        self.received.push((id, group));
    }

    async fn letters(&self, queues: &Queues) -> anyhow::Result<Vec<DeadLetter>> {
        let letters = all(&queues.dead_letters, self.dead_before.as_deref()).await?;
        Ok(letters.iter().filter_map(|message| DeadLetter::read(&message.attributes)).collect())
    }

    pub(super) async fn last_letter(&self, queues: &Queues) -> anyhow::Result<Option<DeadLetter>> {
        Ok(self.letters(queues).await?.pop())
    }

    /// Compares three records: what ingest accepted, what the pipeline counted, and what SSS received.
    pub(super) async fn check(&self, station: &Station, calls: &[Call]) -> anyhow::Result<Tally> {
        let totals = station.pipeline.totals();
        let dead: HashSet<String> = self.letters(&station.queues).await?.into_iter().map(|letter| letter.id).collect();
        let delivered: HashSet<&str> = calls.iter().map(|call| call.webhook_id.as_str()).collect();
        let mut counts: HashMap<String, [usize; 4]> = HashMap::new();
        let mut neither = 0;
        for (id, group) in &self.received {
            let plugin = group.split('/').next().unwrap_or_default().to_owned();
            let [received, got, skipped, died] = counts.entry(plugin).or_default();
            *received += 1;
            match (delivered.contains(id.as_str()), dead.contains(id)) {
                (true, false) => *got += 1,
                (false, true) => *died += 1,
                (false, false) => {
                    // Skipped or lost: the pipeline's count decides below.
                    *skipped += 1;
                    neither += 1;
                }
                (true, true) => *died += 1,
            }
        }
        let lost = neither - neither.min(usize::try_from(totals.skipped).unwrap_or(usize::MAX));
        let mut problems = Vec::new();
        let mut expect = |what: &str, ours: u64, theirs: usize| {
            if ours != theirs as u64 {
                problems.push(format!("{what}: the pipeline counted {ours}, the ledger has {theirs}"));
            }
        };
        expect("delivered", totals.delivered, delivered.len());
        expect("skipped", totals.skipped, neither);
        expect("dead", totals.dead, dead.len());
        if delivered.iter().any(|id| dead.contains(*id)) {
            problems.push("a message was both delivered and dead-lettered".to_owned());
        }
        let in_order = self.in_order(calls);
        if !in_order {
            problems.push("a group was delivered out of order".to_owned());
        }
        if lost > 0 {
            problems.push(format!("{lost} accepted messages were neither delivered, skipped nor dead-lettered"));
        }
        Ok(Tally { counts, problems, lost, in_order })
    }

    /// Whether the first deliveries of every group are in the order of acceptance.
    fn in_order(&self, calls: &[Call]) -> bool {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (position, call) in calls.iter().enumerate() {
            first.entry(call.webhook_id.as_str()).or_insert(position);
        }
        let mut last: HashMap<&str, usize> = HashMap::new();
        self.received
            .iter()
            .filter_map(|(id, group)| Some((group, *first.get(id.as_str())?)))
            .all(|(group, position)| last.insert(group.as_str(), position).is_none_or(|before| before < position))
    }
}

impl Tally {
    pub(super) fn rows(&self, plugins: &[&str]) -> Vec<Vec<String>> {
        let row = |plugin: &&str| {
            let counts = self.counts.get(*plugin).copied().unwrap_or_default();
            std::iter::once((*plugin).to_owned()).chain(counts.map(|count| count.to_string())).collect()
        };
        plugins.iter().map(row).collect()
    }

    /// The verdict as `--json` prints it.
    pub(super) fn shown<'a>(&'a self, plugins: &[&'static str]) -> Shown<'a> {
        let counts = |plugin: &'static str| {
            let [received, delivered, skipped, dead] = self.counts.get(plugin).copied().unwrap_or_default();
            Counts { plugin, received, delivered, skipped, dead }
        };
        Shown {
            plugins: plugins.iter().copied().map(counts).collect(),
            lost: self.lost,
            in_order: self.in_order,
            problems: &self.problems,
        }
    }

    pub(super) fn line(&self) -> String {
        let sums = self.counts.values().fold([0; 4], |mut sums, counts| {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            sums
        });
        let [received, delivered, skipped, dead] = sums;
        let order = if self.in_order { "order kept" } else { "ORDER BROKEN" };
        let skipped = skipped - self.lost;
        format!(
            "{received} received, {delivered} delivered, {skipped} skipped, {dead} dead, {} lost, {order}",
            self.lost
        )
    }
}

async fn all(queue: &LocalQueue, after: Option<&str>) -> anyhow::Result<Vec<Browsed>> {
    let mut found: Vec<Browsed> = Vec::new();
    loop {
        let after = found.last().map(|last| last.sequence.clone()).or_else(|| after.map(str::to_owned));
        let page = queue.browse(after.as_deref(), 500).await?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;

    fn call(id: &str) -> Call {
        Call { method: "POST".into(), path: "/".into(), webhook_id: id.into(), status: 200, body: Bytes::new() }
    }

    #[test]
    fn order_is_judged_by_first_deliveries_within_each_group() {
        let pair = |id: &str, group: &str| (id.to_owned(), group.to_owned());
        let received = vec![pair("a1", "a"), pair("b1", "b"), pair("a2", "a")];
        let ledger = Ledger { received, resumed: 0, dead_before: None };
        for (calls, expected) in [
            (vec!["a1", "a2", "b1"], true),
            (vec!["b1", "a1", "a1", "a2"], true),
            (vec!["a1", "a2", "a1", "b1"], true),
            (vec!["a2", "a1", "b1"], false),
        ] {
            let order: Vec<Call> = calls.iter().map(|id| call(id)).collect();
            assert_eq!(ledger.in_order(&order), expected, "{calls:?}");
        }
    }
}
