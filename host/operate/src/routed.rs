//! The routes of a config, for who sends webhooks to them. Mistakes elsewhere in the config do no harm.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use serde_json::Value as Json;
use towpath_config::provider::{Provider, Use, uses};
use towpath_config::route::Matched;
use towpath_config::verify::Verification;
use towpath_config::{Config, ConfigError, Draft, Mistake, Secrets};

use crate::aws;

/// The routes of a config, with the values of their secrets.
pub struct Routed {
    file: PathBuf,
    draft: Draft,
    uses: Vec<Use>,
}

impl Routed {
    /// Reads a config, which may be in S3, and secrets from the environment.
    pub async fn load(file: &Path) -> anyhow::Result<Routed> {
        let text = aws::read_config(file).await?;
        Routed::read(&text, file, &Secrets::from_env())
    }

    pub(crate) fn read(text: &str, file: &Path, secrets: &Secrets) -> anyhow::Result<Routed> {
        let mut draft = Config::draft(text, file, secrets)?;
        draft.locate(text);
        Ok(Routed { file: file.to_owned(), uses: uses(text, file)?, draft })
    }

    /// The paths of the routes that use a provider.
    pub fn paths_of(&self, provider: &str) -> Vec<&str> {
        let uses = self.uses.iter().filter(|own| own.provider.as_deref() == Some(provider));
        uses.map(|own| own.path.as_str()).collect()
    }

    /// The route of a request's path below the ingest prefix.
    pub fn route(&self, path: &str) -> anyhow::Result<Matched<'_>> {
        let matched = self.draft.config.routes.of_request(path);
        let is_own = |own: &&Use| matched.as_ref().is_none_or(|matched| matched.route.path == own.path);
        let of_route: Vec<Mistake> =
            self.uses.iter().filter(is_own).flat_map(|own| self.mistakes(own.number)).cloned().collect();
        if !of_route.is_empty() {
            return Err(ConfigError::Mistakes { file: self.file.clone(), mistakes: of_route }.into());
        }
        matched.ok_or_else(|| {
            let paths: Vec<&str> = self.uses.iter().map(|own| own.path.as_str()).collect();
            anyhow!("{} has no route {path:?}: its paths are {}", self.file.display(), paths.join(", "))
        })
    }

    fn mistakes(&self, route: usize) -> impl Iterator<Item = &Mistake> {
        let at = format!("route[{route}]");
        self.draft.mistakes.iter().filter(move |mistake| mistake.at.starts_with(&at))
    }

    /// Whether the ingest that this config describes listens on an address of this machine.
    pub fn is_here(&self) -> bool {
        // Only an address of this machine can be bound. Any port is free for it.
        UdpSocket::bind((self.address().ip(), 0)).is_ok()
    }

    /// The URL of the ingest that this config describes, on this machine.
    pub fn front_door(&self) -> String {
        format!("http://{}{}", self.address(), self.draft.config.ingest.prefix)
    }

    fn address(&self) -> SocketAddr {
        let mut address = self.draft.config.ingest.listen;
        if address.ip().is_unspecified() {
            let is_v4 = address.is_ipv4();
            address.set_ip(if is_v4 { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) });
        }
        address
    }
}

/// A text that a known sender needs.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{provider:?} needs {parameter:?}: {about}")]
pub struct MissingText {
    pub provider: String,
    pub parameter: String,
    /// Where to get it.
    pub about: String,
}

/// How a known sender proves itself, with this name of its secret and these texts for its other parameters.
pub fn verification_of(
    name: &str,
    secret: Option<&str>,
    texts: &[(String, String)],
    secrets: &Secrets,
) -> anyhow::Result<Verification> {
    let Some(provider) = Provider::find(name) else {
        bail!("there is no provider {name:?}: {}", Provider::hint(name));
    };
    let is_given = |name: &str| texts.iter().any(|(own, _)| own == name);
    let missing = provider.parameters().into_iter().find(|own| own.secret.is_none() && !is_given(&own.name));
    if let Some(missing) = missing {
        let text = MissingText { provider: name.to_owned(), parameter: missing.name, about: missing.about };
        return Err(text.into());
    }
    let texts = texts.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let pairs = [("name", name)].into_iter().chain(texts).chain(secret.map(|name| ("secret", name)));
    let line = |(key, value): (&str, &str)| format!("{} = {}\n", Json::from(key), Json::from(value));
    let table: String = pairs.map(line).collect();
    let text = format!("[[route]]\npath = \"a\"\nplugin = \"a\"\n[route.provider]\n{table}[plugin.a]\npath = \"a\"\n");
    let draft = Config::draft(&text, Path::new(name), secrets)?;
    if let Some(mistake) = draft.mistakes.first() {
        let hint = if mistake.hint.is_empty() { String::new() } else { format!("; {}", mistake.hint) };
        bail!("{}{hint}", mistake.problem);
    }
    let route = draft.config.routes.iter().next();
    match route.and_then(|route| route.verify.clone()) {
        Some(verify) => Ok(verify),
        None => bail!("{} proves nothing, so there is nothing to sign", provider.title),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(names: &[&str]) -> Secrets {
        Secrets::of(names.iter().map(|name| ((*name).to_owned(), "a key of thirty-two characters, no".to_owned())))
    }

    const CONFIG: &str = "[ingest]\nlisten = \"0.0.0.0:8081\"\n[[route]]\npath = \"a\"\nplugin = \"p\"\nprovider = \"github\"\n\
        [[route]]\npath = \"t/{tenant}\"\nplugin = \"p\"\nprovider = \"trello\"\n[plugin.p]\n[target.x]\nurl = \"nonsense\"\n";

    #[test]
    fn only_mistakes_of_the_route_itself_matter() {
        let routed = Routed::read(CONFIG, Path::new("towpath.toml"), &secrets(&["github"])).expect("TOML");
        assert_eq!(routed.paths_of("github"), ["a"]);
        assert_eq!(routed.front_door(), "http://127.0.0.1:8081/hooks");
        assert_eq!(routed.route("a").expect("sound").route.path, "a");
        let missing = routed.route("t/x").err().expect("mistake").to_string();
        assert!(missing.contains("route[1].provider"), "{missing}");
        let unset = Routed::read(CONFIG, Path::new("towpath.toml"), &secrets(&[])).expect("TOML");
        let why = unset.route("a").err().expect("mistake").to_string();
        assert!(why.contains("TOWPATH_SECRET_GITHUB") && !why.contains("nonsense"), "{why}");
    }

    #[test]
    fn a_path_without_a_route_is_told_with_those_that_exist() {
        let text = CONFIG.replace("provider = \"trello\"", "group = \"t/{path:tenant}\"");
        let routed = Routed::read(&text, Path::new("towpath.toml"), &secrets(&["github"])).expect("TOML");
        let why = routed.route("b").err().expect("no route").to_string();
        assert!(why.contains("no route \"b\": its paths are a, t/{tenant}"), "{why}");
    }

    #[test]
    fn a_sender_is_known_by_its_name_and_says_what_it_needs() {
        let of = |name: &str, secret: Option<&str>, texts: &[(&str, &str)], names: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            verification_of(name, secret, &texts, &secrets(names))
        };
        let named = of("github", Some("mine"), &[], &["mine"]).expect("sound");
        assert_eq!(named.secret_names().collect::<Vec<_>>(), ["mine"]);
        let url = [("url", "https://hooks.example.com/hooks/twilio")];
        assert!(of("twilio", None, &url, &["twilio"]).is_ok());
        for (name, texts, names, says) in [
            ("githup", &[][..], &[][..], "did you mean \"github\""),
            ("github", &[], &[], "TOWPATH_SECRET_GITHUB"),
            ("twilio", &[], &["twilio"], "needs \"url\""),
            ("github", &url, &["github"], "no such parameter"),
        ] {
            let why = of(name, None, texts, names).expect_err(name).to_string();
            assert!(why.contains(says), "{name}: {why}");
        }
    }
}
