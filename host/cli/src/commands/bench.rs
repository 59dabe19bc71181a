//! `bench`: benchmarks the cost per message.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use towpath_compose::engine;
use towpath_compose::signals;
use towpath_config::plugin::Settings as PluginSettings;
use towpath_files::private;
use towpath_plugin::Plugin;
use towpath_proof::bench::{self, Loop, Report, Row, Settings};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::message::Message;

use crate::args::Bench;
use crate::output::{Exit, Output};

pub(super) async fn run(args: Bench, output: &Output) -> anyhow::Result<Exit> {
    if let Some(kind) = &args.child {
        return child(kind, &args).await;
    }
    for (row, option, file) in
        [(Row::Function, "--bootstrap", &args.bootstrap), (Row::Python, "--python", &args.python)]
    {
        ensure!(!args.rows.contains(&row) || file.is_some(), "{row:?} is in --rows, so {option} FILE is required");
    }
    let folder = private::passing_folder("towpath-bench-", None).context("making a folder for the run")?;
    let settings = Settings {
        binary: std::env::current_exe().context("finding this binary")?,
        bootstrap: args.bootstrap.as_deref().map(found).transpose()?,
        python: args.python.as_deref().map(found).transpose()?,
        folder: folder.path().to_owned(),
        quick: args.quick,
        rows: args.rows,
    };
    if cfg!(debug_assertions) {
        output.note("this build is not optimised: its figures are too slow to compare");
    }
    let bar = output.progress(0, "measuring");
    let say = |done: usize, all: usize, what: &str| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(what.to_owned());
    };
    let report = tokio::select! {
        result = signals::first() => { result?; return Ok(Exit::Interrupted) }
        report = bench::run(&settings, say) => report?,
    };
    bar.finish_and_clear();
    for (file, text) in [(&args.markdown, bench::markdown(&report)), (&args.html, bench::html(&report))] {
        if let Some(file) = file {
            std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
        }
    }
    Ok(tell(&report, output))
}

fn tell(report: &Report, output: &Output) -> Exit {
    if output.is_json() {
        output.json(report);
    } else {
        output.lines(&bench::markdown(report));
    }
    let wrong = report.figures.iter().filter(|figure| figure.lost + figure.disordered > 0).count();
    if wrong > 0 {
        output.note(format!("events were lost or out of order in {wrong} runs"));
        return Exit::Findings;
    }
    Exit::Done
}

fn found(file: &Path) -> anyhow::Result<PathBuf> {
    if !file.is_file() {
        bail!(
            "there is no file {}: `make lambda` builds the function, tests/baseline has the forwarder",
            file.display()
        );
    }
    std::path::absolute(file).with_context(|| format!("finding {}", file.display()))
}

/// Runs a row without a queue in this process, so that the CPU time of the process is that of the row.
async fn child(kind: &str, args: &Bench) -> anyhow::Result<Exit> {
    let target = args.child_target.as_deref().context("--child-target is missing")?;
    let messages = args.child_messages;
    let groups = args.child_groups;
    let (bytes, lanes, per_second) = (args.child_bytes, args.child_lanes, args.child_rate);
    let requests = Loop { messages, groups, bytes, lanes, per_second };
    if kind == "bare" {
        bench::requests(target, requests, |_| Ok(())).await?;
        return Ok(Exit::Done);
    }
    let engine = engine(16)?;
    let plugin = Plugin::load(&engine, PluginSettings::at("mapping", "good/mapping"))?;
    let call = move |body: &str| {
        let message = Message {
            id: "m-1".to_owned().into(),
            group: "events/1".into(),
            dedup_id: None,
            sequence: None,
            receive_count: 1,
            sent_at: Timestamp(0),
            source: "bench".to_owned(),
            aws_trace: None,
            replayed_at: None,
            webhook: Webhook { body: body.as_bytes().to_vec(), ..Webhook::default() }.into(),
        };
        match plugin.transform(&message, plugin.limits()).verdict {
            Ok(_) => Ok(()),
            Err(fault) => bail!("the mapping failed: {fault}"),
        }
    };
    bench::requests(target, requests, call).await?;
    Ok(Exit::Done)
}
