//! `trace`: the whole story of one message, in one screen.

use console::style;
use serde_json::{Value, json};
use towpath_core::dead_letter::DeadLetter;
use towpath_core::message::{origin_of, webhook_id};

use super::tail::path;
use crate::args::Trace;
use crate::compose::Queues;
use crate::output::{Exit, Output};
use crate::story::{Entry, File, from_storage};
use crate::{aws, signals};

/// So many messages are looked at in one go.
const PAGE: usize = 500;

/// Where a message is now.
enum Place {
    /// In the queue.
    Waits { receives: u32, group: String, stored: String },
    /// In the dead-letter queue.
    Dead(Box<DeadLetter>, String),
    /// Nowhere any more: it is done with. Or this command does not know.
    Elsewhere,
}

pub(super) async fn run(args: Trace, output: &Output) -> anyhow::Result<Exit> {
    tokio::select! {
        result = signals::first() => { result?; Ok(Exit::Interrupted) }
        result = trace(&args, output) => result,
    }
}

async fn trace(args: &Trace, output: &Output) -> anyhow::Result<Exit> {
    let id = args.id.as_str();
    let (entries, place) = match args.place.log_group.is_empty() {
        false => {
            let mut logs = aws::Logs::of(args.place.log_group.clone(), args.since).await?;
            (logs.about(id).await?, Place::Elsewhere)
        }
        true => {
            let story = path(&args.place).await?;
            let lines = File::open(&story)?.whole()?;
            let place = match story.parent().filter(|store| store.join("towpath.db").is_file()) {
                Some(store) => find(&Queues::look(store).await?, id).await?,
                None => Place::Elsewhere,
            };
            (lines.iter().filter_map(|line| Entry::read(line)).collect(), place)
        }
    };
    let entries = from_storage(entries.into_iter().filter(|entry| entry.is_about(id)).collect());
    if entries.is_empty() && matches!(place, Place::Elsewhere) {
        output.note(format!(
            "nothing is known of {id}: is it the whole id, or its beginning, and is this where its host logs?"
        ));
        return Ok(Exit::Findings);
    }
    if output.is_json() {
        let story: Vec<Value> = entries.iter().map(Entry::json).collect();
        output.json(&json!({ "story": story, "now": now(&place, entries.last()) }));
        return Ok(Exit::Done);
    }
    let field = |name: &str| entries.iter().map(|entry| entry.field(name)).find(|text| !text.is_empty());
    let mut head = vec![style(field("message_id").unwrap_or(id)).bold().to_string()];
    for (name, label) in [("webhook_id", "webhook-id"), ("group", "group"), ("route", "route"), ("plugin", "plugin")] {
        head.extend(field(name).map(|text| format!("{label} {text}")));
    }
    output.line(head.join("  "));
    for entry in &entries {
        output.line(format!("{}  {}  {}", entry.time(), entry.painted(), entry.detail()));
    }
    output.line(format!("{:<12}  {}", "now", told(&place, entries.last())));
    Ok(Exit::Done)
}

/// Looks for a message in the queues of a store: by its own id, the one under which it first was stored, and the one that
/// its target sees.
async fn find(queues: &Queues, id: &str) -> anyhow::Result<Place> {
    for queue in [&queues.events, &queues.dead_letters] {
        let mut after: Option<String> = None;
        loop {
            let page = queue.browse(after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.sequence.clone());
            for message in page {
                let death = DeadLetter::read(&message.attributes);
                let first = origin_of(&message.attributes).map(|origin| origin.id.0);
                let first = death.as_ref().map(|death| death.message_id().0).or(first);
                let shown = webhook_id(&message.id, &message.attributes);
                let mut ids = [Some(message.id.0.clone()), Some(shown.0), first].into_iter().flatten();
                if !ids.any(|own| own.starts_with(id)) {
                    continue;
                }
                return Ok(match death {
                    Some(death) => Place::Dead(Box::new(death), message.id.0),
                    None => Place::Waits {
                        receives: message.receive_count,
                        group: message.group.0,
                        stored: message.sent_at.to_string(),
                    },
                });
            }
        }
    }
    Ok(Place::Elsewhere)
}

fn told(place: &Place, last: Option<&Entry>) -> String {
    match place {
        Place::Waits { receives, stored, .. } => {
            format!("it waits in the queue, since {stored}, received {receives} times")
        }
        Place::Dead(death, letter) => {
            let DeadLetter { reason, detail, .. } = &**death;
            format!("it is in the dead-letter queue: {reason}: {detail}; `towpath dlq show {letter}`")
        }
        Place::Elsewhere => match last.map(Entry::what).as_deref() {
            Some(done @ ("delivered" | "skipped")) => format!("it is done with: {done}"),
            _ => "that is all that is known".to_owned(),
        },
    }
}

fn now(place: &Place, last: Option<&Entry>) -> Value {
    match place {
        Place::Waits { receives, group, stored } => {
            json!({ "state": "waits", "receives": receives, "group": group, "stored": stored })
        }
        Place::Dead(death, letter) => json!({ "state": "dead", "letter": letter, "death": death }),
        Place::Elsewhere => match last.map(Entry::what).as_deref() {
            Some(done @ ("delivered" | "skipped")) => json!({ "state": done }),
            _ => json!({ "state": "unknown" }),
        },
    }
}
