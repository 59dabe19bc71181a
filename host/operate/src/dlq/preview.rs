//! What an edit would make of a letter, and what its route's mapping says to it. Changes and sends nothing.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use towpath_config::Config;
use towpath_config::plugin::{Limits, Settings};
use towpath_config::route::Mapping;
use towpath_plugin::{Engine, Plugin, Transformed};
use towpath_route::forwarded;
use towpath_types::message::Message;
use towpath_types::verdict::Verdict;

use super::edit::{Change, Edit};
use super::one;
use crate::letters::Letters;
use crate::place::Found;
use crate::secret_headers::SecretHeaders;
use crate::verdict::describe;

/// The timeout of a call outside a host: a verdict must not depend on the load of this machine. Fuel limits it all the same.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What an edit would do.
pub struct Preview {
    /// The change.
    pub change: Change,
    /// The bodies before and after the edit, without secret values.
    pub bodies: [Vec<u8>; 2],
    /// The verdicts before and after the edit, without secret values; or why there are none.
    pub verdicts: Result<[Value; 2], String>,
}

/// What this edit would make of a letter, with the verdicts of the configured plugin, which runs in its sandbox.
pub async fn preview(found: &Found, letters: &mut dyn Letters, args: &Edit) -> anyhow::Result<Preview> {
    let letter = one(letters, &args.id).await?;
    let change = Change::of(found, letter, args)?;
    let verdicts = match found.config.as_deref() {
        Some(config) => verdicts(config, &change).await?,
        None => Err("no config was read, which names the plugin".to_owned()),
    };
    let secrets = SecretHeaders::of(found.config.as_deref()).and(change.letter.death.secret_header.as_deref());
    let bodies = [&change.before, &change.after].map(|webhook| secrets.hidden(webhook.clone()).body);
    Ok(Preview { change, bodies, verdicts })
}

async fn verdicts(config: &Config, change: &Change) -> anyhow::Result<Result<[Value; 2], String>> {
    let letter = &change.letter;
    let by_path = letter.death.route.as_deref().and_then(|path| config.routes.by_path(path));
    let Some(route) = by_path.or_else(|| config.routes.by_group(&change.group)) else {
        return Ok(Err("its route is not in the config".to_owned()));
    };
    let before = letter.seen_with(Some(config), Some(change.before.clone()));
    let after = letter.seen_with(Some(config), Some(change.after.clone()));
    let (Some(before), Some(after)) = (before, after) else {
        return Ok(Err("the event cannot be read".to_owned()));
    };
    let after = Message { group: change.group.clone(), ..after };
    let said = match &route.mapping {
        Mapping::Plugin { name, .. } => match config.plugins.get(name).cloned() {
            Some(settings) => called(settings, [before.clone(), after.clone()]).await?,
            None => Err(format!("the plugin {name:?} is not in the config")),
        },
        Mapping::Forward(forward) => match config.targets.get(&forward.target).and_then(|target| target.http()) {
            Some(target) => {
                let said = |message: &Message| of(forwarded(route, forward, target, &message.webhook));
                Ok([said(&before), said(&after)])
            }
            None => Err(format!("the config has no target {:?}", forward.target)),
        },
    };
    let secrets = SecretHeaders::of(Some(config)).and(letter.death.secret_header.as_deref());
    let shown = |transformed: &Transformed, message: &Message| {
        let mut verdict = describe(transformed).get("verdict").cloned().unwrap_or_default();
        secrets.hide_in_verdict(&mut verdict, message);
        verdict
    };
    Ok(said.map(|[one, other]| [shown(&one, &before), shown(&other, &after)]))
}

/// Calls the plugin of these settings with both.
async fn called(settings: Settings, messages: [Message; 2]) -> anyhow::Result<Result<[Transformed; 2], String>> {
    let call = move || {
        let name = settings.name.clone();
        let engine = Engine::with_slots(1).map_err(|error| format!("the sandbox does not start: {error:#}"))?;
        let plugin = Plugin::load(&engine, settings)
            .map_err(|error| format!("the plugin {name} does not load here: {error}"))?;
        let limits = Limits { timeout: TIMEOUT, ..plugin.limits() };
        Ok(messages.map(|message| plugin.transform(&message, limits)))
    };
    tokio::task::spawn_blocking(call).await.context("calling the plugin")
}

/// What a route without a plugin says.
fn of(verdict: Verdict) -> Transformed {
    Transformed { verdict: Ok(verdict), fuel: 0, memory: 0, printed: String::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::audit::Audit;
    use crate::dlq::stock::stock;
    use crate::letters::open;

    #[tokio::test]
    async fn a_preview_says_what_would_be_sent_and_where_the_letter_would_go_and_changes_nothing() {
        let folder = TempDir::new().expect("folder");
        let (found, queues) = stock(folder.path(), &[("7", "refused", r#"{"id":7,"mail":"a"}"#)]).await;
        let edit = Edit {
            id: "first-0".to_owned(),
            body: Some(br#"{"id":8,"mail":"b"}"#.to_vec()),
            set: Vec::new(),
            keep_group: false,
            new_webhook_id: false,
            accept_unverified: false,
            note: String::new(),
            made_for: None,
        };
        let mut letters = open(&found.backend, None, false).await.expect("letters");
        let preview = preview(&found, &mut *letters, &edit).await.expect("a preview");
        assert_eq!((preview.change.letter.group.as_str(), preview.change.group.as_str()), ("7", "8"));
        let [now, new] = preview.verdicts.expect("verdicts");
        assert_eq!((&now["deliver"][0]["target"], &new["deliver"][0]["target"]), (&json!("sss"), &json!("sss")));
        let letters = queues.dead_letters.browse(None, 9).await.expect("read");
        assert_eq!(letters.iter().map(|letter| letter.body.text()).collect::<Vec<_>>(), [r#"{"id":7,"mail":"a"}"#]);
        assert!(Audit::of(&found).read().expect("the audit").is_empty());
    }
}
