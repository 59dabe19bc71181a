//! Counts letters by route and reason.

use std::collections::BTreeMap;

use towpath_types::clock::Timestamp;

use crate::letters::Letters;

/// One route and reason.
#[derive(Clone, Debug)]
pub struct Row {
    /// The route, if it is known.
    pub route: Option<String>,
    /// The reason.
    pub reason: String,
    /// How many letters.
    pub letters: u64,
    /// When the first of them was dead-lettered.
    pub first: Timestamp,
    /// When the last of them was dead-lettered.
    pub last: Timestamp,
}

/// The result of a count.
#[derive(Clone, Debug)]
pub struct Stats {
    /// By route and reason.
    pub rows: Vec<Row>,
    /// How many letters were read.
    pub looked_at: u64,
    /// The approximate number of all letters.
    pub all: u64,
}

/// Counts the letters.
pub async fn count(letters: &mut dyn Letters) -> anyhow::Result<Stats> {
    let mut rows: BTreeMap<(Option<String>, String), Row> = BTreeMap::new();
    let mut looked_at = 0;
    let all = letters.count().await?;
    loop {
        let page = letters.next().await?;
        if page.is_empty() {
            return Ok(Stats { rows: rows.into_values().collect(), looked_at, all });
        }
        looked_at += page.len() as u64;
        for letter in page {
            let death = letter.death;
            let route = death.route;
            let reason = death.reason;
            let row = rows.entry((route.clone(), reason.clone())).or_insert(Row {
                route,
                reason,
                letters: 0,
                first: death.failed_at,
                last: death.failed_at,
            });
            row.letters += 1;
            row.first = row.first.min(death.failed_at);
            row.last = row.last.max(death.failed_at);
        }
    }
}
