//! `dlq stats`: how many died of what, since when. Exit code 1 if anything did.

use std::collections::BTreeMap;

use serde::Serialize;
use towpath_operate::letters::Letters;
use towpath_types::clock::Timestamp;

use super::{interrupted, with_letters};
use crate::args::LetterPlace;
use crate::output::{Exit, Output};

/// One route and reason.
#[derive(Clone, Debug, Serialize)]
struct Row {
    route: String,
    reason: String,
    letters: u64,
    first: Timestamp,
    last: Timestamp,
}

pub(super) async fn run(place: &LetterPlace, output: &Output) -> anyhow::Result<Exit> {
    let counted = with_letters(place, None, |_, letters| Box::pin(count(letters)));
    let Some((rows, looked_at, all)) = counted.await? else { return Ok(interrupted(output)) };
    if output.is_json() {
        output.json(&rows);
    } else if rows.is_empty() {
        output.line("no dead letters");
    } else {
        let cells = |row: &Row| {
            let (first, last) = (row.first.to_string(), row.last.to_string());
            vec![row.route.clone(), row.reason.clone(), row.letters.to_string(), first, last]
        };
        output.table(&["ROUTE", "REASON", "LETTERS", "FIRST", "LAST"], &rows.iter().map(cells).collect::<Vec<_>>());
    }
    if looked_at < all {
        output.note(format!("looked at {looked_at} of about {all} letters"));
    }
    Ok(if all == 0 && rows.is_empty() { Exit::Done } else { Exit::Findings })
}

async fn count(letters: &mut dyn Letters) -> anyhow::Result<(Vec<Row>, u64, u64)> {
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let (mut looked_at, all) = (0, letters.count().await?);
    loop {
        let page = letters.next().await?;
        if page.is_empty() {
            return Ok((rows.into_values().collect(), looked_at, all));
        }
        looked_at += page.len() as u64;
        for letter in page {
            let death = letter.death;
            let (route, reason) = (death.route.unwrap_or_else(|| "-".to_owned()), death.reason);
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
