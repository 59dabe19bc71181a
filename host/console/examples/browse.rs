//! Serves the console over a store with troubles, for the tests in a browser. It writes one line of JSON to standard output, with its address,
//! its token and its folder, and ends with its standard input.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use towpath_config::{Config, Secrets};
use towpath_console::{Access, Console, Role, Session};
use towpath_operate::history::History;
use towpath_operate::place::{Backend, Found};
use towpath_operate::queues::{Queues, STORY};
use towpath_operate::story::StoryPlace;
use towpath_types::dead_letter::{DeadLetter, Seen};
use towpath_types::queue::Queue as _;

const CONFIG: &str = "[[route]]\npath = 'crm'\ngroup = 'crm/{json:/id}'\nplugin = 'p'\n[plugin.p]\npath = 'p'\n[target.sss]\nurl = 'https://sss.test'\n[target.mail]\nurl = 'https://mail.test'\n";
const TOKEN: &str = "token-of-a-test";
/// No spaces: a group has none.
const HOSTILE: &str = "<script>alert('body')</script><img/src/onerror=alert(1)>";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let queues = Queues::open(folder.path()).await?;
    fill(&queues).await?;
    let file = folder.path().join("towpath.toml");
    std::fs::write(&file, CONFIG)?;
    tell(folder.path())?;
    let config = Config::parse(CONFIG, &file, &Secrets::placeholders())?;
    let story = StoryPlace {
        config: file,
        config_was_named: true,
        store: None,
        file: Some(folder.path().join(STORY)),
        logs: None,
    };
    let stop = CancellationToken::new();
    let history = Arc::new(History::default());
    let found = Found::new(Backend::Local(Box::new(queues)), Some(config));
    let console = Console { history: Some(Arc::clone(&history)), ..Console::new(found, story, stop.clone()) };
    let session = Session { by: "ann".to_owned(), role: Role::Operator };
    let router = towpath_console::router(console, Access::by_token(TOKEN.to_owned(), session));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let started = json!({ "url": format!("http://{address}"), "token": TOKEN, "folder": folder.path() });
    writeln!(std::io::stdout(), "{started}")?;
    let parent = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        () = history.run() => {}
        _ = parent => stop.cancel(),
    }
    Ok(())
}

/// Three groups that wait, and letters of two kinds, some of them hostile.
async fn fill(queues: &Queues) -> anyhow::Result<()> {
    let now = queues.events.store().now();
    for (number, route, reason) in [(1, "crm", "refused"), (2, "crm", "refused"), (3, HOSTILE, "unverified")] {
        let seen = Seen { route: Some(route), ..Seen::default() };
        let letter = DeadLetter::refused_at_ingest(format!("m-{number}"), seen, reason, HOSTILE.to_owned(), now);
        let body = format!("{{\"n\":{number},\"text\":\"{HOSTILE}\"}}");
        for queue in [&queues.dead_letters, &queues.refused, &queues.events] {
            let group = format!("crm/{number}{HOSTILE}").as_str().into();
            queue.send(letter.carried_by(group, body.as_str().into(), Default::default())).await?;
        }
    }
    Ok(())
}

/// A story of some passes.
fn tell(folder: &Path) -> anyhow::Result<()> {
    let now = humantime::format_rfc3339_millis(std::time::SystemTime::now() - Duration::from_secs(60)).to_string();
    let lines = [("delivered", ""), ("unavailable", "no answer"), ("refused", HOSTILE)].map(|(outcome, reason)| {
        let decision = if outcome == "delivered" { "ack" } else { "retry" };
        let line = json!({
            "timestamp": now, "level": "INFO", "target": "towpath.story",
            "fields": { "message": "pass", "outcome": outcome, "decision": decision, "reason": reason },
            "span": { "message_id": format!("8f3c2b1a-{outcome}"), "group": "crm/1", "route": "crm", "plugin": "p" },
        });
        format!("{line}\n")
    });
    Ok(std::fs::write(folder.join(STORY), lines.concat())?)
}
