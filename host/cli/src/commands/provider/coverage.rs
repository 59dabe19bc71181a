//! `provider coverage`: how much of each sender is supported. All of it follows from the providers' files.

use serde::Serialize;
use towpath_config::provider::Provider;

use crate::output::Output;

/// Whether something is done that a sender asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Done {
    Yes,
    No,
    /// The sender does not ask for it.
    None,
    /// A secret in the URL stands for it.
    Url,
}

impl Done {
    fn as_str(self) -> &'static str {
        match self {
            Done::Yes => "yes",
            Done::No => "no",
            Done::None => "-",
            Done::Url => "url",
        }
    }
}

/// The keys of its events that are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
struct Keys {
    order: bool,
    dedup: bool,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    connects: Done,
    answers: Done,
    proves: Done,
    keys: Keys,
    fully: bool,
    /// What is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    lacks: Option<String>,
}

impl Row {
    fn of(provider: &Provider) -> Row {
        // Every provider's file is a whole route, and answers what its sender asks.
        let connects = Done::Yes;
        let answers = if provider.has_handshake() { Done::Yes } else { Done::None };
        let proves = match &provider.unsupported {
            None if provider.proves_by_url() => Done::Url,
            None => Done::Yes,
            Some(_) => Done::No,
        };
        let keys = Keys { order: provider.has_order(), dedup: provider.has_dedup() };
        let fully = ![connects, answers, proves].contains(&Done::No);
        let lacks = provider.unsupported.clone();
        Row { name: provider.name, connects, answers, proves, keys, fully, lacks }
    }

    fn cells(&self) -> Vec<String> {
        let keys = match self.keys {
            Keys { order: true, dedup: true } => "order, id",
            Keys { order: true, dedup: false } => "order",
            Keys { order: false, dedup: true } => "id",
            Keys { order: false, dedup: false } => "no",
        };
        let done = [self.connects, self.answers, self.proves].map(Done::as_str);
        [&[self.name], &done[..], &[keys, if self.fully { "yes" } else { "no" }]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }
}

/// Counts of senders.
#[derive(Serialize)]
struct Coverage {
    total: usize,
    fully: usize,
    fully_percent: f64,
    connect: usize,
    /// Of those that have a handshake.
    answered: usize,
    handshakes: usize,
    /// A secret in the URL counts where the sender has no proof.
    proven: usize,
    with_order: usize,
    with_dedup: usize,
    providers: Vec<Row>,
}

impl Coverage {
    fn of(providers: Vec<Row>) -> Coverage {
        let count = |is: &dyn Fn(&Row) -> bool| providers.iter().filter(|row| is(row)).count();
        let (total, fully) = (providers.len(), count(&|row| row.fully));
        Coverage {
            total,
            fully,
            fully_percent: percent(fully, total),
            connect: count(&|row| row.connects == Done::Yes),
            answered: count(&|row| row.answers == Done::Yes),
            handshakes: count(&|row| row.answers != Done::None),
            proven: count(&|row| row.proves != Done::No),
            with_order: count(&|row| row.keys.order),
            with_dedup: count(&|row| row.keys.dedup),
            providers,
        }
    }
}

/// With one decimal, rounded down: 94.96 % is not 95 %.
fn percent(part: usize, of: usize) -> f64 {
    (part * 1000).checked_div(of).unwrap_or_default() as f64 / 10.0
}

pub(super) fn run(output: &Output) {
    let coverage = Coverage::of(Provider::all().map(|provider| Row::of(&provider)).collect());
    if output.is_json() {
        output.json(&coverage);
        return;
    }
    let rows: Vec<Vec<String>> = coverage.providers.iter().map(Row::cells).collect();
    output.table(&["NAME", "CONNECTS", "ANSWERS", "PROVES", "KEYS", "FULLY"], &rows);
    let Coverage { total, fully, fully_percent, connect, answered, handshakes, proven, with_order, with_dedup, .. } =
        coverage;
    output.line("");
    output.line(format!("fully connected: {fully} of {total} ({fully_percent:.1} %)"));
    output.line(format!("connects: {connect}; answers: {answered} of {handshakes} with a handshake; proves: {proven}"));
    output.line(format!("keys: {with_order} with an order key, {with_dedup} with an id of the event"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> Row {
        Row::of(&Provider::find(name).expect(name))
    }

    #[test]
    fn a_row_says_what_the_file_says() {
        let github = row("github");
        assert_eq!([github.connects, github.answers, github.proves], [Done::Yes; 3]);
        assert_eq!((github.keys, github.fully), (Keys { order: true, dedup: true }, true));
        let grain = row("grain");
        assert_eq!((grain.proves, grain.fully), (Done::Url, true));
        // What Towpath cannot verify is not fully connected, although a route can be set up.
        let paddle = row("paddle-classic");
        assert_eq!((paddle.proves, paddle.fully), (Done::No, false));
        assert!(paddle.lacks.is_some());
        // Their secrets come in a handshake.
        for name in ["asana", "clio", "gusto"] {
            let row = row(name);
            assert_eq!(([row.connects, row.answers, row.proves], row.fully), ([Done::Yes; 3], true), "{name}");
        }
    }

    #[test]
    fn every_provider_is_counted_once() {
        let coverage = Coverage::of(Provider::all().map(|provider| Row::of(&provider)).collect());
        assert_eq!((coverage.total, coverage.providers.len()), (Provider::names().count(), coverage.total));
        let lacking = Provider::all().filter(|provider| provider.unsupported.is_some());
        assert_eq!(coverage.total - coverage.fully, lacking.count());
        assert_eq!(percent(949, 1000), 94.9);
        assert_eq!((percent(0, 0), percent(9499, 10_000)), (0.0, 94.9));
    }
}
