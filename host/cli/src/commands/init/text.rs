//! The text of a config to start from.

use reqwest::Url;
use towpath_config::network;

use super::preset::Preset;
use crate::args::Init;

const ROUTE: &str = include_str!("../../../templates/init/route.toml.txt");
const PLUGIN: &str = include_str!("../../../templates/init/plugin.toml.txt");
const OF_PLUGINS: &str = include_str!("../../../templates/init/target_of_plugins.toml.txt");
const FORWARD: &str = include_str!("../../../templates/init/forward.toml.txt");
const LOCAL: &str = include_str!("../../../templates/init/local.toml.txt");
const AWS: &str = include_str!("../../../templates/init/aws.toml.txt");

/// The name of the route's secret.
pub(super) fn secret(route: &str) -> String {
    format!("{route}-webhooks")
}

/// The config. Only `target` can be wrong in it.
pub(super) fn config(init: &Init) -> String {
    let name = init.route();
    let preset = init.preset.as_deref();
    let Preset { order, events, dedup, keys } = Preset::of(preset, name);
    let secret = secret(name);
    let is_private = init.target.parse().is_ok_and(|url: Url| network::is_private_host(&url));
    let verify = match preset {
        Some(scheme) => format!("verify = {{ scheme = \"{scheme}\"{keys}, secret = \"{secret}\" }}"),
        None => format!("#verify = {{ scheme = \"hmac\", header = \"x-signature\", secret = \"{secret}\" }}"),
    };
    let dedup_line = dedup.map_or("#dedup = \"header:x-event-id\"".to_owned(), |key| format!("dedup = \"{key}\""));
    let mapping = if init.forward { "target = \"sss\"".to_owned() } else { format!("plugin = {}", quoted(name)) };
    let names_target =
        if init.forward { "" } else { " A plugin names it: the one of `towpath plugin new` sends to \"sss\"." };
    let values = [
        // These have values of their own in them.
        ("mapping_more", if init.forward { FORWARD } else { PLUGIN }.to_owned()),
        ("of_plugins", if init.forward { "" } else { OF_PLUGINS }.to_owned()),
        ("mapping", mapping),
        ("names_target", names_target.to_owned()),
        ("route", quoted(name)),
        ("group", quoted(&format!("{name}/{{json:{order}}}"))),
        ("events", events.to_owned()),
        ("dedup", dedup_line),
        ("dedup_example", marked_if(dedup.is_none())),
        ("verify", verify),
        ("verify_example", marked_if(preset.is_none())),
        ("park", if init.aws { "" } else { ", \"park\" sets the rest aside" }.to_owned()),
        ("target", quoted(&init.target)),
        ("allow_private", if is_private { "allow_private = true" } else { "#allow_private = false" }.to_owned()),
        ("name", name.to_owned()),
    ];
    let template = [ROUTE, if init.aws { AWS } else { LOCAL }].join("\n");
    values.iter().fold(template, |text, (key, value)| text.replace(&format!("{{{{{key}}}}}"), value))
}

fn marked_if(is_example: bool) -> String {
    if is_example { " (example)" } else { "" }.to_owned()
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
