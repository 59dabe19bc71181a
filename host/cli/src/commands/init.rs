//! `init`: a config to start from.

mod preset;
mod text;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;
use towpath_config::{Config, Secrets, secrets};

use crate::args::Init;
use crate::output::{Exit, Output};

/// The target of the config, which is the one that the plugin of `plugin new` sends to.
const TARGET: &str = "sss";

/// What was written, and what to do next.
#[derive(Serialize)]
struct Written<'a> {
    file: PathBuf,
    route: &'a str,
    /// `None` if the route forwards.
    plugin: Option<&'a str>,
    target: &'a str,
    target_url: &'a str,
    secrets: Vec<NeededSecret>,
    /// Commands to run next, in order.
    next: Vec<String>,
}

/// A secret that the config names, and where its value is read from.
#[derive(Serialize)]
struct NeededSecret {
    name: String,
    variable: String,
}

pub(super) fn run(init: &Init, output: &Output) -> anyhow::Result<Exit> {
    let folder = init.folder.as_deref().unwrap_or(Path::new(""));
    let file = folder.join("towpath.toml");
    let text = text::config(init);
    check(&text, &file)?;
    if init.stdout {
        output.bytes(text.as_bytes());
        return Ok(Exit::Done);
    }
    write(&file, &text, init.force)?;
    let route = init.route();
    let written = Written {
        route,
        plugin: (!init.forward).then_some(route),
        target: TARGET,
        target_url: &init.target,
        secrets: needed(init),
        next: next(init, folder),
        file,
    };
    if output.is_json() {
        output.json(&written);
        return Ok(Exit::Done);
    }
    output.line(format!(
        "wrote {}: POST /hooks/{route} → {}target {TARGET} ({})",
        written.file.display(),
        written.plugin.map(|plugin| format!("plugin {plugin} → ")).unwrap_or_default(),
        init.target
    ));
    if init.aws {
        output.line("queue.url and queue.dead_letter_url are examples: replace them by the URLs of your queues");
    }
    output.line("Next:");
    written.next.iter().for_each(|command| output.line(format!("  {command}")));
    Ok(Exit::Done)
}

/// What the options lead to must be a config: a wrong `--target` is found here.
fn check(text: &str, file: &Path) -> anyhow::Result<()> {
    let draft = Config::draft(text, file, &Secrets::placeholders()).context("writing the config")?;
    if let Some(mistake) = draft.mistakes.first() {
        let hint = if mistake.hint.is_empty() { String::new() } else { format!("; {}", mistake.hint) };
        bail!("nothing was written: {}: {}{hint}", mistake.at, mistake.problem);
    }
    Ok(())
}

fn write(file: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut opened = match options.open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
            "{} exists and was not changed: --force replaces it, --stdout prints the new one, DIR puts it elsewhere",
            file.display()
        ),
        Err(error) => return Err(error).with_context(|| format!("writing {}", file.display())),
    };
    opened.write_all(text.as_bytes()).with_context(|| format!("writing {}", file.display()))
}

fn needed(init: &Init) -> Vec<NeededSecret> {
    if init.preset.is_none() {
        return Vec::new();
    }
    let name = text::secret(init.route());
    vec![NeededSecret { variable: secrets::variable(&name), name }]
}

fn next(init: &Init, folder: &Path) -> Vec<String> {
    let route = init.route();
    let mut commands = Vec::new();
    if !folder.as_os_str().is_empty() && folder != Path::new(".") {
        commands.push(format!("cd {}", folder.display()));
    }
    if !init.forward {
        if !folder.join(route).is_dir() {
            commands.push(format!("towpath plugin new {route}"));
        }
        commands.push(format!("towpath plugin test {route}"));
    }
    let export = |secret: &NeededSecret| format!("export {}=…", secret.variable);
    commands.extend(needed(init).iter().map(export));
    commands.push("towpath config check".to_owned());
    commands.push(if init.aws { "towpath poll" } else { "towpath dev" }.to_owned());
    commands
}

#[cfg(test)]
mod tests;
