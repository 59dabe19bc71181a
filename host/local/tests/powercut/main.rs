//! Power cuts, simulated: a process uses a store while a library that is loaded before libc writes down what it does to its
//! files; then its disk is built as a cut at many moments may leave it, and what was answered must be there, in order.
//!
//! The same with disks that fail a sync once, or from then on; with processes that start on what one before them left, and
//! with others that come and go on its store. And with disks whose syncs lie, which must be noticed: or
//! this test would prove nothing. Cuts follow from the seed: `cargo test -p towpath-local --test powercut -- seed=7`, and
//! `only=file` runs the faults alone that have this in their name.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "it is a test, with a harness of its own"
)]

mod check;
mod model;
mod workload;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::check::{Books, check};
use crate::model::{Disk, Left, Record, What};

/// A run of the process.
struct Run {
    folder: TempDir,
    records: Vec<Record>,
    books: Books,
}

/// How a disk fails.
struct Fault {
    name: &'static str,
    /// As the library reads it.
    fail: &'static str,
    /// How much of what was to be synced is lost.
    lose: f64,
    messages: u32,
    others: Others,
    /// Whether sends are accepted again once it is over, or by others.
    recovers: bool,
    /// Whether it is tried only if somebody asks for it, or for `faults=all`: all of them take three minutes.
    is_long: bool,
}

/// Who else uses the store. The disk fails for the first process alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Nobody,
    /// Some start one after another once the first has ended.
    After,
    /// Some come and go meanwhile.
    Beside,
    /// One compacts the store once the first has ended, then some start.
    Compact,
}

const ALONE: Fault =
    Fault { name: "", fail: "", lose: 1.0, messages: 400, others: Others::Nobody, recovers: true, is_long: false };
const AFTER: Fault = Fault { messages: 300, others: Others::After, ..ALONE };
const BESIDE: Fault = Fault { messages: 300, others: Others::Beside, ..ALONE };

const FAULTS: [Fault; 16] = [
    Fault { name: "no fault", ..ALONE },
    Fault { name: "an early sync of the log", fail: "log 6 1", messages: 120, ..ALONE },
    Fault { name: "a sync of the log", fail: "log 60 1", is_long: true, ..ALONE },
    Fault { name: "a sync of the log, in part", fail: "log 90 1", lose: 0.5, ..ALONE },
    Fault { name: "all syncs of the log", fail: "log 60 0", recovers: false, ..ALONE },
    Fault { name: "a sync of the file", fail: "db 6 1", messages: 600, ..ALONE },
    Fault {
        name: "a later sync of the file, in part",
        fail: "db 9 1",
        lose: 0.5,
        messages: 600,
        is_long: true,
        ..ALONE
    },
    Fault { name: "all syncs of the file", fail: "db 7 0", messages: 600, recovers: false, is_long: true, ..ALONE },
    Fault { name: "a sync of the log that kills, others after it", fail: "log 60 2", ..AFTER },
    Fault { name: "all syncs of the log, others after it", fail: "log 60 0", is_long: true, ..AFTER },
    Fault { name: "a sync of the file that kills, others after it", fail: "db 6 2", messages: 600, ..AFTER },
    Fault { name: "no fault, others beside it", messages: 120, ..BESIDE },
    Fault { name: "a sync of the log that kills, others beside it", fail: "log 30 2", ..BESIDE },
    Fault { name: "all syncs of the log, others beside it", fail: "log 40 0", is_long: true, ..BESIDE },
    Fault { name: "all syncs of the file, others beside it", fail: "db 5 0", messages: 600, is_long: true, ..BESIDE },
    Fault { name: "a sync of the log that kills, then compacted", fail: "log 60 2", others: Others::Compact, ..AFTER },
];

/// Messages of each other process.
const OTHERS: u32 = 60;

/// At most this many sends were answered before a failed sync, or before the process learned of it, and yet are recorded after it
/// in the books.
const UNDER_WAY: usize = 20;

/// Cuts at random moments of a run, and of moments that are worth one.
const CUTS: usize = 16;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [workload, folder, messages, process] = &args[..]
        && workload == "workload"
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let [messages, process] = [messages, process].map(|number| number.parse().expect("a number"));
        return runtime.expect("a runtime").block_on(workload::run(Path::new(folder), messages, process));
    }
    let seed = args.iter().find_map(|arg| arg.strip_prefix("seed=")).map_or(1, |seed| seed.parse().expect("a seed"));
    let filters = args.iter().filter(|arg| !arg.starts_with('-') && !arg.contains('='));
    if cfg!(not(target_os = "linux")) || filters.into_iter().any(|filter| !"powercut".contains(filter.as_str())) {
        println!("powercut: left out");
        return;
    }
    fastrand::seed(seed);
    let only = args.iter().find_map(|arg| arg.strip_prefix("only=")).unwrap_or_default();
    let library = library();
    let all = !only.is_empty() || args.iter().any(|arg| arg == "faults=all");
    for fault in FAULTS.iter().filter(|fault| fault.name.contains(only) && (all || !fault.is_long)) {
        let run = run(&library, fault);
        let failed = run.records.iter().filter(|record| record.what == What::SyncFailed).count();
        let since = run.records.iter().position(|record| record.what == What::SyncFailed).unwrap_or(0);
        assert_eq!(failed > 0, !fault.fail.is_empty(), "{}: {failed} syncs failed", fault.name);
        let stored_since = stored_since(&run, since);
        assert_eq!(stored_since > UNDER_WAY, fault.recovers, "{}: {stored_since} stored since", fault.name);
        // The sync that fails may be one that no send waits for, and those who are killed refuse nothing.
        assert!(run.books.refused > 0 || fault.recovers, "{}: nothing is refused", fault.name);
        let (cuts, wrong) = cut(&run.records, &run, fault.lose, false);
        assert!(wrong.is_empty(), "{} (seed {seed}): {} of {cuts} cuts: {}", fault.name, wrong.len(), wrong[0]);
        println!("powercut: {}: {} stored, {cuts} cuts, nothing wrong", fault.name, run.books.stored.len());
        if fault.fail.is_empty() && fault.others == Others::Nobody {
            lies(&run);
        }
    }
}

/// Disks that lie about their syncs are noticed.
fn lies(run: &Run) {
    for (what, suffix) in [("the log", "-wal"), ("the file", ".db"), ("folders", "store"), ("the folder above", "new")]
    {
        let lies = |record: &&Record| record.what == What::Synced && record.path.to_string_lossy().ends_with(suffix);
        assert!(run.records.iter().any(|record| lies(&record)), "nobody syncs {what}");
        // Folders are synced at the start only; the others lie later, when the store is in use. The record stays, or the
        // numbers of others would be wrong.
        let from = if suffix.contains(['-', '.']) { run.records.len() / 3 } else { 0 };
        let records = run.records.iter().cloned().enumerate();
        let records: Vec<Record> = records
            .map(|(number, mut record)| {
                if number >= from && lies(&&record) {
                    record.what = What::HeardOfFailed;
                }
                record
            })
            .collect();
        let (cuts, wrong) = cut(&records, run, 1.0, true);
        assert!(!wrong.is_empty(), "syncs of {what} lie, and {cuts} cuts do not show it");
        println!("powercut: syncs of {what} lie: noticed, {}", wrong[0]);
    }
}

/// Builds the library that is loaded first.
fn library() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/shim.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("powercut.so");
    let mut cc = Command::new("cc");
    let cc = cc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(cc.status().expect("a C compiler, which the build needs too").success());
    library
}

/// Runs the process on a disk with this fault, and the others.
fn run(library: &Path, fault: &Fault) -> Run {
    let folder = TempDir::new().expect("folder");
    let watched = folder.path().join("watched");
    let trace = folder.path().join("trace");
    std::fs::create_dir(&watched).expect("made");
    let watched = watched.canonicalize().expect("a path");
    let start = |process: u32, messages: u32, fail: &str| {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child.arg("workload").arg(&watched).args([messages, process].map(|number| number.to_string()));
        child.env("LD_PRELOAD", library).env("CUT_DIR", &watched).env("CUT_TRACE", &trace).env("CUT_FAIL", fail);
        child.spawn().expect("it runs")
    };
    let mut number = 0;
    let mut another = || {
        number += 1;
        assert!(start(number, OTHERS, "").wait().expect("it ran").success(), "{}, process {number}", fault.name);
    };
    let mut first = start(0, fault.messages, fault.fail);
    if fault.others == Others::Beside {
        while first.try_wait().expect("it runs").is_none() {
            another();
        }
    }
    assert!(first.wait().expect("it ran").success(), "{}", fault.name);
    if fault.others == Others::Compact {
        assert!(start(0, 0, "").wait().expect("it ran").success(), "{}", fault.name);
    }
    if fault.others != Others::Nobody {
        (0..3).for_each(|_| another());
    }
    let records = model::read(&trace);
    let books = Books::read(&watched);
    Run { folder, records, books }
}

/// How many were stored behind this record.
fn stored_since(run: &Run, since: usize) -> usize {
    let stored = |record: &&Record| record.what == What::Write && record.data.starts_with(b"stored");
    run.records.iter().skip(since).filter(stored).count()
}

/// Cuts the power at many moments; how often, and what was wrong.
fn cut(records: &[Record], run: &Run, lose: f64, until_wrong: bool) -> (usize, Vec<String>) {
    let from = run.folder.path().join("watched").canonicalize().expect("a path");
    let mut disk = Disk::new(records, lose);
    let mut cuts = 0;
    let mut wrong = Vec::new();
    for moment in moments(records) {
        disk.go_to(moment);
        for left in [Left::Nothing, Left::Everything, Left::Some, Left::Some] {
            let to = TempDir::new().expect("folder");
            disk.cut(left, &from, to.path());
            disk.whole(workload::BOOKS, to.path());
            cuts += 1;
            if let Err(problem) = check(to.path(), &Books::read(to.path())) {
                wrong.push(format!("{problem} (at record {moment} of {}, {left:?} left)", records.len()));
                if until_wrong {
                    return (cuts, wrong);
                }
            }
        }
    }
    (cuts, wrong)
}

/// Random moments; behind answers, above all those behind failed syncs; around failed syncs; around moves of the log, and where it begins again.
fn moments(records: &[Record]) -> Vec<usize> {
    let last = records.len() - 1;
    let mut moments: Vec<usize> = (0..CUTS).map(|_| fastrand::usize(0..=last)).collect();
    moments.push(last);
    let numbers = |wanted: &dyn Fn(&Record) -> bool| -> Vec<usize> {
        (0..=last).filter(|number| wanted(&records[*number])).collect()
    };
    let stored = numbers(&|record| record.data.starts_with(b"stored"));
    let failed = numbers(&|record| record.what == What::SyncFailed);
    let file = numbers(&|record| record.path.ends_with("towpath.db") && record.what != What::Create);
    let beginnings = numbers(&|record| record.data.starts_with(&[0x37, 0x7f, 0x06]) || record.what == What::Truncate);
    moments.extend(stored.first());
    // What is answered soon behind the last failed sync of a process, by it or the next one.
    let last_failed = failed.last().copied().unwrap_or(last);
    moments.extend(stored.iter().filter(|moment| **moment > last_failed).step_by(2).take(CUTS / 2));
    for interesting in [stored, failed, file, beginnings] {
        for _ in 0..CUTS / 4 {
            let Some(moment) = fastrand::choice(&interesting) else { break };
            moments.extend([*moment, moment + fastrand::usize(0..60)]);
        }
    }
    moments.iter_mut().for_each(|moment| *moment = (*moment).min(last));
    moments.sort_unstable();
    moments
}
