//! `console`: the web console, by itself or beside a host.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;
use towpath_compose::Supervisor;
use towpath_compose::console::{self, Opened, Options, Shown};
use towpath_compose::server::HostName;
use towpath_config::ConsoleConfig;
use towpath_operate::archive::{ArchivePlace, FoundArchive, Named};
use towpath_operate::place::{Found, QueuePlace};
use towpath_operate::story::StoryPlace;
use tracing::error;

use crate::args;
use crate::output::{Exit, Output};

pub(super) async fn run(args: args::Console, output: &Output) -> anyhow::Result<Exit> {
    let mut shown = shown(&args.place.wanted()).await?;
    shown.story.logs = args.logs.wanted();
    let mut config = of(&shown);
    config.read_only |= args.read_only;
    config.listen = args.listen.unwrap_or(config.listen);
    let mut host = Supervisor::new();
    let options = Options { config, names: args.names.allowed, or_free_port: args.listen.is_none() };
    let opened = console::open(shown, options, &mut host).await?;
    if output.is_json() {
        let Opened { address, link, read_only } = opened;
        output.json(&json!({ "url": format!("http://{address}/"), "login": link, "read_only": read_only }));
    } else {
        say(&opened, output);
    }
    host.run().await.map(|()| Exit::Done)
}

/// Where a console is asked for.
pub(super) enum Asked {
    /// At this address, or at the config's.
    At(Option<SocketAddr>),
    /// At the config's address, or at a free port.
    Somewhere(Option<SocketAddr>),
}

/// Starts the console of a host with this config. What fails is logged: the host is there for events.
pub(super) async fn beside(file: &Path, asked: Asked, names: &[HostName], host: &mut Supervisor, output: &Output) {
    let open = async {
        let config = file.to_owned();
        let shown = shown(&QueuePlace { config, config_was_named: true, store: None, queue_url: None }).await?;
        let shown = Shown { delivers: true, ..shown };
        let mut config = of(&shown);
        let (listen, or_free_port) = match asked {
            Asked::At(listen) => (listen, false),
            Asked::Somewhere(listen) => (listen, listen.is_none()),
        };
        config.listen = listen.unwrap_or(config.listen);
        console::open(shown, Options { config, names: names.to_vec(), or_free_port }, host).await
    };
    match open.await {
        Ok(opened) => say(&opened, output),
        Err(problem) => {
            error!(problem = format!("{problem:#}"), "console cannot start, events are delivered without it")
        }
    }
}

fn say(opened: &Opened, output: &Output) {
    output.say(format!("console {}", opened.link));
    if let Some(why) = &opened.read_only {
        output.say(format!("the console is read only: {why}"));
    }
}

/// What the config says of the console.
pub(super) fn of(shown: &Shown) -> ConsoleConfig {
    shown.found.config.as_ref().and_then(|config| config.console.clone()).unwrap_or_default()
}

/// Queues, story and archive of a place, with connections of their own.
pub(super) async fn shown(place: &QueuePlace) -> anyhow::Result<Shown> {
    let found = Found::find(place).await?;
    let QueuePlace { config, config_was_named, store, .. } = place.clone();
    let folder = store.as_ref().map(|store| store.join("archive")).filter(|folder| folder.is_dir());
    let named = Named { folder, bucket: None };
    let archive = ArchivePlace { config: config.clone(), config_was_named, named };
    // Not every place has one.
    let archive = FoundArchive::find(&archive).await.ok();
    let story = StoryPlace { config, config_was_named, store, file: None, logs: None };
    Ok(Shown { found, story, archive, delivers: false })
}
