//! `plugin list`: the plugins of the config.

use towpath_compose::releases;
use towpath_config::Secrets;
use towpath_operate::plugins::{self, Origin, Plugin, Role, Use};
use towpath_operate::{config, json};

use crate::args::ConfigFile;
use crate::output::{Exit, Output};

pub(super) async fn run(config: &ConfigFile, output: &Output) -> anyhow::Result<Exit> {
    let config = config::load(&config.file(), &Secrets::placeholders()).await?;
    let releases = releases(Some(&config)).await;
    let plugins = plugins::all(&config, &config.queue.store, &releases, false).await?;
    if output.is_json() {
        output.json(&json::Plugins::of(&plugins));
    } else {
        let rows: Vec<Vec<String>> = plugins.iter().map(cells).collect();
        output.table(&["PLUGIN", "FROM", "BUILD", "ROUTES", "PASSES"], &rows);
    }
    let mut problems =
        plugins.iter().filter_map(|plugin| Some((&plugin.name, plugin.build.as_ref().err()?))).peekable();
    let exit = if problems.peek().is_some() { Exit::Findings } else { Exit::Done };
    problems.for_each(|(name, problem)| output.note(format!("{name}: {problem}")));
    Ok(exit)
}

fn cells(plugin: &Plugin) -> Vec<String> {
    let origin = match &plugin.origin {
        Origin::Path(path) => path.clone(),
        Origin::Registry(reference) => reference.to_string(),
    };
    let build = match &plugin.build {
        Ok(build) => {
            let version = build.version.as_deref().unwrap_or(build.short());
            if build.pinned { format!("{version} (pinned)") } else { version.to_owned() }
        }
        Err(_) => "-".to_owned(),
    };
    let passes = plugin.passes.iter().map(|(digest, passes)| {
        let all = passes.done + passes.other;
        format!("{digest}: {} of {all}", passes.done)
    });
    let uses = plugin.uses.iter().map(used).collect::<Vec<_>>().join(", ");
    vec![plugin.name.clone(), origin, build, uses, passes.collect::<Vec<_>>().join(", ")]
}

fn used(used: &Use) -> String {
    match &used.role {
        Role::Live => used.route.clone(),
        Role::Shadow => format!("{} (shadow)", used.route),
        Role::Canary(share) => format!("{} (canary, {share})", used.route),
    }
}
