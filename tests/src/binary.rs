//! The binaries under test, built by themselves, so that their features are their own: the command, and the two functions.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};

use serde_json::Value;

/// The binary of a package. Cargo does nothing if it is built already.
pub fn binary(package: &'static str) -> PathBuf {
    static BUILT: LazyLock<Mutex<HashMap<&'static str, PathBuf>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().unwrap();
    built.entry(package).or_insert_with(|| build(package)).clone()
}

/// What runs on Lambda, without the compiler of the command.
const FUNCTIONS: [&str; 2] = ["towpath-lambda", "towpath-lambda-ingest"];

/// What Cargo tells a test about its package. Build scripts such as ring's run again when one of these changes, and everything that
/// depends on them is built again.
const OF_THIS_PACKAGE: [&str; 9] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

fn build(package: &str) -> PathBuf {
    let mut packages = vec![package];
    if FUNCTIONS.contains(&package) {
        // Together, as they are packed: the SDK of AWS is built once for both.
        packages = FUNCTIONS.to_vec();
    }
    let mut cargo = Command::new(env!("CARGO"));
    for variable in OF_THIS_PACKAGE {
        cargo.env_remove(variable);
    }
    let cargo = cargo
        .args(["build", "--quiet", "--offline", "--message-format", "json"])
        .args(packages.iter().flat_map(|package| ["-p", package]))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{package} does not build");
    let id = format!("#{package}@");
    let lines = cargo.stdout.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let own = messages.filter(|message| message["package_id"].as_str().is_some_and(|text| text.contains(&id)));
    let mut executables = own.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    executables.next_back().expect("an executable")
}
