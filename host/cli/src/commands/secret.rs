//! `secret`: the secrets that senders send in a handshake.

use std::time::Duration;

use towpath_operate::json;
use towpath_operate::secret::{Kept, LearnedSecrets, State};
use towpath_types::clock::{Clock, Timestamp};

use crate::args::Secret;
use crate::output::{Exit, Output};

pub(super) async fn run(command: Secret, output: &Output) -> anyhow::Result<Exit> {
    match command {
        Secret::Arm { name, length, place } => {
            let kept = LearnedSecrets::find(&place.wanted()).await?.arm(&name, length).await?;
            tell(&kept, output);
            let length = in_hours(length);
            output.say(format!(
                "the route {} takes a new secret for {length}: create the webhook at the sender now",
                kept.route
            ));
            if kept.state == State::Learned {
                output.say("the previous secret stays in use until a new one is learned");
            }
        }
        Secret::Disarm { name, place } => {
            let kept = LearnedSecrets::find(&place.wanted()).await?.disarm(&name).await?;
            tell(&kept, output);
            output.say(match kept.state {
                State::Unlearned => format!("the route {} takes no new secret; it has none yet", kept.route),
                State::Learned | State::Given => {
                    format!("the route {} takes no new secret; the one it has stays in use", kept.route)
                }
            });
        }
        Secret::Show { name, place } => {
            let value = LearnedSecrets::find(&place.wanted()).await?.show(&name).await?;
            if output.is_json() {
                output.json(&json::SecretValue { secret: &name, value: &value });
            }
            output.say(value);
        }
        Secret::List { place } => list(&LearnedSecrets::find(&place.wanted()).await?.list().await?, output),
    }
    Ok(Exit::Done)
}

fn tell(kept: &Kept, output: &Output) {
    if output.is_json() {
        output.json(&json::Secret::of(kept, Clock::wall().now()));
    }
}

fn list(listed: &[Kept], output: &Output) {
    let now = Clock::wall().now();
    if output.is_json() {
        output.json(&listed.iter().map(|kept| json::Secret::of(kept, now)).collect::<Vec<_>>());
    } else if listed.is_empty() {
        output.line("no route keeps a secret from a handshake");
    } else {
        let rows: Vec<Vec<String>> = listed.iter().map(|kept| cells(kept, now)).collect();
        output.table(&["SECRET", "ROUTE", "STATE", "ARMED UNTIL", "STORED"], &rows);
    }
}

fn cells(kept: &Kept, now: Timestamp) -> Vec<String> {
    let ago = |at| format!("{} ago", humantime::format_duration(Duration::from_secs(now.since(at).as_secs())));
    let expired = if kept.expired_at.is_some() { "expired" } else { "-" };
    let armed = kept.armed_until.map_or_else(|| expired.to_owned(), |until| until.to_string());
    let stored = kept.stored_at.map_or_else(|| "-".to_owned(), ago);
    vec![kept.name.clone(), kept.route.clone(), state(kept).to_owned(), armed, stored]
}

/// Its state, and whether it waits for a new secret: once that has come, it is `learned` again.
fn state(kept: &Kept) -> &'static str {
    match (kept.state, kept.armed_until) {
        (State::Learned, Some(_)) => "armed (has a secret)",
        (State::Unlearned, Some(_)) => "armed (none yet)",
        (state, _) => state.as_str(),
    }
}

/// `24h` and not `1day`, as it was written.
fn in_hours(length: Duration) -> String {
    let seconds = length.as_secs();
    let is_whole = seconds > 0 && seconds.is_multiple_of(3600) && length.subsec_nanos() == 0;
    if is_whole { format!("{}h", seconds / 3600) } else { humantime::format_duration(length).to_string() }
}
