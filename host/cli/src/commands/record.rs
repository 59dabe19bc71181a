//! `record`: records messages as cases of a plugin, without personal data.

mod listen;

use towpath_config::Config;
use towpath_operate::place::Found;
use towpath_operate::record::{Recorder, Recording, dead};

use super::dlq::with_letters;
use crate::args::{LetterPlace, Record};
use crate::output::{Exit, Output};

pub(super) async fn run(args: Record, output: &Output) -> anyhow::Result<Exit> {
    let mut recorder = Recorder::new(Recording {
        to: args.to.clone(),
        group: args.group.clone(),
        limit: args.limit,
        redact: args.redact.clone(),
        keep_patterns: args.keep_patterns,
    })?;
    match (args.listen, args.dead) {
        (Some(address), _) => listen::listen(&mut recorder, &args, address, output).await?,
        (None, true) => dead_letters(&mut recorder, &args, output).await?,
        (None, false) => {
            let found = Found::find(&args.place.wanted()).await?;
            know(&mut recorder, found.config.as_deref(), output);
            recorder.waiting(&found).await?;
        }
    }
    let saved = recorder.saved;
    if output.is_json() {
        output.json(&saved);
    }
    let new = saved.iter().filter(|saved| !saved.known).count();
    output.say(format!("{} recorded, {new} new, in {}", saved.len(), args.to.display()));
    if new > 0 {
        output.note("review them before you commit them: free text is not searched for names");
    }
    Ok(if saved.is_empty() { Exit::Findings } else { Exit::Done })
}

/// From now on also replaces the headers that the config says are secret.
fn know(recorder: &mut Recorder, config: Option<&Config>, output: &Output) {
    recorder.know(config);
    if config.is_none() {
        output.note(
            "no config was read: only headers with common names are known to hold secrets; give --config FILE for the others",
        );
    }
}

async fn dead_letters(recorder: &mut Recorder, args: &Record, output: &Output) -> anyhow::Result<()> {
    let place = LetterPlace { place: args.place.clone(), refused: false };
    let limit = args.limit;
    let group = args.group.clone();
    let read = with_letters(&place, None, |found, letters| {
        Box::pin(async move { dead(found, letters, limit, group.as_deref()).await })
    });
    let messages = read.await?.unwrap_or_default();
    let config = args.place.wanted().config().await?;
    know(recorder, config.as_ref(), output);
    messages.iter().try_for_each(|message| recorder.save(message))
}
