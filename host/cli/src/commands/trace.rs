//! `trace`: the whole story of one message.

use std::collections::HashSet;

use console::Style;
use towpath_compose::signals;
use towpath_operate::json;
use towpath_operate::story::Entry;
use towpath_operate::trace::{MessagePlace, Traced};
use towpath_types::dead_letter::DeadLetter;

use super::tail::painted;
use crate::args::Trace;
use crate::output::{Exit, Output, plain};

pub(super) async fn run(args: Trace, output: &Output) -> anyhow::Result<Exit> {
    tokio::select! {
        result = signals::first() => { result?; Ok(Exit::Interrupted) }
        result = trace(&args, output) => result,
    }
}

async fn trace(args: &Trace, output: &Output) -> anyhow::Result<Exit> {
    let asked = args.id.as_str();
    let traced = if args.place.log_group.is_empty() {
        Traced::of(asked, &args.place.wanted()).await?
    } else {
        Traced::of_logs(asked, args.place.log_group.clone(), args.since).await?
    };
    if output.is_json() {
        output.json(&json::Traced::of(&traced));
        return Ok(Exit::Done);
    }
    let entries = &traced.entries;
    let field = |name: &str| entries.iter().map(|entry| entry.field(name)).find(|text| !text.is_empty());
    let head = field("message_id").unwrap_or(&traced.id).to_owned();
    let fields = [
        ("webhook-id", field("webhook_id").map(str::to_owned)),
        ("group", traced.group()),
        ("route", field("route").map(str::to_owned)),
        ("plugin", field("plugin").map(str::to_owned)),
    ];
    let fields = fields.into_iter().filter_map(|(label, text)| text.map(|text| format!("  {label} {text}")));
    output.spans([(Style::new().bold(), head), plain(fields.collect::<String>())]);
    let mut stored = HashSet::new();
    for entry in entries {
        let again = entry.what() == "stored" && !stored.insert(entry.field("message_id"));
        let detail =
            if again { "posted again: a duplicate, answered with the first id".to_owned() } else { entry.detail() };
        output.spans([plain(format!("{}  ", entry.time())), painted(entry), plain(format!("  {detail}"))]);
    }
    output.line(format!("{:<12}  {}", "now", told(&traced.place, traced.last_pass())));
    Ok(Exit::Done)
}

fn told(place: &MessagePlace, last: Option<&Entry>) -> String {
    let decision = last.map(|entry| (entry.field("decision"), entry.what()));
    match place {
        MessagePlace::Waits { receives, sent_at, .. } => {
            format!("it waits in the queue, since {sent_at}, received {receives} times")
        }
        MessagePlace::Dead { death, .. } => {
            let DeadLetter { reason, detail, id, .. } = &**death;
            format!("it is in the dead-letter queue: {reason}: {detail}; `towpath dlq show {id}` shows its letter")
        }
        MessagePlace::Gone | MessagePlace::Unknown => match (decision, place) {
            (Some(("ack", outcome)), _) => format!("done: {outcome}"),
            (Some(("dead-letter", reason)), MessagePlace::Gone) => {
                format!(
                    "it was dead-lettered ({reason}), and its letter is gone: `towpath dlq audit` shows who redrove or dropped it"
                )
            }
            (Some(("dead-letter", reason)), _) => {
                format!("it was dead-lettered ({reason}): `towpath dlq list` shows whether it is still there")
            }
            (Some((_, outcome)), MessagePlace::Gone) => {
                format!(
                    "its last outcome was {outcome}, and it is in neither queue of the store: was the queue purged?"
                )
            }
            (Some((_, outcome)), _) => {
                format!("its last outcome was {outcome}: it will be retried, unless another log has the rest")
            }
            (None, MessagePlace::Gone) => {
                "it is in neither queue of the store, and the story does not say why".to_owned()
            }
            (None, _) => "it was stored; this log does not say what happened next".to_owned(),
        },
    }
}
