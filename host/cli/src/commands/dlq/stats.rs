//! `dlq stats`: counts dead letters by route and reason. Exit code 1 if there are any.

use towpath_operate::dlq::stats::{Row, Stats, count};
use towpath_operate::json;

use super::{interrupted, with_letters};
use crate::args::LetterPlace;
use crate::output::{Exit, Output};

pub(super) async fn run(place: &LetterPlace, output: &Output) -> anyhow::Result<Exit> {
    let counted = with_letters(place, None, |_, letters| Box::pin(count(letters)));
    let Some(Stats { rows, looked_at, all }) = counted.await? else { return Ok(interrupted(output)) };
    if output.is_json() {
        output.json(&rows.iter().map(json::Counted::of).collect::<Vec<_>>());
    } else if rows.is_empty() {
        output.line("no dead letters");
    } else {
        let cells = |row: &Row| {
            let first = row.first.to_string();
            let last = row.last.to_string();
            let route = row.route.clone().unwrap_or_else(|| "-".to_owned());
            vec![route, row.reason.clone(), row.letters.to_string(), first, last]
        };
        output.table(&["ROUTE", "REASON", "LETTERS", "FIRST", "LAST"], &rows.iter().map(cells).collect::<Vec<_>>());
    }
    if looked_at < all {
        output.note(format!("read {looked_at} of about {all} letters"));
    }
    Ok(if all == 0 && rows.is_empty() { Exit::Done } else { Exit::Findings })
}
