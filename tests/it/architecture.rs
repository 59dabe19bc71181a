//! The rooms and their arrows: which crate may use which, and no import cycle inside any of them.

mod cycles;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Every room, and the rooms that it may use.
const ARROWS: [(&str, &[&str]); 29] = [
    ("types", &[]),
    ("files", &[]),
    ("runtime", &["types"]),
    ("metrics", &["types"]),
    ("config", &["types", "files"]),
    ("select", &["types", "config"]),
    ("verify", &["types", "config", "select"]),
    ("route", &["types", "config", "select", "verify"]),
    ("reach", &["config"]),
    ("keys", &["types", "config", "verify", "reach", "runtime"]),
    ("intake", &["types", "config", "select", "verify", "route", "keys", "metrics", "runtime"]),
    ("plugin", &["types", "files", "config"]),
    ("registry", &["types", "files", "config", "plugin"]),
    ("deliver", &["types", "config", "verify", "reach", "metrics", "runtime"]),
    (
        "engine",
        &["types", "config", "select", "verify", "route", "plugin", "registry", "deliver", "metrics", "runtime"],
    ),
    ("local", &["types", "files"]),
    ("archive", &["types", "files"]),
    ("alerts", &["types", "config"]),
    ("sqs", &["types", "config", "local"]),
    ("aws", &["types", "files", "config", "metrics"]),
    ("telemetry", &["types", "files", "config", "metrics", "runtime"]),
    ("operate", LIBRARIES),
    ("console", &["types", "operate"]),
    ("mcp", &["types", "operate"]),
    ("compose", COMPOSE),
    ("cli", &BINARY),
    ("lambda", &BINARY),
    ("lambda-ingest", &["types", "config", "verify", "intake", "aws", "telemetry"]),
    ("proof", &[]),
];

/// What a program may use.
const BINARY: [&str; 26] = [
    "types",
    "files",
    "runtime",
    "metrics",
    "config",
    "select",
    "verify",
    "route",
    "reach",
    "keys",
    "intake",
    "plugin",
    "registry",
    "deliver",
    "engine",
    "local",
    "archive",
    "alerts",
    "sqs",
    "aws",
    "telemetry",
    "operate",
    "console",
    "compose",
    "mcp",
    "proof",
];

/// A host looks after its store as an operator does.
const COMPOSE: &[&str] = {
    let [rooms @ .., _compose, _mcp, _proof] = &BINARY;
    rooms
};

const LIBRARIES: &[&str] = {
    let [rooms @ .., _operate, _console, _compose, _mcp, _proof] = &BINARY;
    rooms
};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file below a folder, with its text without comments.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(&Path::new(ROOT).join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has no sources");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        (path.strip_prefix(ROOT).unwrap().display().to_string(), code)
    };
    found.into_iter().map(read).collect()
}

/// The crates of ours that a text names in a path.
fn ours(code: &str) -> Vec<String> {
    let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let crates = words.filter_map(|word| word.split_once("::")).map(|(name, _)| name.to_owned());
    crates.filter(|name| name == "towpath" || name.starts_with("towpath_")).collect()
}

fn crate_of(room: &str) -> String {
    format!("towpath_{}", room.replace('-', "_"))
}

#[test]
fn every_folder_with_a_crate_is_a_room_with_arrows() {
    let rooms: BTreeSet<String> = fs::read_dir(Path::new(ROOT).join("host"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let listed: BTreeSet<String> = ARROWS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms, listed);
}

#[test]
fn no_room_imports_from_above() {
    for (room, allowed) in ARROWS {
        let mut allowed: Vec<String> = allowed.iter().map(|room| crate_of(room)).collect();
        // The command's library is named after the product.
        allowed.extend((room == "cli").then(|| "towpath".to_owned()));
        // Benchmarks are not part of a room.
        for (file, code) in files(&format!("host/{room}/src")).into_iter().filter(|(file, _)| !is_test(file)) {
            for name in ours(without_tests(&code)) {
                assert!(allowed.contains(&name), "{file} uses {name}");
            }
        }
    }
    for (file, code) in files("plugins").into_iter().filter(|(file, _)| file.contains("/src/")) {
        for name in ours(&code) {
            // Plugins have a generated module `towpath`, from `package towpath:plugin`.
            assert!(["towpath", "towpath_plugin"].contains(&name.as_str()), "{file} uses {name}");
        }
    }
}

#[test]
fn manifests_agree_with_the_arrows() {
    for (room, allowed) in ARROWS {
        let manifest = fs::read_to_string(Path::new(ROOT).join("host").join(room).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap();
        for line in dependencies.lines() {
            let Some(name) = line.strip_prefix("towpath-") else { continue };
            let name = name.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&name), "host/{room}/Cargo.toml depends on towpath-{name}");
        }
    }
}

fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs")
}

/// A source without its `mod tests`, which may use more.
fn without_tests(code: &str) -> &str {
    code.split("#[cfg(test)]\nmod ").next().unwrap()
}

/// What a crate is built of, without development dependencies.
fn tree(package: &str, features: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(ROOT).args(["tree", "--offline", "--edges", "normal,build", "--prefix", "none", "-p", package]);
    let output = command.args(features).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn has(tree: &str, package: &str) -> bool {
    tree.lines().any(|line| {
        line.split(' ').next().is_some_and(|name| name == package || name.starts_with(&format!("{package}-")))
    })
}

#[test]
fn light_rooms_are_built_without_heavy_crates() {
    let ingest = tree("towpath-lambda-ingest", &[]);
    // reqwest is allowed: the front door fetches the public keys of senders, behind the same guard as targets.
    for heavy in ["wasmtime", "cranelift", "rusqlite"] {
        assert!(!has(&ingest, heavy), "the ingest function is built with {heavy}");
    }
    assert!(has(&ingest, "lambda_runtime") && has(&ingest, "aws-sdk-sqs"), "{ingest}");
    let host = tree("towpath-lambda", &[]);
    for heavy in ["rusqlite", "axum"] {
        assert!(!has(&host, heavy), "the host function is built with {heavy}");
    }
    let types = tree("towpath-types", &[]);
    for heavy in ["tokio", "reqwest", "aws", "axum", "wasmtime"] {
        assert!(!has(&types, heavy), "towpath-types is built with {heavy}");
    }
    assert!(has(&types, "serde_json"), "{types}");
    let local = tree("towpath-local", &[]);
    for heavy in ["axum", "hyper", "reqwest", "wasmtime"] {
        assert!(!has(&local, heavy), "towpath-local is built with {heavy}");
    }
    for room in ["towpath-config", "towpath-verify", "towpath-route"] {
        let tree = tree(room, &[]);
        for heavy in ["reqwest", "aws-config", "axum", "wasmtime", "rusqlite"] {
            assert!(!has(&tree, heavy), "{room} is built with {heavy}");
        }
    }
}

#[test]
fn generated_bindings_stay_in_their_room() {
    for (file, code) in files("host") {
        assert!(file.starts_with("host/plugin/src/") || !code.contains("bindings::"), "{file} uses generated bindings");
    }
}

/// Cargo talks to a build script through its environment and its output.
const BUILD_SCRIPT: &str = "host/config/build.rs";

/// The config reads the environment, and so do faults, which no build that is shipped has.
fn may_read(file: &str) -> bool {
    file.starts_with("host/config/src/") || ["host/types/src/faults.rs", BUILD_SCRIPT].contains(&file)
}

#[test]
fn the_environment_is_read_in_the_config_only() {
    for (file, code) in files("host") {
        for read in ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("] {
            assert!(may_read(&file) || !code.contains(read), "{file} reads the environment");
        }
    }
}

/// Functions log to standard output, and their metrics are lines of the log.
const LINES_OF_FUNCTIONS: (&str, &str, &str) =
    ("host/telemetry/src/lib.rs", "host/lambda/src/main.rs", "host/lambda-ingest/src/main.rs");

/// A test that is a program of its own reports to the terminal itself.
const HARNESS: &str = "host/local/tests/powercut/main.rs";

/// The console that the browser tests try tells them its address.
const TRIED_CONSOLE: &str = "host/console/examples/browse.rs";

#[test]
fn only_the_output_module_writes_to_the_terminal() {
    for (file, code) in files("host") {
        for write in ["println!", "eprintln!", "io::stdout", "stdout()"] {
            let (telemetry, lambda, ingest) = LINES_OF_FUNCTIONS;
            let may = ["host/cli/src/output.rs", HARNESS, BUILD_SCRIPT, TRIED_CONSOLE, telemetry, lambda, ingest];
            assert!(may.contains(&file.as_str()) || !code.contains(write), "{file} uses {write}");
        }
    }
}

/// `SECURITY.md` names tests as `module::beginning…`, or a module as `module::`.
#[test]
fn every_test_that_security_md_names_is_there() {
    let text = fs::read_to_string(Path::new(ROOT).join("SECURITY.md")).unwrap();
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|code| code.contains("::")).collect();
    assert!(named.len() > 25, "{named:?}");
    for name in named {
        let (module, beginning) = name.rsplit_once("::").unwrap();
        let file = Path::new(ROOT).join("tests/it").join(module.replace("::", "/")).with_extension("rs");
        let source = fs::read_to_string(&file).unwrap_or_else(|_| panic!("{name}: there is no {}", file.display()));
        let function = format!("fn {}", beginning.trim_end_matches('…'));
        assert!(source.contains(&function), "{name}: no test begins so in {}", file.display());
    }
}
