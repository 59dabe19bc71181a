//! `plugin new`: makes a folder that builds and passes its cases.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use towpath_files::regular::{self, MAX_EVENT};
use towpath_operate::event::{self, Event};
use towpath_types::envelope::Webhook;

use crate::args::{PluginNew, plugin_name};
use crate::output::{Exit, Output};
use crate::toolchain::{Language, WIT};

/// A file of a new plugin: its path, and its text with `{{name}}` in it.
type File = (&'static str, &'static str);

/// The files of a plugin in any language.
const COMMON: [File; 4] = [
    (".gitignore", include_str!("../../../templates/gitignore.txt")),
    ("cases/won/message.json", include_str!("../../../templates/message.json.txt")),
    ("cases/viewed-is-skipped/message.json", include_str!("../../../templates/skipped.json.txt")),
    ("cases/malformed-cut-off/message.json", include_str!("../../../templates/malformed.json.txt")),
];

const RUST: [File; 14] = [
    ("Cargo.toml", include_str!("../../../templates/rust/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("../../../templates/rust/lib.rs.txt")),
    ("sdk/Cargo.toml", include_str!("../../../../../plugins/sdk/Cargo.toml")),
    ("sdk/src/lib.rs", include_str!("../../../../../plugins/sdk/src/lib.rs")),
    ("sdk/src/export.rs", include_str!("../../../../../plugins/sdk/src/export.rs")),
    ("sdk/src/log.rs", include_str!("../../../../../plugins/sdk/src/log.rs")),
    ("sdk/src/message.rs", include_str!("../../../../../plugins/sdk/src/message.rs")),
    ("sdk/src/request.rs", include_str!("../../../../../plugins/sdk/src/request.rs")),
    ("sdk/src/stop.rs", include_str!("../../../../../plugins/sdk/src/stop.rs")),
    ("sdk/src/surrogates.rs", include_str!("../../../../../plugins/sdk/src/surrogates.rs")),
    ("sdk/contract/world.wit", WIT),
    ("cases/won/expected.json", include_str!("../../../templates/rust/won.json")),
    ("cases/viewed-is-skipped/expected.json", include_str!("../../../templates/rust/viewed.json")),
    ("cases/malformed-cut-off/expected.json", include_str!("../../../templates/rust/malformed.json")),
];

const JS: [File; 6] = [
    ("package.json", include_str!("../../../templates/js/package.json.txt")),
    ("plugin.js", include_str!("../../../templates/js/plugin.js.txt")),
    ("towpath.js", include_str!("../../../../../plugins/js-calendly/towpath.js")),
    ("cases/won/expected.json", include_str!("../../../templates/js/won.json")),
    ("cases/viewed-is-skipped/expected.json", include_str!("../../../templates/js/viewed.json")),
    ("cases/malformed-cut-off/expected.json", include_str!("../../../templates/js/malformed.json")),
];

const PYTHON: [File; 6] = [
    ("requirements.txt", include_str!("../../../../../plugins/python-shopify/requirements.txt")),
    ("plugin.py", include_str!("../../../templates/python/plugin.py.txt")),
    ("towpath.py", include_str!("../../../../../plugins/python-shopify/towpath.py")),
    ("cases/won/expected.json", include_str!("../../../templates/python/won.json")),
    ("cases/viewed-is-skipped/expected.json", include_str!("../../../templates/python/viewed.json")),
    ("cases/malformed-cut-off/expected.json", include_str!("../../../templates/python/malformed.json")),
];

/// The part of a config that the plugin needs.
const CONFIG: &str = r#"
  [[route]]
  path = "{{name}}"  # POST /hooks/{{name}}
  group = "{{name}}/{json:/id}"  # events with the same id stay in order
  plugin = "{{name}}"

  [plugin.{{name}}]
  path = "{{name}}"  # this folder, relative to towpath.toml

  [target.sss]
  url = "https://sss.example/api"  # your system

`towpath init --route {{name}}` writes such a file, with every important key explained. `towpath config check` reports
mistakes in it, `towpath dev` runs it."#;

pub(super) fn run(args: &PluginNew, output: &Output) -> anyhow::Result<Exit> {
    let name = args.name.as_str();
    plugin_name(name).map_err(anyhow::Error::msg)?;
    let folder = PathBuf::from(name);
    if folder.exists() {
        bail!("there is a folder or file {name} already: choose another name, or remove it");
    }
    // Read before anything is written: half a folder would block the next attempt.
    let events = args.from.as_deref().map(recorded).transpose()?.unwrap_or_default();
    let own: &[File] = match args.lang {
        Language::Rust => &RUST,
        Language::Js => &JS,
        Language::Python => &PYTHON,
    };
    for (path, text) in COMMON.iter().chain(own) {
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        std::fs::write(&file, text.replace("{{name}}", name)).with_context(|| format!("writing {}", file.display()))?;
    }
    for (case, event) in &events {
        event.write(&free(&folder.join("cases"), case))?;
    }
    output.say(format!("{name}/ is a plugin with {} cases. Next:", events.len() + 3));
    output.say("");
    output.say(format!("  cd {name}"));
    output.say("  towpath plugin test             build it and run its cases");
    if !events.is_empty() {
        output.say("  towpath plugin test --update    once the mapping fits your events: write its verdicts");
    }
    output.say("  towpath plugin test --watch     the same after every change");
    output.say("");
    output.say("Then, in towpath.toml:");
    CONFIG.replace("{{name}}", name).lines().for_each(|line| output.say(line));
    Ok(Exit::Done)
}

/// A free folder for a case of this name, with a number if the name is taken.
fn free(cases: &Path, name: &str) -> PathBuf {
    let numbered = (2..).map(|number| cases.join(format!("{name}-{number}")));
    let mut names = std::iter::once(cases.join(name)).chain(numbered);
    names.find(|folder| !folder.exists()).unwrap_or_else(|| cases.join(name))
}

/// The recorded events below a folder, and its plain JSON files as events, each with the name of its case.
fn recorded(folder: &Path) -> anyhow::Result<Vec<(String, Event)>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut plain: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    let is_plain = |file: &Path| file.extension().is_some_and(|kind| kind == "json") && !file.ends_with(event::FILE);
    plain.retain(|file| file.is_file() && is_plain(file));
    plain.sort();
    let mut events = Vec::new();
    for file in plain {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // A recorded event is JSON too, so try that first.
        let event = match Event::read(&file) {
            Ok(event) => event,
            Err(_) => {
                let body = regular::read(&file, MAX_EVENT).with_context(|| format!("reading {}", file.display()))?;
                let headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
                Event::of("test", &Webhook { headers, body: body.trim_ascii().to_vec(), ..Webhook::default() })
            }
        };
        events.push((name, event));
    }
    for file in event::find(&[folder.to_owned()]).unwrap_or_default() {
        let name = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        events.push((name, Event::read(&file)?));
    }
    if events.is_empty() {
        bail!("there are no recorded events in {}: neither message.json nor other .json files", folder.display());
    }
    Ok(events)
}
