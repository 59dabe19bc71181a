//! Senders that are known, and how a route for one is set up.

use serde::Serialize;
use towpath_config::provider::{Confidence, Provider};
use towpath_config::secrets;

/// A provider in a list.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ListedProvider))]
pub struct Listed {
    /// What a route writes as `provider`.
    pub name: &'static str,
    /// Its name as people write it.
    pub title: String,
    /// How it proves who it is.
    pub proof: String,
    /// Whether it checks the endpoint before it sends events.
    pub handshake: bool,
    /// Whether one request has several events.
    pub split: bool,
    /// How well its rules are documented.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub confidence: Confidence,
}

impl Listed {
    fn of(provider: &Provider) -> Listed {
        Listed {
            name: provider.name,
            title: provider.title.clone(),
            proof: provider.proof(),
            handshake: provider.has_handshake(),
            split: provider.splits(),
            confidence: provider.confidence,
        }
    }

    fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.name.contains(&text) || self.title.to_lowercase().contains(&text)
    }
}

/// All providers by name, or those whose name or title contains this text, in any case.
pub fn list(search: Option<&str>) -> Vec<Listed> {
    let listed = Provider::all().map(|provider| Listed::of(&provider));
    listed.filter(|provider| search.is_none_or(|text| provider.matches(text))).collect()
}

/// Everything about one provider.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ShownProvider))]
pub struct Shown {
    /// Its line in the list.
    #[serde(flatten)]
    pub listed: Listed,
    /// The address of its documentation.
    pub doc: String,
    /// What to register at the provider, with the host left open.
    pub url: String,
    /// A route to paste.
    pub route: String,
    /// The secrets that the route needs.
    pub secrets: Vec<NeededSecret>,
    /// Texts that the route must give.
    pub parameters: Vec<NeededText>,
    /// What to do at the provider, step by step.
    pub setup: Vec<String>,
    /// How often it repeats a webhook that failed, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<String>,
    /// How long it waits for the answer, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// What of it is not supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
    /// What is good to know.
    pub notes: Vec<String>,
    /// Commands that try it on this machine, in order.
    pub next: Vec<String>,
}

/// A secret that a route needs.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NeededSecret {
    /// Its name in the config.
    pub name: String,
    /// The environment variable.
    pub variable: String,
    /// Where to get it.
    pub about: String,
    /// Whether a handshake brings it, once `towpath secret arm` has armed the route.
    pub learned: bool,
}

/// A text that a route must give.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NeededText {
    /// The key.
    pub name: String,
    /// Where to get it.
    pub about: String,
}

/// The provider of this name.
pub fn show(name: &str) -> Result<Shown, UnknownProvider> {
    let found = Provider::find(name);
    found.map(|provider| Shown::of(&provider)).ok_or_else(|| UnknownProvider { name: name.to_owned() })
}

/// No provider has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no provider {name:?}: {}", Provider::hint(name))]
pub struct UnknownProvider {
    /// The name.
    pub name: String,
}

impl Shown {
    fn of(provider: &Provider) -> Shown {
        let mut secrets = Vec::new();
        let mut texts = Vec::new();
        for parameter in provider.parameters() {
            match parameter.secret {
                Some(name) => {
                    let variable = secrets::variable(&name);
                    let (about, learned) = (parameter.about, parameter.is_learned);
                    secrets.push(NeededSecret { name, variable, about, learned });
                }
                None => texts.push(NeededText { name: parameter.name, about: parameter.about }),
            }
        }
        Shown {
            listed: Listed::of(provider),
            doc: provider.doc.clone(),
            url: provider.url(),
            route: provider.example(),
            secrets,
            parameters: texts,
            setup: provider.setup.clone(),
            retries: provider.retries.clone(),
            timeout: provider.timeout.clone(),
            unsupported: provider.unsupported.clone(),
            notes: provider.notes.clone(),
            next: next(provider),
        }
    }

    /// What else is worth knowing, in sentences.
    pub fn facts(&self) -> Vec<String> {
        let Listed { proof, handshake, split, confidence, .. } = &self.listed;
        let proof = format!("Proof: {proof}; confidence in this description: {}", confidence.as_str());
        let facts = [
            Some(proof),
            handshake.then(|| "Its handshake is answered by the route.".to_owned()),
            split.then(|| "Each event of a request becomes a message of its own.".to_owned()),
            self.retries.as_ref().map(|retries| format!("It repeats a webhook that failed: {retries}.")),
            self.timeout.as_ref().map(|timeout| format!("It waits for the answer: {timeout}.")),
            self.unsupported.as_ref().map(|what| format!("Not supported: {what}")),
        ];
        facts.into_iter().flatten().chain(self.notes.iter().cloned()).collect()
    }
}

/// The commands from nothing to a route that is tried. `init` writes the plugin and the target beside the route. A route that
/// learns its secret is tried unarmed: only the sender's handshake is to use that up.
fn next(provider: &Provider) -> Vec<String> {
    let name = provider.name;
    let given = provider.parameters().into_iter().filter(|parameter| !parameter.is_learned);
    let exports =
        given.filter_map(|parameter| parameter.secret).map(|secret| format!("export {}=…", secrets::variable(&secret)));
    let begin = [
        format!("towpath init --route {name}"),
        format!("towpath plugin new {name}"),
        format!("towpath plugin build {name}"),
    ]
    .into_iter();
    let dev = std::iter::once("towpath dev".to_owned());
    begin.chain(exports).chain(dev).chain([format!("towpath provider test {name}")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_found_by_its_name_and_searched_by_its_title() {
        assert!(list(None).len() > list(Some("GITHUB")).len() && !list(Some("GITHUB")).is_empty());
        let shown = show("github").expect("known");
        assert!(shown.route.contains("provider = \"github\"") && !shown.secrets.is_empty(), "{shown:?}");
        let why = show("githup").expect_err("unknown").to_string();
        assert!(why.contains("\"githup\"") && why.contains("did you mean \"github\""), "{why}");
    }
}
