use std::path::Path;

use clap::Parser as _;
use towpath_config::{Config, Draft, Secrets, verification_schemes};

use super::text;
use crate::args::{Args, Command, Init};

fn init(options: &[&str]) -> Init {
    match Args::try_parse_from([&["towpath", "init"], options].concat()).expect("options").command {
        Command::Init(init) => init,
        other => panic!("{other:?}"),
    }
}

/// Every combination of options that leads to another text.
fn combinations() -> Vec<Vec<String>> {
    let routes = ["", "--route=orders-2"];
    let targets = ["", "--target=https://api.example.com/v1", "--target=http://127.0.0.1:9000", "--target=http://sss"];
    let presets = verification_schemes().iter().map(|scheme| format!("--preset={scheme}"));
    let presets: Vec<String> = presets.chain([String::new()]).collect();
    let mut found = Vec::new();
    for route in routes {
        for target in targets {
            for preset in &presets {
                for more in [["", ""], ["--aws", ""], ["", "--forward"], ["--aws", "--forward"]] {
                    let options =
                        [route, target, preset, more[0], more[1]].into_iter().filter(|option| !option.is_empty());
                    found.push(options.map(str::to_owned).collect());
                }
            }
        }
    }
    found
}

fn draft(text: &str) -> Draft {
    Config::draft(text, Path::new("towpath.toml"), &Secrets::placeholders()).expect("TOML")
}

/// The text with every key set that it only shows.
fn with_every_key(text: &str) -> String {
    let shown = |line: &str| {
        line.strip_prefix('#').is_some_and(|key| key.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
    };
    let lines = text.lines().map(|line| if shown(line) { line.get(1..).unwrap_or_default() } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_combination_of_options_is_a_config_without_a_mistake_and_warns_only_of_a_missing_proof() {
    for options in combinations() {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let init = init(&options);
        let text = text::config(&init);
        assert!(!text.contains("{{"), "{options:?}\n{text}");
        let draft = draft(&text);
        assert!(draft.mistakes.is_empty(), "{options:?}: {draft:?}\n{text}");
        let warned: Vec<&str> = draft.warnings.iter().map(|warning| warning.at.as_str()).collect();
        let unproven: &[&str] = if init.preset.is_some() { &[] } else { &["route[0]"] };
        assert_eq!(warned, unproven, "{options:?}: {draft:?}\n{text}");
        let names: Vec<&str> = draft.config.routes.iter().map(|route| route.path.as_str()).collect();
        assert_eq!(names, [init.route()], "{options:?}");
        assert_eq!(draft.config.routes.iter().any(|route| route.verify.is_some()), init.preset.is_some());
        assert_eq!(draft.config.queue.url.is_some(), init.aws);
        assert_eq!(draft.config.plugins.is_empty(), init.forward);
    }
}

#[test]
fn every_key_that_is_shown_can_be_set() {
    for options in combinations() {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let text = with_every_key(&text::config(&init(&options)));
        // A released candidate and a plugin at a path do not exclude each other.
        let draft = draft(&text);
        assert!(draft.mistakes.is_empty(), "{options:?}: {:?}\n{text}", draft.mistakes);
    }
}

#[test]
fn defaults_that_are_shown_are_the_defaults() {
    for options in [&["--aws"][..], &[], &["--forward"]] {
        let text = text::config(&init(options));
        // Examples are marked in the comment above them.
        let mut lines = Vec::new();
        let mut is_example = false;
        for line in text.lines() {
            let is_comment = line.starts_with("# ");
            if is_comment {
                is_example = line.contains("(example") || line.contains("(examples");
            }
            lines.push(if is_example && !is_comment { line.to_owned() } else { with_every_key(line) });
        }
        let [set, unset] = [lines.join("\n"), text].map(|text| draft(&text));
        assert!(set.mistakes.is_empty(), "{:?}", set.mistakes);
        assert_eq!(format!("{:?}", set.config), format!("{:?}", unset.config));
    }
}

#[test]
fn lines_fit_an_editor() {
    for options in combinations() {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let text = text::config(&init(&options));
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 132).collect();
        assert!(long.is_empty(), "{options:?}: {long:?}");
    }
}

#[test]
fn a_wrong_target_is_reported_with_its_key() {
    for (target, problem) in [
        ("ftp://sss.example", "target.sss.url: \"ftp://sss.example\" is not an http or https URL"),
        ("http://127.0.0.1:8080", "target.sss.url: is the address that ingest listens on"),
        ("https://${HOST}/api", "target.sss.url"),
    ] {
        let text = text::config(&init(&["--target", target]));
        let error = super::check(&text, Path::new("towpath.toml")).expect_err(target).to_string();
        assert!(error.contains(problem), "{error}");
    }
}
