//! `provider`: which senders are known, and how a route for one is set up.

mod coverage;
mod test;

use anyhow::bail;
use serde::Serialize;
use towpath_config::provider::{Confidence, Provider};
use towpath_config::secrets;

use crate::args;
use crate::output::{Exit, Output};

pub(super) async fn run(command: args::Provider, output: &Output) -> anyhow::Result<Exit> {
    match command {
        args::Provider::Test(test) => return test::run(test, output).await,
        args::Provider::Coverage => coverage::run(output),
        args::Provider::List { search } => list(search.as_deref(), output),
        args::Provider::Show { name } => match Provider::find(&name) {
            Some(provider) => show(&Shown::of(&provider), output),
            None => bail!("there is no provider {name:?}: {}", Provider::hint(&name)),
        },
    }
    Ok(Exit::Done)
}

/// A line of the list.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    title: String,
    proof: String,
    handshake: bool,
    split: bool,
    confidence: Confidence,
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

    fn cells(&self) -> Vec<String> {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let Listed { name, title, proof, handshake, split, confidence } = self;
        let confidence = confidence.as_str().to_owned();
        vec![(*name).to_owned(), title.clone(), proof.clone(), yes(*handshake), yes(*split), confidence]
    }
}

fn list(search: Option<&str>, output: &Output) {
    let mut listed: Vec<Listed> = Provider::all().map(|provider| Listed::of(&provider)).collect();
    listed.retain(|provider| search.is_none_or(|text| provider.matches(text)));
    if output.is_json() {
        output.json(&listed);
    } else if listed.is_empty() {
        output.line("no provider has this text in its name or title");
    } else {
        let rows: Vec<Vec<String>> = listed.iter().map(Listed::cells).collect();
        output.table(&["NAME", "TITLE", "PROOF", "HANDSHAKE", "SPLIT", "CONFIDENCE"], &rows);
    }
}

/// Everything about one provider.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    listed: Listed,
    doc: String,
    /// What to register at the provider, with the host left open.
    url: String,
    /// A route to paste.
    route: String,
    secrets: Vec<NeededSecret>,
    /// Texts that the route must give.
    parameters: Vec<NeededText>,
    setup: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unsupported: Option<String>,
    notes: Vec<String>,
    /// Commands that try it on this machine, in order.
    next: Vec<String>,
}

#[derive(Serialize)]
struct NeededSecret {
    name: String,
    variable: String,
    about: String,
    /// Whether a handshake brings it, once `towpath secret arm` has armed the route.
    learned: bool,
}

#[derive(Serialize)]
struct NeededText {
    name: String,
    about: String,
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

fn show(shown: &Shown, output: &Output) {
    if output.is_json() {
        output.json(shown);
        return;
    }
    let Listed { name, title, proof, handshake, split, confidence, .. } = &shown.listed;
    output.line(format!("{title} ({name})"));
    output.line(&shown.doc);
    output.headline("The route:");
    output.line("");
    output.body("", &shown.route);
    if !shown.parameters.is_empty() {
        output.headline("Put in:");
        shown.parameters.iter().for_each(|text| output.line(format!("  {}: {}", text.name, text.about)));
    }
    let (learned, given): (Vec<_>, Vec<_>) = shown.secrets.iter().partition(|secret| secret.learned);
    if !given.is_empty() {
        output.headline("Set in the environment:");
        given.iter().for_each(|secret| output.line(format!("  {}: {}", secret.variable, secret.about)));
    }
    if !learned.is_empty() {
        output.headline("Learned by the route, once `towpath secret arm` has armed it:");
        learned.iter().for_each(|secret| output.line(format!("  {}: {}", secret.name, secret.about)));
    }
    output.headline(format!("At the provider, for the URL {}:", shown.url));
    shown.setup.iter().enumerate().for_each(|(n, step)| output.line(format!("  {}. {step}", n + 1)));
    output.headline("To try it here (put the route in place of the one that init writes, and test while dev runs):");
    shown.next.iter().for_each(|command| output.line(format!("  {command}")));
    output.headline("Good to know:");
    let proof = format!("Proof: {proof}; confidence in this description: {}", confidence.as_str());
    let facts = [
        Some(proof),
        handshake.then(|| "Its handshake is answered by the route.".to_owned()),
        split.then(|| "Each event of a request becomes a message of its own.".to_owned()),
        shown.retries.as_ref().map(|retries| format!("It repeats a webhook that failed: {retries}.")),
        shown.timeout.as_ref().map(|timeout| format!("It waits for the answer: {timeout}.")),
        shown.unsupported.as_ref().map(|what| format!("Not supported: {what}")),
    ];
    facts.iter().flatten().chain(&shown.notes).for_each(|fact| output.line(format!("  - {fact}")));
}
