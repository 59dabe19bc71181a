//! `provider`: which senders are known, and how a route for one is set up.

mod coverage;
mod test;

use towpath_operate::providers::{self, Listed, Shown};

use crate::args;
use crate::output::{Exit, Output};

pub(super) async fn run(command: args::Provider, output: &Output) -> anyhow::Result<Exit> {
    match command {
        args::Provider::Test(test) => return test::run(test, output).await,
        args::Provider::Coverage => coverage::run(output),
        args::Provider::List { search } => list(search.as_deref(), output),
        args::Provider::Show { name } => show(&providers::show(&name)?, output),
    }
    Ok(Exit::Done)
}

fn cells(listed: &Listed) -> Vec<String> {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let Listed { name, title, proof, handshake, split, confidence } = listed;
    let confidence = confidence.as_str().to_owned();
    vec![(*name).to_owned(), title.clone(), proof.clone(), yes(*handshake), yes(*split), confidence]
}

fn list(search: Option<&str>, output: &Output) {
    let listed = providers::list(search);
    if output.is_json() {
        output.json(&listed);
    } else if listed.is_empty() {
        output.line("no provider has this text in its name or title");
    } else {
        let rows: Vec<Vec<String>> = listed.iter().map(cells).collect();
        output.table(&["NAME", "TITLE", "PROOF", "HANDSHAKE", "SPLIT", "CONFIDENCE"], &rows);
    }
}

fn show(shown: &Shown, output: &Output) {
    if output.is_json() {
        output.json(shown);
        return;
    }
    let Listed { name, title, .. } = &shown.listed;
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
    shown.facts().iter().for_each(|fact| output.line(format!("  - {fact}")));
}
