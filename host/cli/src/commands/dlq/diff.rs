//! `dlq diff`: runs dead letters through another build of their plugin. Sends nothing.

use serde_json::Value;
use towpath_compose::engine;
use towpath_operate::dlq::diff::{NewBuild, compare};
use towpath_operate::dlq::filter::Filter;

use super::{interrupted, short, with_letters};
use crate::args::DlqDiff;
use crate::case;
use crate::output::{Exit, Output};

pub(super) async fn run(args: DlqDiff, output: &Output) -> anyhow::Result<Exit> {
    let filter = Filter::new(args.filter.wanted(), args.ids.clone());
    let place = args.place.clone();
    let new = NewBuild { at: args.plugin, name: args.name };
    let engine = engine(1)?;
    let compared =
        with_letters(&place, None, |found, letters| Box::pin(compare(found, letters, filter, engine, new, usize::MAX)));
    let Some(rows) = compared.await? else { return Ok(interrupted(output)) };
    let changed = rows.iter().filter(|row| row.changed).count();
    if output.is_json() {
        output.json(&rows);
        return Ok(Exit::Done);
    }
    for row in &rows {
        let kind = |value: &Value| kind(value).to_owned();
        let now = row.now.as_ref().map_or_else(|| row.reason.clone(), kind);
        let sign = if row.changed { "→" } else { "=" };
        output.line(format!("{} {} {now} {sign} {}", short(row.message_id.as_str()), row.group, kind(&row.new)));
        if row.changed {
            output.diff(&row.now.as_ref().map(case::pretty).unwrap_or_default(), &case::pretty(&row.new));
        }
    }
    let delivered = rows.iter().filter(|row| kind(&row.new) == "deliver").count();
    output.line("");
    output.line(format!("letters {}, changed {changed}, would be delivered {delivered}", rows.len()));
    Ok(Exit::Done)
}

fn kind(verdict: &Value) -> &str {
    verdict.as_object().and_then(|verdict| verdict.keys().next()).map_or("-", String::as_str)
}
