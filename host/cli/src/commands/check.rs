//! `config check`: all mistakes at once.

use towpath_core::clock::Clock;
use towpath_core::config::{Config, ConfigError, Mistake, Secrets};

use crate::args::ConfigFile;
use crate::aws;
use crate::compose::{config_file, engine, load_plugins};
use crate::output::{Exit, Output};

pub(super) async fn run(
    args: &ConfigFile,
    skip_secrets: bool,
    skip_plugins: bool,
    output: &Output,
) -> anyhow::Result<Exit> {
    let secrets = if skip_secrets { Secrets::placeholders() } else { Secrets::from_env() };
    let file = config_file(args);
    let text = aws::read_config(&file).await?;
    let config = match Config::parse(&text, &file, &secrets) {
        Ok(config) => config,
        Err(ConfigError::Mistakes { mistakes, .. }) => return Ok(tell(&mistakes, output)),
        Err(error) => return Err(error.into()),
    };
    if skip_plugins {
        return Ok(fine(&config, output));
    }
    match load_plugins(&engine(1)?, &config, Clock::wall()).await? {
        Ok(_) => Ok(fine(&config, output)),
        Err(wrong) => {
            let mistake = |(name, error): (String, _)| Mistake {
                at: format!("plugin.{name}"),
                problem: format!("{:#}", anyhow::Error::new(error)),
                hint: String::new(),
            };
            Ok(tell(&wrong.0.into_iter().map(mistake).collect::<Vec<_>>(), output))
        }
    }
}

fn fine(config: &Config, output: &Output) -> Exit {
    if output.is_json() {
        output.json(&Vec::<Mistake>::new());
    }
    let routes = config.routes.iter().count();
    let (plugins, targets) = (config.plugins.len(), config.targets.len());
    output.say(format!("{} is fine: routes {routes}, plugins {plugins}, targets {targets}", config.file.display()));
    Exit::Done
}

fn tell(mistakes: &[Mistake], output: &Output) -> Exit {
    if output.is_json() {
        output.json(&mistakes);
        return Exit::Findings;
    }
    for Mistake { at, problem, hint } in mistakes {
        output.line(format!("{}: {problem}", console::style(at).bold()));
        if !hint.is_empty() {
            output.line(format!("  hint: {hint}"));
        }
    }
    output.line(format!("\nmistakes: {}", mistakes.len()));
    Exit::Findings
}
