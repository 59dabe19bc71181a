//! Simulated power cuts. A process uses a store while a preloaded library records what it does to its files. From the
//! record, a model builds what the disk may hold after a power cut at many moments. Every acknowledged message must be
//! there, in order.
//!
//! The same runs with disks on which one fsync fails, or all of them from then on; with processes that start on a store
//! that another left, and with processes that come and go on it. Disks whose fsyncs lie must be detected; otherwise this
//! test would prove nothing.
//!
//! The seed decides the cuts: `cargo test -p towpath-local --test powercut -- seed=7`. `only=file` runs only the faults
//! with this in their name.

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

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::check::{Books, check};
use crate::model::{Disk, Left, Record, What};

/// A run of the workload.
struct Run {
    folder: TempDir,
    records: Vec<Record>,
    /// The records of the process that compacted the store.
    compacting: Range<usize>,
    books: Books,
}

/// How a disk fails.
struct Fault {
    name: &'static str,
    /// `CUT_FAIL` of the library: see `shim.c`.
    fail: &'static str,
    /// The share of the data that a failed fsync loses.
    lose: f64,
    messages: u32,
    others: Others,
    /// Whether sends succeed again afterwards, in this process or another.
    recovers: bool,
    /// Whether it runs only with `only=` or `faults=all`. All faults together take three minutes.
    is_long: bool,
}

/// Other processes that use the store. The disk fails only for the first process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Nobody,
    /// Others start one after another once the first has ended.
    After,
    /// Others come and go while the first runs.
    Beside,
    /// One compacts the store once the first has ended, then others start.
    Compact,
}

const ALONE: Fault =
    Fault { name: "", fail: "", lose: 1.0, messages: 400, others: Others::Nobody, recovers: true, is_long: false };
const AFTER: Fault = Fault { messages: 300, others: Others::After, ..ALONE };
const BESIDE: Fault = Fault { messages: 300, others: Others::Beside, ..ALONE };

const FAULTS: [Fault; 16] = [
    Fault { name: "no fault", ..ALONE },
    Fault { name: "an early fsync of the WAL", fail: "log 6 1", messages: 120, ..ALONE },
    Fault { name: "an fsync of the WAL", fail: "log 60 1", is_long: true, ..ALONE },
    Fault { name: "an fsync of the WAL, in part", fail: "log 90 1", lose: 0.5, ..ALONE },
    Fault { name: "all fsyncs of the WAL", fail: "log 60 0", recovers: false, ..ALONE },
    Fault { name: "an fsync of the database file", fail: "db 6 1", messages: 600, ..ALONE },
    Fault {
        name: "a later fsync of the database file, in part",
        fail: "db 9 1",
        lose: 0.5,
        messages: 600,
        is_long: true,
        ..ALONE
    },
    Fault {
        name: "all fsyncs of the database file",
        fail: "db 7 0",
        messages: 600,
        recovers: false,
        is_long: true,
        ..ALONE
    },
    Fault { name: "an fsync of the WAL that kills, then other processes", fail: "log 60 2", ..AFTER },
    Fault { name: "all fsyncs of the WAL, then other processes", fail: "log 60 0", is_long: true, ..AFTER },
    Fault {
        name: "an fsync of the database file that kills, then other processes",
        fail: "db 6 2",
        messages: 600,
        ..AFTER
    },
    Fault { name: "no fault, among other processes", messages: 120, ..BESIDE },
    Fault { name: "an fsync of the WAL that kills, among other processes", fail: "log 30 2", ..BESIDE },
    Fault { name: "all fsyncs of the WAL, among other processes", fail: "log 40 0", is_long: true, ..BESIDE },
    Fault {
        name: "all fsyncs of the database file, among other processes",
        fail: "db 5 0",
        messages: 600,
        is_long: true,
        ..BESIDE
    },
    // Only after a restart is there a cut that loses something if compacting does not write the WAL again. Before it, the
    // database file is almost empty: the intact part of the WAL has every page, whatever is checkpointed.
    Fault {
        name: "an fsync of the restarted WAL that kills, then compacted",
        fail: "restarted 8 2",
        messages: 600,
        others: Others::Compact,
        ..AFTER
    },
];

/// The number of messages that each other process sends.
const OTHERS: u32 = 60;

/// At most this many sends were acknowledged before a failed fsync, or before the process learned of it, but are recorded
/// after it.
const UNDER_WAY: usize = 20;

/// The number of cuts at random moments of a run, and about as many at interesting ones; also the number of cuts while the
/// store is compacted.
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
        println!("powercut: skipped");
        return;
    }
    let only = args.iter().find_map(|arg| arg.strip_prefix("only=")).unwrap_or_default();
    let library = library();
    let all = !only.is_empty() || args.iter().any(|arg| arg == "faults=all");
    for fault in FAULTS.iter().filter(|fault| fault.name.contains(only) && (all || !fault.is_long)) {
        // Seed each fault separately, so that `only=` repeats exactly what the full run does.
        fastrand::seed(seed);
        let run = run(&library, fault);
        let failed = run.records.iter().filter(|record| record.what == What::SyncFailed).count();
        let since = run.records.iter().position(|record| record.what == What::SyncFailed).unwrap_or(0);
        assert_eq!(failed > 0, !fault.fail.is_empty(), "{}: {failed} syncs failed", fault.name);
        let stored_since = stored_since(&run, since);
        assert_eq!(stored_since > UNDER_WAY, fault.recovers, "{}: {stored_since} stored since", fault.name);
        // No send may be waiting for the fsync that fails, and a process that is killed refuses nothing.
        assert!(run.books.refused > 0 || fault.recovers, "{}: nothing is refused", fault.name);
        let (cuts, wrong) = cut(&run.records, &run, fault.lose, false);
        assert!(wrong.is_empty(), "{} (seed {seed}): {} of {cuts} cuts: {}", fault.name, wrong.len(), wrong[0]);
        println!("powercut: {}: {} stored, {cuts} cuts, nothing wrong", fault.name, run.books.stored.len());
        if fault.fail.is_empty() && fault.others == Others::Nobody {
            lies(&run);
        }
    }
}

/// Checks that disks that lie about their fsyncs are detected.
fn lies(run: &Run) {
    for (what, suffix) in
        [("the WAL", "-wal"), ("the database file", ".db"), ("folders", "store"), ("the folder above", "new")]
    {
        let lies = |record: &&Record| record.what == What::Synced && record.path.to_string_lossy().ends_with(suffix);
        assert!(run.records.iter().any(|record| lies(&record)), "{what}: no fsync");
        // Folders are fsynced only at the start; for files the lies start later, when the store is in use. The record is
        // changed, not removed, because others refer to records by number.
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
        assert!(!wrong.is_empty(), "fsyncs of {what} lie, and {cuts} cuts do not show it");
        println!("powercut: fsyncs of {what} lie: detected, {}", wrong[0]);
    }
}

/// Builds the preloaded library.
fn library() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/shim.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("powercut.so");
    let mut cc = Command::new("cc");
    let cc = cc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(cc.status().expect("a C compiler, which the build needs too").success());
    library
}

/// Runs the workload on a disk with this fault, and the other processes.
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
    let recorded = || model::read(&trace).len();
    let mut compacting = 0..0;
    if fault.others == Others::Compact {
        compacting.start = recorded();
        assert!(start(0, 0, "").wait().expect("it ran").success(), "{}", fault.name);
        compacting.end = recorded();
    }
    if fault.others != Others::Nobody {
        (0..3).for_each(|_| another());
    }
    let records = model::read(&trace);
    let books = Books::read(&watched);
    Run { folder, records, compacting, books }
}

/// How many sends were acknowledged after this record.
fn stored_since(run: &Run, since: usize) -> usize {
    let stored = |record: &&Record| record.what == What::Write && record.data.starts_with(b"stored");
    run.records.iter().skip(since).filter(stored).count()
}

/// Cuts the power at many moments. Returns the number of cuts, and what was wrong after them.
fn cut(records: &[Record], run: &Run, lose: f64, until_wrong: bool) -> (usize, Vec<String>) {
    let from = run.folder.path().join("watched").canonicalize().expect("a path");
    let mut disk = Disk::new(records, lose);
    let mut cuts = 0;
    let mut wrong = Vec::new();
    for moment in moments(records, &run.compacting) {
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

/// The moments to cut at: random ones; after acknowledgements, above all those after a failed fsync; around failed
/// fsyncs; around checkpoints; where the WAL restarts; and at equal distances while the store is compacted.
fn moments(records: &[Record], compacting: &Range<usize>) -> Vec<usize> {
    let last = records.len() - 1;
    let mut moments: Vec<usize> = (0..CUTS).map(|_| fastrand::usize(0..=last)).collect();
    moments.push(last);
    moments.extend(compacting.clone().step_by(compacting.len().div_ceil(CUTS).max(1)));
    let numbers = |wanted: &dyn Fn(&Record) -> bool| -> Vec<usize> {
        (0..=last).filter(|number| wanted(&records[*number])).collect()
    };
    let stored = numbers(&|record| record.data.starts_with(b"stored"));
    let failed = numbers(&|record| record.what == What::SyncFailed);
    let file = numbers(&|record| record.path.ends_with("towpath.db") && record.what != What::Create);
    let beginnings = numbers(&|record| record.data.starts_with(&[0x37, 0x7f, 0x06]) || record.what == What::Truncate);
    moments.extend(stored.first());
    // Acknowledgements soon after the last failed fsync of a process, by it or the next one.
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
