//! What was measured, for people: tables in Markdown, and bars in HTML.

use std::fmt::Write as _;
use std::process::Stdio;

use tokio::process::Command;

use super::figure::{Figure, Row};
use super::scenario::Scenario;
use super::{Pauses, Report, Settings};
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

/// What the programs say that they are.
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
            Row::Limit => "limit: loop and plugin call",
            Row::CoreLimit => "limit of one core, ten at a time",
            Row::Ingest => "ingest alone",
            Row::Beside => "`serve`, two targets",
        }
    }

    /// What is its limit.
    fn limit(self) -> Option<Row> {
        match self {
            Row::Ingest | Row::Beside => None,
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

    /// Each goal with what was measured, and whether it is reached.
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
        for scenario in [base, "target takes 20 ms"] {
            let name = format!("Lambda host beside Python, messages a second, {scenario}: ≥ 8 ×");
            goal(&name, ratio(rate(Row::Function, scenario), rate(Row::Python, scenario)), 8.0, true);
        }
        let name = "Lambda host beside Python, messages a second per core (CPU time): ≥ 8 ×";
        goal(name, ratio(cpu(Row::Python, base), cpu(Row::Function, base)), 8.0, true);
        for scenario in [base, "target takes 20 ms"] {
            for (row, what) in [(Row::Serve, "serve"), (Row::Poll, "poll"), (Row::Function, "Lambda host")] {
                let name = format!("{what}, of the limit, {scenario}: ≥ 0.70");
                let limit = row.limit().and_then(|limit| rate(limit, scenario));
                goal(&name, ratio(rate(row, scenario), limit), 0.7, true);
            }
        }
        for (row, what) in [(Row::Serve, "serve"), (Row::Poll, "poll")] {
            let latency = of(row, base).and_then(|figure| figure.latency_ms);
            goal(&format!("{what} at half load, p99 / p50: ≤ 3"), latency.map(|(half, most)| most / half), 3.0, false);
            goal(
                &format!("{what}, 10,000 groups beside 1, CPU a message: ≤ 1.5"),
                ratio(cpu(row, "10,000 groups"), cpu(row, "1 group")),
                1.5,
                false,
            );
        }
        let most = |scenario: Scenario| of(Row::Beside, scenario.name)?.latency_ms.map(|(_, most)| most);
        let [alone, beside] = Scenario::beside();
        let name = "a quick target beside a slow one, p99 beside p99 alone: ≤ 2";
        goal(name, ratio(most(beside), most(alone)), 2.0, false);
        let peak = |scenario| of(Row::Serve, scenario).map(|figure| figure.peak_mb);
        goal(
            "serve, memory with 1,000,000 queued beside 1,000: ≤ 1.25",
            ratio(peak("1,000,000 wait"), peak("1,000 wait")),
            1.25,
            false,
        );
        goals
    }
}

/// `BENCHMARKS.md`: ratios within the run, machine and versions named.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# Benchmarks\n\n`make bench` measures all of this anew and writes this file. Figures of different machines do not\ncompare; ratios within one run do.\n\n",
    );
    let _ = writeln!(
        text,
        "{}. {}. Everything runs on one machine over loopback: hosts, target and what sends share its cores.\n",
        report.machine,
        report.versions.join(", ")
    );
    let Pauses { per_second, percent, most_ms } = report.pauses;
    let _ = writeln!(
        text,
        "The machine stops by itself: a core that is idle otherwise pauses {per_second:.1} times a second for a millisecond or more, {percent:.2} % of\nthe time, {most_ms:.0} ms at most. That is in all latencies.\n"
    );
    text += METHOD;
    text += "\n## Goals\n\n| goal | measured | |\n|---|---|---|\n";
    for (goal, measured, reached) in report.goals() {
        let _ = writeln!(text, "| {goal} | {measured} | {} |", if reached { "reached" } else { "**missed**" });
    }
    let base = report.scenarios().first().copied().unwrap_or_default();
    for scenario in report.scenarios() {
        let _ = writeln!(text, "\n## {scenario}\n");
        text += "| | messages/s | of the limit | CPU µs a message | beside Python, CPU | peak MB | lost, twice, out of order |\n|---|---|---|---|---|---|---|\n";
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
                        Row::Ingest => "an answer",
                        Row::Beside => "from post to target, at 300 events a second,",
                        _ => "from post to target, at half of what can be taken and carried at the same time,",
                    };
                    let _ = writeln!(text, "- {}: {what} p50 {half:.1} ms, p99 {most:.1} ms", figure.row.title());
                }
            }
        }
    }
    text + &scale::markdown()
}

const METHOD: &str = "\
- Each row carries the same events by the same mapping, a component that forwards the body, to the same target; the target checks each event's
  number, and counts what is lost, comes twice or out of order.
- `serve` and `poll` find their messages stored and drain them, sixteen groups at a time; the first message to the last is what counts. CPU time
  and memory are those of the process that carries, `poll`'s without its queue.
- The Lambda host gets ten messages an invocation, one invocation at a time, as the Python forwarder does: the handler that teams write, one
  `urllib` POST a record (`tests/baseline`). What failed comes again at once: of the host's batch that event, of Python's, which knows no partial
  answer, all ten.
- The bare loop makes the same requests with reqwest, sixteen at a time, without queue or plugin. The limit is that loop with the plugin's call
  before each request: nobody who does that work can be faster. The limit of the Lambda host and of Python is the same loop on one core, as a
  function of up to 1,769 MB has it, with ten requests at a time, for an invocation has ten messages of a FIFO queue at most.
- Half load is half of what the row took and carried at the same time, from post to target, for 5 s.
- Two targets: 300 events a second go to a quick target for 10 s, by itself and while 100 groups wait for another target that takes 4 s.
- The base is measured in three rounds, all rows by turns, for the machine is slower for minutes at times: a row's figures are those of its middle
  round, its latencies those with the middle p99; what was lost or out of order in any round is told.

What stands between a row and the limit: a queue that outlives a crash (a message is stored, leased and deleted), order, retries, metrics, and the
story of each message. Where the limit itself is below 8 × Python, a request is most of the work and no host can reach that: what Python loses is
the time that a target takes, which it waits for event by event.
";

/// The same as bars.
pub fn html(report: &Report) -> String {
    let mut text = String::from(
        "<!doctype html><meta charset=\"utf-8\"><title>Towpath benchmarks</title><style>body{font:15px sans-serif;max-width:60em;margin:2em auto}text{font:13px sans-serif}</style><h1>Towpath benchmarks</h1>",
    );
    let _ = write!(text, "<p>{}. {}.</p>", report.machine, report.versions.join(", "));
    for scenario in report.scenarios() {
        let figures: Vec<&Figure> = report.figures.iter().filter(|figure| figure.scenario == scenario).collect();
        let _ = write!(text, "<h2>{scenario}</h2>");
        text += &bars("messages a second", &figures, |figure| figure.per_second);
        text += &bars("CPU time a message, µs", &figures, |figure| figure.cpu_us);
        text += &bars("peak memory, MB", &figures, |figure| figure.peak_mb);
    }
    text
}

fn bars(title: &str, figures: &[&Figure], value: impl Fn(&Figure) -> f64) -> String {
    let most = figures.iter().map(|figure| value(figure)).fold(f64::MIN_POSITIVE, f64::max);
    let mut text = format!("<h3>{title}</h3><svg width=\"800\" height=\"{}\">", figures.len() * 24);
    for (index, figure) in figures.iter().enumerate() {
        let (y, width) = (index * 24, value(figure) / most * 440.0);
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
