//! Serves the console over a store with troubles, for the tests in a browser. It writes one line of JSON to standard output, with its address,
//! its token and its folder, and ends with its standard input.

#[path = "browse/troubles.rs"]
mod troubles;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

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

/// The plugin's build is another plugin's: its letters say so, and the page that tries another build shows what the right one would do.
const CONFIG: &str = "
[[route]]
path = 'crm'
group = 'crm/{json:/id}'
plugin = 'approval'
on_dead_letter = 'park'
[[route]]
path = 'shop'
group = 'shop/{json:/id}'
target = 'billing'
[plugin.approval]
path = 'wrong'
[target.sss]
url = 'https://sss.test'
[target.mail]
url = 'https://mail.test'
[target.billing]
url = 'https://billing.test'
[console]
builds = 'builds'
";
const TOKEN: &str = "token-of-a-test";

/// Components that are in the source tree, so that nothing is built for them.
const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/plugins-1.0");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let queues = Queues::open(folder.path()).await?;
    let file = folder.path().join("towpath.toml");
    std::fs::write(&file, CONFIG)?;
    for (plugin, to) in [("github", "wrong"), ("approval", "builds/approval-2")] {
        copy(plugin, &folder.path().join(to))?;
    }
    let config = Config::parse(CONFIG, &file, &Secrets::placeholders())?;
    let found = Found::new(Backend::Local(Box::new(queues.clone())), Some(config));
    troubles::fill(&found, &queues, &folder.path().join(STORY)).await?;
    let story = StoryPlace {
        config: file,
        config_was_named: true,
        store: None,
        file: Some(folder.path().join(STORY)),
        logs: None,
    };
    let stop = CancellationToken::new();
    let history = Arc::new(History::default());
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

/// Copies the component of a plugin into this folder.
fn copy(plugin: &str, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    std::fs::copy(Path::new(BUILT).join(plugin).join("plugin.wasm"), to.join("plugin.wasm"))?;
    Ok(())
}
