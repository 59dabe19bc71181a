//! Benchmarks: the real binaries on loopback, with every event verified at the target, compared with the forwarder that teams
//! write by hand, a bare loop, and the limit.

mod beside;
mod disk;
mod figure;
mod invocations;
mod lab;
mod live;
mod meter;
mod pauses;
mod report;
mod rows;
mod scenario;
mod settings;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use reqwest::Client;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

pub use figure::{Figure, Row};
use lab::Lab;
pub use pauses::Pauses;
pub use report::{html, markdown};
use scenario::Scenario;
pub use settings::Settings;

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The machine: processor, cores, kernel.
    pub machine: String,
    /// The pauses of the machine itself.
    pub pauses: Pauses,
    /// How many fsyncs a second the disk of the stores does, one after another.
    pub fsyncs_per_second: f64,
    /// The versions of `towpath` and Python.
    pub versions: Vec<String>,
    /// All figures.
    pub figures: Vec<Figure>,
}

/// The rounds of the base scenario, with all rows in turn: a machine with shared cores is slower for minutes at times.
const ROUNDS: usize = 3;

/// Runs all benchmarks. `say` gets the number of finished runs, the number of all, and the name of the next.
pub async fn run(settings: &Settings, say: impl Fn(usize, usize, &str)) -> anyhow::Result<Report> {
    // HTTP clients need a crypto provider, even without TLS. Installing it twice is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let lab = Lab::new(settings.clone()).await?;
    // First, while nothing else runs.
    let pauses = tokio::task::spawn_blocking(pauses::measure).await.context("measuring the machine")?;
    let folder = settings.folder.clone();
    let fsyncs = tokio::task::spawn_blocking(move || disk::fsyncs_per_second(&folder));
    let fsyncs_per_second = fsyncs.await.context("measuring the disk")??;
    let runs = runs(settings);
    let mut rounds: Vec<Vec<Figure>> = Vec::new();
    for (done, (row, scenario)) in runs.iter().enumerate() {
        say(done, runs.len(), &format!("{row:?}: {}", scenario.name));
        let mut figure = row.run(&lab, *scenario).await?;
        if *scenario == Scenario::base() && matches!(row, Row::Serve | Row::Poll) {
            // Find the highest rate at which this machine receives and delivers at the same time, then measure at half of it.
            let most = row.through(&lab, *scenario, None).await?.per_second;
            let half = Scenario { messages: (most / 2.0 * 5.0) as u32, ..*scenario };
            figure.latency_ms = Some(row.through(&lab, half, Some(most / 2.0)).await?.latency_ms);
            figure.control_ms = Some(rows::control(half, most / 2.0).await?);
        }
        match rounds.iter_mut().find(|round| round.first().is_some_and(|first| first.is_of(&figure))) {
            Some(round) => round.push(figure),
            None => rounds.push(vec![figure]),
        }
    }
    say(runs.len(), runs.len(), "done");
    let figures = rounds.into_iter().filter_map(Figure::of_rounds).collect();
    let versions = report::versions(settings).await;
    Ok(Report { machine: report::machine(), pauses, fsyncs_per_second, versions, figures })
}

fn runs(settings: &Settings) -> Vec<(Row, Scenario)> {
    let mut rows =
        vec![Row::Ingest, Row::Bare, Row::Limit, Row::CoreLimit, Row::Serve, Row::Poll, Row::Beside, Row::Live];
    rows.extend(settings.bootstrap.as_ref().map(|_| Row::Function));
    rows.extend(settings.python.as_ref().map(|_| Row::Python));
    rows.retain(|row| settings.rows.is_empty() || settings.rows.contains(row));
    let mut runs = Vec::new();
    let rounds = |scenario: Scenario| if scenario == Scenario::base() { ROUNDS } else { 1 };
    for scenario in Scenario::all().into_iter().flat_map(|scenario| vec![scenario; rounds(scenario)]) {
        for row in &rows {
            let fits = match row {
                Row::Ingest => scenario.latency.is_zero() && scenario.failing_percent == 0,
                Row::Beside | Row::Live => false,
                row => !row.is_loop() || scenario.failing_percent == 0,
            };
            runs.extend(fits.then_some((*row, scenario)));
        }
    }
    if rows.contains(&Row::Beside) {
        let scenarios = beside::scenarios();
        runs.extend(
            scenarios.into_iter().cycle().take(scenarios.len() * ROUNDS).map(|scenario| (Row::Beside, scenario)),
        );
    }
    if rows.contains(&Row::Live) {
        let scenarios = live::scenarios().into_iter().flat_map(|scenario| [scenario; ROUNDS]);
        runs.extend(scenarios.map(|scenario| (Row::Live, scenario)));
        runs.extend([(Row::Limit, live::quiet()); ROUNDS]);
    }
    if settings.quick {
        runs.retain(|(_, scenario)| *scenario == Scenario::base());
        return runs;
    }
    if rows.contains(&Row::Serve) {
        runs.extend(Scenario::backlogs().map(|scenario| (Row::Serve, scenario)));
    }
    runs
}

/// The work of a loop of requests.
#[derive(Clone, Copy, Debug)]
pub struct Loop {
    /// The number of requests.
    pub messages: u32,
    /// The number of groups.
    pub groups: u32,
    /// The size of a body.
    pub bytes: u32,
    /// The number of concurrent requests.
    pub lanes: u32,
    /// Requests per second; 0 for as many as possible.
    pub per_second: u32,
}

/// A loop of requests, each group in order. `before` gets each body before its request. Rows without a queue run this in a process
/// of their own.
pub async fn requests(
    target: &str,
    Loop { messages, groups, bytes, lanes, per_second }: Loop,
    before: impl Fn(&str) -> anyhow::Result<()> + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let scenario = Scenario { messages, groups, bytes, ..Scenario::base() };
    let client = Client::builder().tcp_nodelay(true).build()?;
    let before = Arc::new(before);
    let next = Arc::new(AtomicU32::new(0));
    let began = Instant::now();
    // The next event of each group. A lane learns which it sends once the group is its own: lanes take the locks in any order.
    let turns: Arc<Vec<Mutex<u32>>> = Arc::new((0..groups).map(Mutex::new).collect());
    let mut running = JoinSet::new();
    for _ in 0..lanes.min(groups) {
        let client = client.clone();
        let before = Arc::clone(&before);
        let url = format!("{target}/t");
        let next = Arc::clone(&next);
        let turns = Arc::clone(&turns);
        running.spawn(async move {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let turn = turns.get((place % groups) as usize).filter(|_| place < messages);
                let Some(turn) = turn else { return anyhow::Ok(()) };
                let mut turn = turn.lock().await;
                let event = *turn;
                *turn += groups;
                if per_second > 0 {
                    let after = Duration::from_secs_f64(f64::from(event) / f64::from(per_second));
                    tokio::time::sleep_until((began + after).into()).await;
                }
                let body = scenario.body(event, 0);
                before(&body)?;
                let answer = client.post(&url).timeout(Duration::from_secs(10)).body(body).send().await?;
                answer.error_for_status()?.bytes().await?;
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}
