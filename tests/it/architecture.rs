//! The arrows between the rooms point down: core ← ingest, local, aws ← lambda, cli.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Rooms, and the crates of ours that each may use.
const ARROWS: [(&str, &[&str]); 10] = [
    ("host/core", &[]),
    ("host/ingest", &["towpath_core"]),
    ("host/local", &["towpath_core"]),
    ("host/aws", &["towpath_core"]),
    ("host/lambda", &["towpath_core", "towpath_aws", "towpath_telemetry"]),
    ("host/lambda-ingest", &["towpath_core", "towpath_aws", "towpath_ingest", "towpath_telemetry"]),
    ("host/proof", &[]),
    ("host/telemetry", &["towpath_core"]),
    (
        "host/cli",
        &[
            "towpath_core",
            "towpath_ingest",
            "towpath_local",
            "towpath_aws",
            "towpath_proof",
            "towpath_telemetry",
            "towpath",
        ],
    ),
    ("plugins", &["towpath_plugin"]),
];

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

#[test]
fn no_room_imports_from_above() {
    for (room, allowed) in ARROWS {
        // Benchmarks and build scripts are not part of a room.
        for (file, code) in files(room).into_iter().filter(|(file, _)| file.contains("/src/")) {
            for name in ours(&code) {
                // Plugins have a generated module of this name, from `package towpath:plugin`.
                let generated = room == "plugins" && name == "towpath";
                assert!(generated || allowed.contains(&name.as_str()), "{file} uses {name}");
            }
        }
    }
}

#[test]
fn manifests_agree_with_the_arrows() {
    for (room, allowed) in ARROWS.iter().filter(|(room, _)| *room != "plugins") {
        let manifest = fs::read_to_string(Path::new(ROOT).join(room).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
        for line in dependencies.lines().filter(|line| line.starts_with("towpath")) {
            let name = line.split(['.', ' ', '=']).next().unwrap().replace('-', "_");
            assert!(allowed.contains(&name.as_str()), "{room}/Cargo.toml depends on {name}");
        }
        for foreign in ["aws-config", "aws-sdk", "axum", "clap", "lambda_runtime"] {
            let core =
                *room == "host/core" && dependencies.split("[dev-dependencies]").next().unwrap().contains(foreign);
            assert!(!core, "core depends on {foreign}");
        }
    }
}

/// Inside core: which modules must not name which.
#[test]
fn plugin_and_deliver_meet_only_in_the_pipeline() {
    let pairs = [
        ("host/core/src/deliver", "crate::plugin"),
        ("host/core/src/plugin", "crate::pipeline"),
        ("host/core/src/deliver", "crate::pipeline"),
        ("host/core/src/plugin", "crate::poll"),
        ("host/core/src/plugin", "Deliverer"),
    ];
    for (folder, forbidden) in pairs {
        for (file, code) in files(folder) {
            assert!(!code.contains(forbidden), "{file} uses {forbidden}");
        }
    }
}

#[test]
fn generated_bindings_stay_in_their_folder() {
    for (file, code) in files("host") {
        let inside = file.starts_with("host/core/src/plugin/") || file == "host/core/src/plugin.rs";
        assert!(inside || !code.contains("bindings::"), "{file} uses generated bindings");
    }
}

#[test]
fn the_environment_is_read_in_the_config_only() {
    for (file, code) in files("host") {
        for read in ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("] {
            assert!(file.starts_with("host/core/src/config/") || !code.contains(read), "{file} reads the environment");
        }
    }
}

/// Functions log to standard output, and their metrics are lines of the log.
const LINES_OF_FUNCTIONS: (&str, &str, &str) =
    ("host/telemetry/src/lib.rs", "host/lambda/src/main.rs", "host/lambda-ingest/src/main.rs");

/// A test that is a program of its own reports to the terminal itself.
const HARNESS: &str = "host/local/tests/powercut/main.rs";

#[test]
fn only_the_output_module_writes_to_the_terminal() {
    for (file, code) in files("host") {
        for write in ["println!", "eprintln!", "io::stdout", "stdout()"] {
            let may =
                ["host/cli/src/output.rs", HARNESS, LINES_OF_FUNCTIONS.0, LINES_OF_FUNCTIONS.1, LINES_OF_FUNCTIONS.2];
            assert!(may.contains(&file.as_str()) || !code.contains(write), "{file} uses {write}");
        }
    }
}

#[test]
fn no_file_has_more_than_400_lines() {
    for folder in ["host", "plugins", "tests"] {
        let mut found = Vec::new();
        sources(&Path::new(ROOT).join(folder), &mut found);
        for path in found {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 400, "{} has {lines} lines", path.display());
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
