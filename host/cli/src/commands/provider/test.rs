//! `provider test`: tries a provider's handshakes and proofs on a running ingest.

use std::collections::BTreeSet;

use anyhow::bail;
use towpath_config::provider::Provider;
use towpath_config::route::Route;
use towpath_operate::event::Event;
use towpath_operate::post::client;
use towpath_operate::routed::Routed;
use towpath_operate::trial::{Row, Said, Verdict, ask};

use crate::args::ProviderTest;
use crate::commands::send::private_key;
use crate::output::{Exit, Output};

pub(super) async fn run(args: ProviderTest, output: &Output) -> anyhow::Result<Exit> {
    let routed = Routed::load(&args.config.file()).await?;
    let to = args.to.clone().unwrap_or_else(|| routed.front_door());
    let key = private_key(args.signature.private_key.as_deref())?;
    let recorded = args.event.as_deref().map(Event::read).transpose()?;
    let client = client()?;
    let mut rows = Vec::new();
    let mut notes = BTreeSet::new();
    for path in paths(&args, &routed)? {
        let matched = routed.route(&path)?;
        let signed = args.send || recorded.is_some();
        rows.extend(ask(&client, &to, &path, &matched, recorded.as_ref(), signed, key.as_ref()).await?);
        notes.extend(rows.iter().any(|row| row.path == path && row.is_stored()).then(|| stored(matched.route)));
    }
    let exit = tell(&rows, &to, output);
    let mut statuses = rows.iter().filter_map(|row| Some(row.answered.as_ref()?.status)).peekable();
    if statuses.peek().is_some() && statuses.all(|status| status == 404) {
        let own = routed.front_door();
        notes.insert(format!("every answer is 404: is the prefix missing in {to}? By the config the ingest is {own}"));
    }
    if !args.send && args.event.is_none() {
        notes.insert("no signed event was sent: --send sends one, which is stored and delivered".to_owned());
    }
    notes.into_iter().for_each(|note| output.note(note));
    Ok(exit)
}

/// The paths to test.
fn paths(args: &ProviderTest, routed: &Routed) -> anyhow::Result<Vec<String>> {
    if let Some(path) = &args.path {
        return Ok(vec![path.trim_matches('/').to_owned()]);
    }
    let name = args.name.as_deref().unwrap_or_default();
    if Provider::find(name).is_none() {
        bail!("there is no provider {name:?}: {}", Provider::hint(name));
    }
    let found: Vec<String> = routed.paths_of(name).into_iter().map(str::to_owned).collect();
    let file = args.config.file().display().to_string();
    if found.is_empty() {
        bail!(
            "no route in {file} has provider {name:?}: `towpath provider show {name}` prints one; --path tests a route without a provider"
        );
    }
    if let Some(pattern) = found.iter().find(|path| path.contains(['{', '*'])) {
        bail!("the route {pattern:?} takes many paths: give --path with one of them");
    }
    Ok(found)
}

/// Where an event goes that was stored.
fn stored(route: &Route) -> String {
    match route.mapping.forward() {
        Some(forward) => {
            format!("the signed event is stored, and delivered to the target {} like any other: `towpath tail` shows it", forward.target)
        }
        None => "the signed event is stored and goes through the plugin like any other: `towpath tail` shows what becomes of it".to_owned(),
    }
}

fn cells(row: &Row) -> Vec<String> {
    // A body is of interest where one is expected.
    let has_body = row.expected.as_ref().is_some_and(|expected| expected.body.is_some());
    let said = |said: &Option<Said>| match said {
        Some(Said { status, body: Some(body) }) if has_body => format!("{status} {}", body.trim_end()),
        Some(Said { status, .. }) => status.to_string(),
        None => "-".to_owned(),
    };
    let method = row.method.clone().unwrap_or_else(|| "-".to_owned());
    let request = row.request.as_str().to_owned();
    vec![row.path.clone(), request, method, said(&row.expected), said(&row.answered), row.result.as_str().to_owned()]
}

fn tell(rows: &[Row], to: &str, output: &Output) -> Exit {
    let failed = rows.iter().filter(|row| row.result == Verdict::Failed).count();
    if output.is_json() {
        output.json(&rows);
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        output.table(&["PATH", "REQUEST", "METHOD", "EXPECTED", "ANSWERED", "RESULT"], &cells);
        for row in rows {
            if let Some(detail) = &row.detail {
                output.line(format!("{} {}: {detail}", row.path, row.request.as_str()));
            }
        }
        let count = |verdict| rows.iter().filter(|row| row.result == verdict).count();
        output.line(format!(
            "{to}: {} as expected, {failed} not, {} skipped",
            count(Verdict::Ok),
            count(Verdict::Skipped)
        ));
    }
    if failed == 0 { Exit::Done } else { Exit::Findings }
}
