//! A config is read, or every mistake has its place.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use towpath_config::{Config, ConfigError, Secrets};

fuzz_target!(|text: &str| {
    for file in ["towpath.toml", "towpath.json"] {
        match Config::parse(text, Path::new(file), &Secrets::placeholders()) {
            Err(ConfigError::Mistakes { mistakes, .. }) => {
                assert!(!mistakes.is_empty() && mistakes.iter().all(|mistake| !mistake.problem.is_empty()));
            }
            Ok(config) => {
                let groups: Vec<_> = config.routes.iter().map(|route| towpath_route::keys(route, &Default::default()).group).collect();
                assert!(groups.iter().all(|group| (1..=128).contains(&group.as_str().len())), "{groups:?}");
            }
            Err(_) => {}
        }
    }
});
