//! `mcp`: the Model Context Protocol server, for an assistant that starts it.

use anyhow::Context as _;
use towpath_compose::console::Shown;
use towpath_mcp::{Server, Settings};

use super::console;
use crate::args;
use crate::output::Exit;

pub(super) async fn run(args: args::Mcp) -> anyhow::Result<Exit> {
    // Commands that a person copies run in another folder.
    let place = args.place.from_anywhere().context("finding the working directory")?;
    let mut shown = console::shown(&args.place.wanted()).await?;
    shown.story.logs = args.logs.wanted();
    let config = console::of(&shown);
    let console = config.url.map_or_else(|| format!("http://{}/", config.listen), |url| url.to_string());
    let settings = Settings { with_bodies: args.with_bodies, options: place.options(), console };
    let Shown { found, story, archive, .. } = shown;
    let server = Server::new(towpath_mcp::Shown { found, story, archive }, settings);
    tokio::select! {
        served = server.serve_stdio() => served?,
        signal = towpath_compose::signals::first() => signal?,
    }
    Ok(Exit::Done)
}
