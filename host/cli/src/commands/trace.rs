//! `trace`: the whole story of one message, in one screen.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use anyhow::bail;
use console::Style;
use serde_json::{Value, json};
use towpath_compose::signals;
use towpath_operate::audit::Audit;
use towpath_operate::aws;
use towpath_operate::queues::Queues;
use towpath_operate::story::{Entry, File, from_storage};
use towpath_types::dead_letter::DeadLetter;
use towpath_types::message::{origin_of, webhook_id};

use super::tail::{Source, painted};
use crate::args::Trace;
use crate::output::{Exit, Output, plain};

/// So many messages are looked at in one go.
const PAGE: usize = 500;

/// Where a message is now.
enum Place {
    /// In the queue.
    Waits { receives: u32, group: String, stored: String },
    /// In the dead-letter queue.
    Dead { death: Box<DeadLetter>, letter: String, group: String },
    /// In neither queue of its store.
    Gone,
    /// Only a log was read, which cannot tell.
    Unknown,
}

/// All that was found of a message.
struct Found {
    /// The id under which it was first stored.
    id: String,
    entries: Vec<Entry>,
    place: Place,
}

pub(super) async fn run(args: Trace, output: &Output) -> anyhow::Result<Exit> {
    tokio::select! {
        result = signals::first() => { result?; Ok(Exit::Interrupted) }
        result = trace(&args, output) => result,
    }
}

async fn trace(args: &Trace, output: &Output) -> anyhow::Result<Exit> {
    let Found { id, entries, place } = look(args).await?;
    if output.is_json() {
        let story: Vec<Value> = entries.iter().map(Entry::json).collect();
        output.json(&json!({ "story": story, "now": now(&place, last_pass(&entries)) }));
        return Ok(Exit::Done);
    }
    let field = |name: &str| entries.iter().map(|entry| entry.field(name)).find(|text| !text.is_empty());
    let head = field("message_id").unwrap_or(&id).to_owned();
    let fields = [
        ("webhook-id", field("webhook_id").map(str::to_owned)),
        ("group", group(&entries, &place)),
        ("route", field("route").map(str::to_owned)),
        ("plugin", field("plugin").map(str::to_owned)),
    ];
    let fields = fields.into_iter().filter_map(|(label, text)| text.map(|text| format!("  {label} {text}")));
    output.spans([(Style::new().bold(), head), plain(fields.collect::<String>())]);
    let mut stored = HashSet::new();
    for entry in &entries {
        let again = entry.what() == "stored" && !stored.insert(entry.field("message_id"));
        let detail =
            if again { "posted again: a duplicate, answered with the first id".to_owned() } else { entry.detail() };
        output.spans([plain(format!("{}  ", entry.time())), painted(entry), plain(format!("  {detail}"))]);
    }
    output.line(format!("{:<12}  {}", "now", told(&place, last_pass(&entries))));
    Ok(Exit::Done)
}

/// The group that the message is in, and the one that it came to if an edit has moved it.
fn group(entries: &[Entry], place: &Place) -> Option<String> {
    let is_in = match place {
        Place::Waits { group, .. } | Place::Dead { group, .. } => Some(group.as_str()),
        Place::Gone | Place::Unknown => None,
    };
    let mut stored = HashSet::new();
    // What was posted again was not stored again, whatever group it would have come to.
    let told = entries.iter().filter(|entry| entry.what() != "stored" || stored.insert(entry.field("message_id")));
    let groups: Vec<&str> =
        told.map(|entry| entry.field("group")).chain(is_in).filter(|group| !group.is_empty()).collect();
    let mut groups = groups.into_iter();
    let first = groups.next()?;
    match groups.next_back() {
        Some(last) if last != first => Some(format!("{last} (was {first})")),
        _ => Some(first.to_owned()),
    }
}

/// Reads the story, and looks into the queues where there is a store.
async fn look(args: &Trace) -> anyhow::Result<Found> {
    let asked = args.id.as_str();
    if !args.place.log_group.is_empty() {
        let mut logs = aws::Logs::of(args.place.log_group.clone(), args.since).await?;
        return told_of(asked, asked.to_owned(), logs.about(asked).await?, Place::Unknown);
    }
    let story = Source::of(&args.place).await?.file;
    if args.place.file.is_some() && !story.exists() {
        bail!("there is no {}", story.display());
    }
    let lines = File::open(&story)?.whole()?;
    let entries = lines.iter().filter_map(|line| Entry::read(line)).collect();
    match story.parent().filter(|store| store.join("towpath.db").is_file()) {
        Some(store) => {
            let queues = Queues::look(store).await?;
            if let Some((first, place)) = find(&queues, asked).await? {
                return told_of(asked, first, entries, place);
            }
            let first = redriven(store, asked)?;
            let place = find(&queues, &first).await?.map_or(Place::Gone, |(_, place)| place);
            told_of(asked, first, entries, place)
        }
        None => told_of(asked, asked.to_owned(), entries, Place::Unknown),
    }
}

/// Picks what is about one message, by any id that it had: lines of a message that was sent again name its first id too.
fn told_of(asked: &str, first: String, entries: Vec<Entry>, place: Place) -> anyhow::Result<Found> {
    let about = |id: &str| entries.iter().filter(|entry| entry.is_about(id)).collect::<Vec<_>>();
    let ids: BTreeSet<&str> = about(&first).into_iter().map(Entry::first_id).collect();
    if ids.len() > 1 {
        let ids = ids.into_iter().collect::<Vec<_>>().join(", ");
        bail!("{asked} is the beginning of more than one message's id: {ids}; give more of it");
    }
    let id = ids.first().map_or(first, |id| (*id).to_owned());
    let entries = from_storage(about(&id).into_iter().cloned().collect());
    if entries.is_empty() && matches!(place, Place::Gone | Place::Unknown) {
        bail!(
            "nothing is known of {asked}: is it the whole id, or its beginning, and is this where its host logs? \
            `towpath tail` and `towpath dlq list` show ids"
        );
    }
    Ok(Found { id, entries, place })
}

/// The first id of a letter that is not in its queue any more: the audit log knows what it was.
fn redriven(store: &Path, letter: &str) -> anyhow::Result<String> {
    let entries = Audit::in_folder(store).read()?;
    let entry = entries.into_iter().rev().find(|entry| entry.id.as_str().starts_with(letter));
    Ok(entry.map_or_else(|| letter.to_owned(), |entry| entry.letter.id))
}

/// Looks for a message in the queues of a store: by its own id, the one that its target sees, and the one under which it
/// was first stored, which comes with the place.
async fn find(queues: &Queues, id: &str) -> anyhow::Result<Option<(String, Place)>> {
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
                let first = first.unwrap_or_else(|| message.id.0.clone());
                let shown = webhook_id(&message.id, &message.attributes);
                if ![message.id.as_str(), first.as_str(), shown.as_str()].iter().any(|own| own.starts_with(id)) {
                    continue;
                }
                let place = match death {
                    Some(death) => Place::Dead { death: Box::new(death), letter: message.id.0, group: message.group.0 },
                    None => Place::Waits {
                        receives: message.receive_count,
                        group: message.group.0,
                        stored: message.sent_at.to_string(),
                    },
                };
                return Ok(Some((first, place)));
            }
        }
    }
    Ok(None)
}

/// How the last pass ended. What was said later, such as that the same event was posted again, changes nothing of it.
fn last_pass(entries: &[Entry]) -> Option<&Entry> {
    entries.iter().rev().find(|entry| entry.is_pass())
}

fn told(place: &Place, last: Option<&Entry>) -> String {
    let decision = last.map(|entry| (entry.field("decision"), entry.what()));
    match place {
        Place::Waits { receives, stored, .. } => {
            format!("it waits in the queue, since {stored}, received {receives} times")
        }
        Place::Dead { death, .. } => {
            let DeadLetter { reason, detail, id, .. } = &**death;
            format!("it is in the dead-letter queue: {reason}: {detail}; `towpath dlq show {id}`")
        }
        Place::Gone | Place::Unknown => match (decision, place) {
            (Some(("ack", outcome)), _) => format!("it is done with: {outcome}"),
            (Some(("dead-letter", reason)), Place::Gone) => {
                format!(
                    "it died ({reason}), and its letter is not there any more: `towpath dlq audit` shows who took it"
                )
            }
            (Some(("dead-letter", reason)), _) => {
                format!(
                    "it went to the dead-letter queue: {reason}; `towpath dlq list` shows whether it is still there"
                )
            }
            (Some((_, outcome)), Place::Gone) => {
                format!("its last try was {outcome}, and it is in neither queue of the store: was the queue purged?")
            }
            (Some((_, outcome)), _) => {
                format!("its last try was {outcome}: it is tried again, if that did not happen elsewhere")
            }
            (None, Place::Gone) => "it is in neither queue of the store, and the story does not tell why".to_owned(),
            (None, _) => "it was stored; what came of it is not in this log".to_owned(),
        },
    }
}

fn now(place: &Place, last: Option<&Entry>) -> Value {
    match place {
        Place::Waits { receives, group, stored } => {
            json!({ "state": "waits", "receives": receives, "group": group, "stored": stored })
        }
        Place::Dead { death, letter, group } => {
            json!({ "state": "dead", "letter": letter, "group": group, "death": death })
        }
        Place::Gone | Place::Unknown => match last.map(|entry| (entry.field("decision"), entry.what())) {
            Some(("ack", outcome)) => json!({ "state": outcome }),
            Some(("dead-letter", reason)) => json!({ "state": "dead-lettered", "reason": reason }),
            _ => json!({ "state": "unknown" }),
        },
    }
}
