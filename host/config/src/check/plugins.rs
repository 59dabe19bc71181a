//! `[plugin.NAME]`, and the candidates that routes refer to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::super::{Form, RegistryConfig, shape};
use super::Checker;
use crate::plugin::{Code, Limits, Settings};
use crate::registry::{CURRENT, Reference, is_name};
use crate::route::{Rollout, Route};

/// From one page of WebAssembly memory to the whole address space.
const MEMORY: std::ops::RangeInclusive<usize> = 64 * 1024..=4 * 1024 * 1024 * 1024;

impl Checker<'_> {
    pub(super) fn plugin(
        &mut self,
        name: String,
        plugin: shape::Plugin,
        registry: Option<&RegistryConfig>,
    ) -> Settings {
        let at = format!("plugin.{name}");
        if !is_name(&name) {
            let hint = "1–100 letters, digits, -, _, . and +; NAME@VERSION is for routes: shadow, canary";
            self.wrong(&at, format!("{name:?} is not a valid plugin name"), hint);
        }
        if let Some(digest) = &plugin.sha256
            && (digest.len() != 64 || hex::decode(digest).is_err())
        {
            self.wrong(format!("{at}.sha256"), "not 64 hex digits", "`towpath plugin build` prints the digest");
        }
        let is_signed = registry.is_some_and(|registry| registry.public_key.is_some());
        if plugin.min_sequence.is_some() && (plugin.path.is_some() || !is_signed) {
            let hint = "it applies only to plugins from a registry with public_key: leave it out";
            self.wrong(format!("{at}.min_sequence"), "this plugin has no signed pointer", hint);
        }
        let defaults = Limits::default();
        let limits = Limits {
            memory: plugin.limits.memory.map_or(defaults.memory, |size| usize::try_from(size.0).unwrap_or(usize::MAX)),
            fuel: plugin.limits.fuel.unwrap_or(defaults.fuel),
            timeout: plugin.limits.timeout.map_or(defaults.timeout, |span| span.0),
        };
        if limits.timeout < Duration::from_millis(10) || limits.timeout > Duration::from_secs(60) {
            self.wrong(format!("{at}.limits.timeout"), "must be between 10ms and 60s", "2s is the default");
        }
        if !MEMORY.contains(&limits.memory) {
            self.wrong(format!("{at}.limits.memory"), "must be between 64KiB and 4GiB", "64MiB is the default");
        }
        if limits.fuel == 0 {
            self.wrong(format!("{at}.limits.fuel"), "must be positive", "500_000_000 is the default");
        }
        let names = plugin.secrets.iter().enumerate();
        let secrets = names.filter_map(|(i, name)| {
            Some((name.clone(), self.secret(format!("{at}.secrets[{i}]"), name, Form::Header)?))
        });
        let secrets = secrets.collect();
        let code = self.code(&name, plugin.path, plugin.version, registry.is_some());
        Settings {
            code,
            optional: false,
            min_sequence: plugin.min_sequence.unwrap_or_default(),
            sha256: plugin.sha256.map(|digest| digest.to_ascii_lowercase()),
            limits,
            config: serde_json::Value::Object(plugin.config).to_string(),
            secrets,
            unready: self.unready(&at),
            name,
        }
    }

    fn code(&mut self, name: &str, path: Option<PathBuf>, version: Option<String>, has_registry: bool) -> Code {
        let at = format!("plugin.{name}");
        match (path, version) {
            (Some(path), None) => return Code::Path(self.folder.join(path)),
            (Some(_), Some(_)) => {
                let hint = "a path is a single build: leave path out to use the registry";
                self.wrong(format!("{at}.version"), "conflicts with path", hint);
            }
            (None, _) if !has_registry => {
                let hint = "give the plugin's folder, or a registry: [registry] url = \"s3://bucket/plugins\"";
                self.wrong(format!("{at}.path"), "missing", hint);
            }
            (None, version) => {
                let tag = version.unwrap_or_else(|| CURRENT.to_owned());
                if is_name(name) && is_name(&tag) {
                    return Code::Registry(Reference::new(name, tag));
                }
                let hint = "letters, digits, -, _, . and +; `towpath plugin versions` lists the versions";
                self.wrong(format!("{at}.version"), format!("{name}@{tag} is not a valid name in a registry"), hint);
            }
        }
        Code::Path(PathBuf::new())
    }

    /// Adds the candidates that routes name as `NAME@VERSION`: the plugin of that name with another build.
    pub(super) fn candidates(
        &mut self,
        mut plugins: BTreeMap<String, Settings>,
        routes: &[Route],
        has_registry: bool,
    ) -> BTreeMap<String, Settings> {
        for route in routes {
            for full in route.mapping.rollout().into_iter().flat_map(Rollout::plugins) {
                let Some((name, tag)) = full.split_once('@') else { continue };
                if !has_registry {
                    let hint = "[registry] url = \"s3://bucket/plugins\", for example";
                    self.wrong(format!("plugin.{full}"), "comes from a registry, but the config has none", hint);
                }
                let Some(base) = plugins.get(name) else { continue };
                let code = Code::Registry(Reference::new(name, tag));
                let candidate = Settings { name: full.to_owned(), code, optional: true, sha256: None, ..base.clone() };
                plugins.insert(full.to_owned(), candidate);
            }
        }
        plugins
    }
}
