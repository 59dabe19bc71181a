//! Formats the results: tables in Markdown, and bars in HTML.

use std::fmt::Write as _;
use std::process::Stdio;

use tokio::process::Command;

use super::figure::{Figure, Row};
use super::scenario::Scenario;
use super::{Pauses, Report, Settings, beside, live};
use crate::scale;

/// Processor, cores, kernel.
pub(crate) fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{} with {cores} cores, Linux {}", model.trim(), kernel.trim())
}

/// The output of `--version`.
pub(crate) async fn versions(settings: &Settings) -> Vec<String> {
    let mut versions = Vec::new();
    for program in [settings.binary.as_path(), "python3".as_ref()] {
        let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().await;
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        versions.extend(text.ok().filter(|text| !text.is_empty()));
    }
    versions
}

impl Row {
    fn title(self) -> &'static str {
        match self {
            Row::Serve => "`serve`, local queue",
            Row::Poll => "`poll`, SQS endpoint",
            Row::Function => "Lambda host",
            Row::Python => "Python forwarder",
            Row::Bare => "bare reqwest loop",
            Row::Limit => "limit: loop with plugin call",
            Row::CoreLimit => "limit on one core, ten at a time",
            Row::Ingest => "ingest only",
            Row::Beside => "`serve`, two targets",
            Row::Live => "`serve`, in use",
        }
    }

    /// The row that is its limit.
    fn limit(self) -> Option<Row> {
        match self {
            Row::Ingest | Row::Beside | Row::Live => None,
            Row::CoreLimit | Row::Function | Row::Python => Some(Row::CoreLimit),
            Row::Bare | Row::Limit | Row::Serve | Row::Poll => Some(Row::Limit),
        }
    }
}

impl Report {
    fn figure(&self, row: Row, scenario: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.row == row && figure.scenario == scenario)
    }

    fn scenarios(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for figure in &self.figures {
            if !names.contains(&figure.scenario) {
                names.push(figure.scenario);
            }
        }
        names
    }

    /// Each goal with the measured value, and whether it is met.
    pub fn goals(&self) -> Vec<(String, String, bool)> {
        let base = self.scenarios().first().copied().unwrap_or_default();
        let mut goals = Vec::new();
        let mut goal = |name: &str, measured: Option<f64>, limit: f64, least: bool| {
            if let Some(measured) = measured.filter(|measured| measured.is_finite()) {
                let reached = if least { measured >= limit } else { measured <= limit };
                goals.push((name.to_owned(), format!("{measured:.2}"), reached));
            }
        };
        let of = |row, scenario| self.figure(row, scenario);
        let ratio = |one: Option<f64>, other: Option<f64>| one.zip(other).map(|(one, other)| one / other);
        let cpu = |row, scenario| of(row, scenario).map(|figure| figure.cpu_us);
        let rate = |row, scenario| of(row, scenario).map(|figure| figure.per_second);
        let slow = "target takes 20 ms";
        let (long, longest) = ("7 KB bodies", "200 KB bodies");
        let name = format!("Lambda host vs Python, messages per second, {slow}: ≥ 8 ×");
        goal(&name, ratio(rate(Row::Function, slow), rate(Row::Python, slow)), 8.0, true);
        for (row, what) in [(Row::Serve, "serve"), (Row::Poll, "poll"), (Row::Function, "Lambda host")] {
            let limit = row.limit().and_then(|limit| rate(limit, slow));
            goal(&format!("{what}, share of the limit, {slow}: ≥ 0.70"), ratio(rate(row, slow), limit), 0.7, true);
        }
        for (row, what, scenario, share) in [
            (Row::Serve, "serve", base, 0.5),
            (Row::Serve, "serve", long, 0.5),
            (Row::Serve, "serve", longest, 0.5),
            (Row::Poll, "poll", base, 0.4),
        ] {
            let name = format!("{what}, share of the limit, {scenario}: ≥ {share:.2}");
            goal(&name, ratio(rate(row, scenario), rate(Row::Limit, scenario)), share, true);
        }
        for (row, what, scenario, most) in [
            (Row::Serve, "serve", base, 50.0),
            (Row::Serve, "serve", "1 group", 100.0),
            (Row::Serve, "serve", longest, 250.0),
            (Row::Ingest, "ingest alone", long, 60.0),
            (Row::Ingest, "ingest alone", longest, 400.0),
            (Row::Live, "in use", live::SCENARIOS[0].0, 120.0),
            (Row::Live, "in use", live::SCENARIOS[1].0, 120.0),
            (Row::Live, "in use", live::SCENARIOS[2].0, 400.0),
        ] {
            goal(&format!("{what}, CPU µs per message, {scenario}: ≤ {most:.0}"), cpu(row, scenario), most, false);
        }
        for (scenario, ..) in live::SCENARIOS.iter().take(2) {
            let name = format!("in use, events per second, {scenario}: ≥ 12,000");
            goal(&name, rate(Row::Live, scenario), 12_000.0, true);
        }
        let idle = of(Row::Live, live::SCENARIOS[3].0).and_then(|figure| figure.core_percent);
        goal("in use, % of a core, nothing happens: ≤ 0.1", idle, 0.1, false);
        for (row, what) in [(Row::Serve, "serve"), (Row::Poll, "poll")] {
            let name = format!("{what} at half load, p99 / p50, each less the control's: ≤ 3");
            goal(&name, of(row, base).and_then(Figure::excess), 3.0, false);
            goal(
                &format!("{what}, CPU per message, 10,000 groups vs 1: ≤ 1.5"),
                ratio(cpu(row, "10,000 groups"), cpu(row, "1 group")),
                1.5,
                false,
            );
        }
        let most = |scenario: Scenario| of(Row::Beside, scenario.name)?.latency_ms.map(|(_, most)| most);
        let [alone, others @ ..] = beside::scenarios();
        for other in others {
            goal(&format!("{}, p99 vs p99 alone: ≤ 2", other.name), ratio(most(other), most(alone)), 2.0, false);
        }
        let peak = |scenario| of(Row::Serve, scenario).map(|figure| figure.peak_mb);
        goal(
            "serve, peak memory, 1,000,000 queued vs 1,000: ≤ 1.25",
            ratio(peak("1,000,000 queued"), peak("1,000 queued")),
            1.25,
            false,
        );
        goals
    }
}

/// The text of `BENCHMARKS.md`: ratios within the run, and the machine and versions.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# Benchmarks\n\n`make bench` runs all of these and writes this file. Do not compare figures of different machines; compare\nratios within one run.\n\n",
    );
    let _ = writeln!(
        text,
        "{}. {}. Everything runs on one machine over loopback: hosts, target and senders share its cores.\n",
        report.machine,
        report.versions.join(", ")
    );
    let Pauses { per_second, percent, most_ms } = report.pauses;
    let _ = writeln!(
        text,
        "The machine itself pauses: an otherwise idle core stalls {per_second:.1} times a second for a millisecond or more, {percent:.2} % of\nthe time, {most_ms:.0} ms at most. All latencies include this.\n"
    );
    let _ = writeln!(
        text,
        "The disk fsyncs {:.0} times a second, one after another, each a page of a file that grows. A webhook is acknowledged after an fsync; webhooks\nthat arrive at the same time share one.\n",
        report.fsyncs_per_second
    );
    text += METHOD;
    text += "\n## Goals\n\n| goal | measured | |\n|---|---|---|\n";
    for (goal, measured, reached) in report.goals() {
        let _ = writeln!(text, "| {goal} | {measured} | {} |", if reached { "met" } else { "**missed**" });
    }
    let base = report.scenarios().first().copied().unwrap_or_default();
    text += &in_use(report);
    for scenario in report.scenarios().into_iter().filter(|name| report.figure(Row::Live, name).is_none()) {
        let _ = writeln!(text, "\n## {scenario}\n");
        text += "| | messages/s | share of limit | CPU µs per message | Python's CPU ÷ this | peak MB | lost, duplicated, out of order |\n|---|---|---|---|---|---|---|\n";
        for figure in report.figures.iter().filter(|figure| figure.scenario == scenario) {
            let limit = figure.row.limit().and_then(|limit| report.figure(limit, scenario));
            let python = report.figure(Row::Python, scenario).filter(|_| figure.row != Row::Ingest);
            let share = limit.map_or_else(
                || "–".to_owned(),
                |limit| format!("{:.0} %", figure.per_second / limit.per_second * 100.0),
            );
            let times =
                python.map_or_else(|| "–".to_owned(), |python| format!("{:.1} ×", python.cpu_us / figure.cpu_us));
            let Figure { row, per_second, cpu_us, peak_mb, lost, duplicated, disordered, .. } = figure;
            let _ = writeln!(
                text,
                "| {} | {per_second:.0} | {share} | {cpu_us:.0} | {times} | {peak_mb:.0} | {lost}, {duplicated}, {disordered} |",
                row.title()
            );
        }
        let timed = |figure: &&Figure| figure.scenario == scenario && (scenario == base || figure.row == Row::Beside);
        if report.figures.iter().any(|figure| timed(&figure)) {
            text += "\n";
            for figure in report.figures.iter().filter(timed) {
                if let Some((half, most)) = figure.latency_ms {
                    let what = match figure.row {
                        Row::Ingest => "time to answer,",
                        Row::Beside => "from POST to delivery, at 300 events a second,",
                        _ => "from POST to delivery, at half load,",
                    };
                    let control = figure.control_ms.map_or_else(String::new, |(half, most)| {
                        format!("; control: p50 {half:.1} ms, p99 {most:.1} ms")
                    });
                    let _ =
                        writeln!(text, "- {}: {what} p50 {half:.1} ms, p99 {most:.1} ms{control}", figure.row.title());
                }
            }
        }
    }
    text + &scale::markdown()
}

/// The rows of a host in use.
fn in_use(report: &Report) -> String {
    let quiet = |figure: &&Figure| figure.row == Row::Limit && figure.scenario == live::quiet().name;
    let figures: Vec<&Figure> =
        report.figures.iter().filter(|figure| figure.row == Row::Live || quiet(figure)).collect();
    if figures.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n## In use: `serve` receives and delivers at the same time\n\n| | events/s | CPU µs per event | % of a core | p50 ms | p99 ms | peak MB | lost, duplicated, out of order |\n|---|---|---|---|---|---|---|---|\n",
    );
    for figure in figures {
        let Figure { scenario, messages, per_second, cpu_us, peak_mb, lost, duplicated, disordered, .. } = figure;
        let core = figure.core_percent.unwrap_or(cpu_us * per_second / 1e4);
        let scenario = if figure.row == Row::Limit { "the limit at the same rate" } else { scenario };
        let latency =
            figure.latency_ms.map_or_else(|| "– | –".to_owned(), |(half, most)| format!("{half:.1} | {most:.1}"));
        let _ = match messages {
            0 => writeln!(text, "| {scenario} | – | – | {core:.2} | – | – | {peak_mb:.0} | – |"),
            _ => writeln!(
                text,
                "| {scenario} | {per_second:.0} | {cpu_us:.0} | {core:.1} | {latency} | {peak_mb:.0} | {lost}, {duplicated}, {disordered} |"
            ),
        };
    }
    text
}

const METHOD: &str = "\
- Every row sends the same events through the same mapping, a component that forwards the body, to the same target. The target checks each
  event's number, and counts events that are lost, duplicated or out of order.
- `serve` and `poll` find their messages already stored and drain them, 16 groups at a time. The time runs from the first message to the
  last. CPU time and memory are those of the process that delivers; `poll`'s are without its queue.
- The Lambda host gets ten messages per invocation, one invocation at a time. So does the Python forwarder, the handler that teams write: one
  `urllib` POST per record (`tests/baseline`). Failed messages are redelivered at once: for the host only the failed event, for Python, which
  knows no partial batch response, all ten.
- The bare loop makes the same requests with reqwest, 16 at a time, without queue or plugin. The limit is that loop with the plugin's call
  before each request: nothing that does this work can be faster. The limit of the Lambda host and of Python is the same loop on one core,
  which is what a function of up to 1,769 MB has, with ten requests at a time, because an invocation has at most ten messages of a FIFO queue.
- Half load runs for 5 s, at half the rate that the row reached while it received and delivered at the same time. Latency is from POST to
  delivery. The control is the same number of senders that post the same events to the target itself, at the same rate in the same run: what it
  takes is the machine's, the senders' and the target's time.
- Two targets: 300 events a second go to a fast target for 10 s. The host has nothing else to do; or 100 groups wait for another target that takes
  4 s; or another target is on hold with 1,000,000 events; or 300 events a second of another target are replayed from the archive.
- In use: 100 groups, 200 bytes; events are posted while others are delivered. CPU time is that of the one process that does both. The limit at
  the same rate neither receives nor stores: it shows what a request and the plugin's call cost a process that sleeps in between.
- The base scenario, and a host in use, are measured in three rounds, with all rows in turn, because the machine is slower for minutes at times. A row's figures
  are those of its median round, its latencies those with the median p99. Lost and out-of-order events are the worst of all rounds.

What separates a row from the limit is a queue that survives a crash (each message is stored, leased and deleted), ordering, retries,
metrics, and the history of each message. Where the limit itself is below 8 × Python, most of the work is the request, and no host can reach
that ratio. Python loses the time that a target takes, because it waits for one event after another.
";

/// The same results as bars.
pub fn html(report: &Report) -> String {
    let mut text = String::from(
        "<!doctype html><meta charset=\"utf-8\"><title>Towpath benchmarks</title><style>body{font:15px sans-serif;max-width:60em;margin:2em auto}text{font:13px sans-serif}</style><h1>Towpath benchmarks</h1>",
    );
    let _ = write!(text, "<p>{}. {}.</p>", report.machine, report.versions.join(", "));
    for scenario in report.scenarios() {
        let figures: Vec<&Figure> = report.figures.iter().filter(|figure| figure.scenario == scenario).collect();
        let _ = write!(text, "<h2>{scenario}</h2>");
        text += &bars("messages per second", &figures, |figure| figure.per_second);
        text += &bars("CPU time per message, µs", &figures, |figure| figure.cpu_us);
        text += &bars("peak memory, MB", &figures, |figure| figure.peak_mb);
    }
    text
}

fn bars(title: &str, figures: &[&Figure], value: impl Fn(&Figure) -> f64) -> String {
    let most = figures.iter().map(|figure| value(figure)).fold(f64::MIN_POSITIVE, f64::max);
    let mut text = format!("<h3>{title}</h3><svg width=\"800\" height=\"{}\">", figures.len() * 24);
    for (index, figure) in figures.iter().enumerate() {
        let y = index * 24;
        let width = value(figure) / most * 440.0;
        let name = figure.row.title().replace('`', "");
        let _ = write!(
            text,
            "<text x=\"0\" y=\"{}\">{name}</text><rect x=\"220\" y=\"{}\" width=\"{width:.1}\" height=\"16\" fill=\"#47a\"/><text x=\"{:.1}\" y=\"{}\">{:.0}</text>",
            y + 15,
            y + 3,
            226.0 + width,
            y + 15,
            value(figure)
        );
    }
    text + "</svg>"
}
