//! `config check`: reports all mistakes at once.

use std::collections::BTreeMap;

use towpath_compose::{engine, load_plugins};
use towpath_config::plugin::Code;
use towpath_config::{Config, ConfigError, Draft, Mistake, Notify, Secrets, env};
use towpath_operate::aws;
use towpath_plugin::Plugins;
use towpath_types::clock::Clock;

use crate::args::ConfigFile;
use crate::output::{Exit, Output, plain};

pub(super) async fn run(
    args: &ConfigFile,
    skip_secrets: bool,
    skip_plugins: bool,
    output: &Output,
) -> anyhow::Result<Exit> {
    let secrets = if skip_secrets { Secrets::placeholders() } else { Secrets::from_env() };
    let file = args.file();
    let text = aws::read_config(&file).await?;
    let mut draft = match Config::draft(&text, &file, &secrets) {
        Ok(draft) => draft,
        Err(error @ ConfigError::Syntax { .. }) => return Ok(tell(&[syntax(error)], output)),
        Err(error) => return Err(error.into()),
    };
    draft.mistakes.extend(log_level());
    if !skip_plugins {
        match load(&mut draft).await? {
            // A route with a mistake is not in the config, and may name any target.
            Ok(_) if draft.mistakes.iter().any(|mistake| mistake.at.starts_with("route")) => {}
            Ok(plugins) => {
                draft.warnings.extend(unused(&draft.config, &plugins));
                draft.warnings.extend(shared(&draft.config, &plugins));
            }
            Err(mistakes) => draft.mistakes.extend(mistakes),
        }
    }
    draft.locate(&text);
    for warning in &draft.warnings {
        output.note(format!("warning: {}: {}", warning.at, warning.problem));
        warning.help().into_iter().for_each(|help| output.note(format!("  {help}")));
    }
    if draft.mistakes.is_empty() { Ok(fine(&draft.config, output)) } else { Ok(tell(&draft.mistakes, output)) }
}

/// Loads the plugins whose tables have no mistake about where they are.
async fn load(draft: &mut Draft) -> anyhow::Result<Result<Plugins, Vec<Mistake>>> {
    let wrong =
        |at: &str| draft.mistakes.iter().any(|mistake| mistake.at == at || mistake.at.starts_with(&format!("{at}.")));
    let sound = |name: &str| {
        let name = name.split('@').next().unwrap_or_default();
        let keys = ["path", "version", "sha256", "limits"].map(|key| format!("plugin.{name}.{key}"));
        !draft.mistakes.iter().any(|mistake| mistake.at == format!("plugin.{name}"))
            && !keys.iter().any(|key| wrong(key))
    };
    let registry = !wrong("registry");
    let plugins = draft.config.plugins.clone().into_iter();
    let plugins =
        plugins.filter(|(name, settings)| sound(name) && (registry || matches!(settings.code, Code::Path(_))));
    draft.config.plugins = plugins.collect::<BTreeMap<_, _>>();
    let opened = load_plugins(&engine(1)?, &draft.config, draft.targets.clone(), None, Clock::wall()).await?;
    let mistake = |(name, error): (String, _)| {
        let at = format!("plugin.{name}");
        Mistake { at, problem: format!("{:#}", anyhow::Error::new(error)), hint: String::new(), line: None }
    };
    let mistakes: Vec<Mistake> = opened.failures.0.into_iter().map(mistake).collect();
    Ok(if mistakes.is_empty() { Ok(opened.plugins) } else { Err(mistakes) })
}

/// Warnings about alerts that share a target with events, and so its breaker, its limits and its holds.
fn shared(config: &Config, plugins: &Plugins) -> Vec<Mistake> {
    let plugins: Vec<_> = config.plugins.keys().filter_map(|name| plugins.get(name)).collect();
    let gets_events = |target: &str| {
        let forwards = config.routes.iter().filter_map(|route| route.mapping.forward());
        plugins.iter().any(|plugin| plugin.description().targets.iter().any(|own| own == target))
            || forwards.into_iter().any(|forward| forward.target == target)
    };
    let warning = |(index, rule): (usize, &Notify)| Mistake {
        at: format!("notify[{index}].to"),
        problem: format!("{:?} gets events too: alerts share its breaker, its limits and its holds", rule.to),
        hint: "give alerts a target of their own".to_owned(),
        line: None,
    };
    config.notify.iter().enumerate().filter(|(_, rule)| gets_events(&rule.to)).map(warning).collect()
}

/// Warnings about targets to which nothing goes.
fn unused(config: &Config, plugins: &Plugins) -> Vec<Mistake> {
    let plugins: Vec<_> = config.plugins.keys().filter_map(|name| plugins.get(name)).collect();
    let described = |target: &String| plugins.iter().any(|plugin| plugin.description().targets.contains(target));
    let forwards = |target: &String| {
        config.routes.iter().filter_map(|route| route.mapping.forward()).any(|forward| forward.target == *target)
    };
    let notified = |target: &String| config.notify.iter().any(|rule| rule.to == *target);
    let warning = |target: &String| Mistake {
        at: format!("target.{target}"),
        problem: "no plugin lists it, and no route or alert goes to it, so nothing is ever sent there".to_owned(),
        hint: "a plugin lists its targets, as `towpath plugin inspect` shows; a route forwards with target".to_owned(),
        line: None,
    };
    config
        .targets
        .keys()
        .filter(|target| !described(target) && !forwards(target) && !notified(target))
        .map(warning)
        .collect()
}

fn log_level() -> Option<Mistake> {
    let problem = env::log_level().err()?;
    let hint = format!("use one of {}", env::LOG_LEVELS.join(", "));
    Some(Mistake { at: "TOWPATH_LOG".to_owned(), problem, hint, line: None })
}

/// A file that is not TOML or JSON.
fn syntax(error: ConfigError) -> Mistake {
    Mistake {
        at: "syntax".to_owned(),
        problem: format!("{:#}", anyhow::Error::new(error)),
        hint: String::new(),
        line: None,
    }
}

fn fine(config: &Config, output: &Output) -> Exit {
    if output.is_json() {
        output.json(&Vec::<Mistake>::new());
    }
    let routes = config.routes.iter().count();
    let plugins = config.plugins.len();
    let targets = config.targets.len();
    output.say(format!("{} is fine: routes {routes}, plugins {plugins}, targets {targets}", config.file.display()));
    Exit::Done
}

fn tell(mistakes: &[Mistake], output: &Output) -> Exit {
    if output.is_json() {
        output.json(&mistakes);
        return Exit::Findings;
    }
    for mistake in mistakes {
        output.spans([(console::Style::new().bold(), mistake.at.clone()), plain(format!(": {}", mistake.problem))]);
        mistake.help().into_iter().for_each(|help| output.line(format!("  {help}")));
    }
    output.line("");
    output.line(format!("mistakes: {}", mistakes.len()));
    Exit::Findings
}
