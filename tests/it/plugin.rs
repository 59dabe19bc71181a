//! The plugin engine: limits, faults, loading. Guests are WAT.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use towpath_config::plugin::{Limits, Settings};
use towpath_plugin::{Engine, LoadError, Manifest, Plugin, Transformed, digest, precompile};
use towpath_tests::guest::{Guest, Request};
use towpath_types::clock::Timestamp;
use towpath_types::envelope::Webhook;
use towpath_types::message::Message;
use towpath_types::outcome::{Fault, FaultKind};
use towpath_types::verdict::Verdict;

pub(super) fn message() -> Message {
    Message {
        id: "m-1".into(),
        group: "g".into(),
        dedup_id: None,
        sequence: Some("1".into()),
        receive_count: 1,
        sent_at: Timestamp(1_700_000_000_000),
        source: "q".into(),
        aws_trace: None,
        replayed_at: None,
        webhook: Webhook { headers: vec![("a".into(), b"\xff".to_vec())], body: b"{}".to_vec(), ..Webhook::default() }
            .into(),
    }
}

fn load_bytes(folder: &Path, bytes: &[u8]) -> Result<Plugin, LoadError> {
    let file = folder.join("guest.wasm");
    std::fs::write(&file, bytes).unwrap();
    // Time for all fuel, whatever else the machine does.
    let limits = Limits { timeout: Duration::from_secs(60), fuel: 10_000_000, ..Limits::default() };
    Plugin::load(&Engine::new().unwrap(), Settings { limits, ..Settings::at("guest", file) })
}

fn load(guest: Guest) -> Plugin {
    let folder = TempDir::new().unwrap();
    load_bytes(folder.path(), &guest.build()).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    load_bytes(folder.path(), bytes).expect_err("must not load").to_string()
}

fn run(guest: Guest, limits: Limits) -> Transformed {
    load(guest).transform(&message(), limits)
}

fn fault(guest: Guest) -> Fault {
    run(guest, Limits::default()).verdict.expect_err("must fail")
}

#[test]
fn every_verdict_comes_through() {
    let verdict = |guest| run(guest, Limits::default()).verdict.expect("verdict");
    let Verdict::Deliver(requests) = verdict(Guest::forward()) else { panic!("deliver") };
    assert_eq!((requests[0].target.as_str(), requests[0].path.as_str()), ("sss", "/t"));
    assert!(matches!(verdict(Guest::skip("x")), Verdict::Skip(reason) if reason.code == "x"));
    assert!(matches!(verdict(Guest::reject("x")), Verdict::Reject(_)));
    let Verdict::Retry { after, .. } = verdict(Guest::retry("x", 1500)) else { panic!("retry") };
    assert_eq!(after, Some(Duration::from_millis(1500)));
}

#[test]
fn a_reason_code_becomes_a_label_whatever_the_guest_wrote() {
    let verdict = run(Guest::skip("Not For\nUs ünd"), Limits::default()).verdict.expect("verdict");
    assert!(matches!(verdict, Verdict::Skip(reason) if reason.code == "not-for-us--nd"));
}

#[test]
fn a_trap_names_the_guests_functions_and_its_kind() {
    let fault = fault(Guest::code("(unreachable)"));
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("unreachable"), "{fault}");
    assert!(fault.trace.iter().any(|function| function.contains("map_message")), "{:?}", fault.trace);
}

#[test]
fn faults_are_told_apart() {
    let cases = [
        ("division by zero", Guest::code("(drop (i32.div_s (i32.const 1) (i32.const 0)))"), FaultKind::Trap),
        ("out of bounds", Guest::code("(drop (i32.load (i32.const -4)))"), FaultKind::Trap),
        ("a loop", Guest::code("(loop $l (br $l))"), FaultKind::Fuel),
        ("growing memory", Guest::code("(loop $l (drop (memory.grow (i32.const 16))) (br $l))"), FaultKind::Limit),
        ("too much output", Guest::large(1024 * 1024 + 1), FaultKind::Limit),
        ("too many requests", Guest::deliver(&[Request::default(); 17]), FaultKind::Limit),
        ("an error", Guest::error("broken"), FaultKind::Error),
        ("no requests", Guest::deliver(&[]), FaultKind::Error),
    ];
    for (name, guest, kind) in cases {
        let fault = fault(guest);
        assert_eq!(fault.kind, kind, "{name}: {fault}");
    }
    assert!(run(Guest::large(1000 * 1000), Limits::default()).verdict.is_ok(), "a large verdict within the limit");
    assert!(run(Guest::deliver(&[Request::default(); 16]), Limits::default()).verdict.is_ok(), "sixteen requests");
}

#[test]
fn over_the_wall_clock_with_fuel_left_is_the_hosts_trouble() {
    let limits = Limits { timeout: Duration::from_millis(50), fuel: u64::MAX / 2, ..Limits::default() };
    let fault = run(Guest::code("(loop $l (br $l))"), limits).verdict.expect_err("must be stopped");
    assert_eq!(fault.kind, FaultKind::Timeout);
}

#[test]
fn without_a_free_slot_the_host_is_starved_and_nothing_is_the_plugins_fault() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("guest.wasm");
    std::fs::write(&file, Guest::code("(loop $l (br $l))").build()).unwrap();
    let plugin = Plugin::load(&Engine::with_slots(1).unwrap(), Settings::at("guest", file)).unwrap();
    let limits = Limits { timeout: Duration::from_millis(200), fuel: u64::MAX / 2, ..Limits::default() };
    let barrier = std::sync::Barrier::new(4);
    let call = || {
        barrier.wait();
        plugin.transform(&message(), limits).verdict.expect_err("spins, or has no slot")
    };
    let faults = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(faults.iter().all(|fault| fault.kind == FaultKind::Timeout), "{faults:?}");
    assert!(faults.iter().any(|fault| fault.message.contains("no free slot")), "{faults:?}");
}

#[test]
fn the_memory_limit_is_the_settings_one() {
    // 64 pages at the start, 64 more by growing: 8 MiB.
    let grow = || Guest::code("(drop (memory.grow (i32.const 64)))");
    let limits = |memory| Limits { memory, ..Limits::default() };
    assert!(run(grow(), limits(8 * 1024 * 1024)).verdict.is_ok());
    let fault = run(grow(), limits(8 * 1024 * 1024 - 1)).verdict.expect_err("over the limit");
    assert_eq!((fault.kind, fault.message.contains("memory")), (FaultKind::Limit, true));
}

#[test]
fn the_same_message_uses_the_same_fuel_and_a_fresh_instance() {
    // The guest counts its calls in a global; in a fresh instance it is always the first.
    let counts = "(global.set $one (i32.sub (global.get $one) (i32.const 1)))
        (if (i32.lt_s (global.get $one) (i32.const 0)) (then (unreachable)))";
    let plugin = load(Guest::code(counts));
    let first = plugin.transform(&message(), plugin.limits());
    assert!(first.verdict.is_ok());
    for _ in 0..3 {
        assert_eq!(plugin.transform(&message(), plugin.limits()), first);
    }
}

#[test]
fn a_guests_clock_stands_at_the_message_and_sleeping_costs_no_time() {
    let looks = "(call $wall_clock (i32.const 7000))
        (if (i64.ne (i64.load (i32.const 7000)) (i64.const 1700000000)) (then (unreachable)))
        (call $block (call $sleep (i64.const 3600000000000)))
        (if (i64.lt_u (call $monotonic_clock) (i64.const 3600000000000)) (then (unreachable)))
        (call $block (call $sleep (i64.const -1)))";
    let limits = Limits { timeout: Duration::from_secs(60), ..Limits::default() };
    let transformed = run(Guest::code(looks), limits);
    assert!(transformed.verdict.is_ok(), "{:?}", transformed.verdict);
}

#[test]
fn random_numbers_come_from_the_message_and_from_nothing_else() {
    // The guest writes 64 random bits as 16 letters into its path.
    let writes = "(local $bits i64) (local $i i32) (local.set $bits (call $random)) (loop $l
        (i32.store8 (i32.add (i32.add (i32.load (i32.const 528)) (i32.const 1)) (local.get $i))
            (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $bits) (i64.const 15)))))
        (local.set $bits (i64.shr_u (local.get $bits) (i64.const 4)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 16))))";
    let guest = || Guest::deliver(&[Request { path: "/................", ..Request::default() }]).with_code(writes);
    let path = |id: &str| {
        let plugin = load(guest());
        match plugin.transform(&Message { id: id.into(), ..message() }, plugin.limits()).verdict {
            Ok(Verdict::Deliver(requests)) => requests[0].path.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(path("m-1"), "/jckhlcchojlbpiok", "the same on every machine, for ever");
    assert_eq!(path("m-1"), path("m-1"));
    assert_ne!(path("m-1"), path("m-2"));
}

#[test]
fn logging_without_end_is_cut_and_not_fatal() {
    let logs = "(local $i i32) (loop $l
        (call $log (i32.const 2) (i32.const 8192) (i32.const 4) (i32.const 0) (i32.const 0))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))";
    assert!(run(Guest::code(logs), Limits::default()).verdict.is_ok());
}

#[test]
fn what_is_no_plugin_is_refused_by_name() {
    let text = |wat: &str| wat::parse_str(wat).unwrap();
    let export = |name: &str| text(&format!("(component (instance $i) (export \"{name}\" (instance $i)))"));
    let import = text(
        "(component (import \"wasi:sockets/tcp@0.2.0\" (instance)) (instance $i)
        (export \"towpath:plugin/transform@1.0.0\" (instance $i)))",
    );
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("garbage", b"not wasm".to_vec(), "not a WebAssembly component"),
        ("nothing", Vec::new(), "not a WebAssembly component"),
        ("a core module", text("(module)"), "not a WebAssembly component"),
        ("an empty component", text("(component)"), "not a Towpath plugin (it exports nothing)"),
        ("another world", export("wasi:http/handler@0.2.0"), "it exports wasi:http/handler@0.2.0"),
        ("another version", export("towpath:plugin/transform@2.1.0"), "speaks towpath:plugin 2.1.0"),
        ("a forbidden import", import, "wasi:sockets/tcp@0.2.0"),
        ("other types", export("towpath:plugin/transform@1.0.0"), "does not fit the contract"),
    ];
    for (name, bytes, says) in cases {
        let error = refused(&bytes);
        assert!(error.contains(says), "{name}: {error}");
    }
}

#[test]
fn a_plugin_that_fails_its_trial_is_not_loaded() {
    let error = refused(&Guest::forward().with_describe("(unreachable)").build());
    assert!(error.contains("fails in its describe"), "{error}");
    let error = refused(&Guest::forward().with_describe("(loop $l (br $l))").build());
    assert!(error.contains("plugin-fuel"), "{error}");
    let error = refused(&Guest::forward().with_problem("no such team").build());
    assert!(error.contains("/team: no such team"), "{error}");
}

#[test]
fn a_target_that_the_config_lacks_is_found_at_load() {
    let plugin = load(Guest::forward().with_targets(&["sss", "crm"]));
    let error = plugin.check_targets(["sss"].into_iter()).expect_err("crm is missing").to_string();
    assert!(error.contains("[target.crm]"), "{error}");
    assert!(plugin.check_targets(["crm", "sss"].into_iter()).is_ok());
}

#[test]
fn files_that_are_missing_or_not_built_say_what_to_do() {
    let folder = TempDir::new().unwrap();
    let engine = Engine::new().unwrap();
    let load = |path: &Path| Plugin::load(&engine, Settings::at("x", path)).expect_err("nothing there").to_string();
    assert!(load(&folder.path().join("none")).contains("there is no plugin at"));
    assert!(load(folder.path()).contains("towpath plugin build"));
}

#[test]
fn a_pin_holds_a_plugin_to_its_bytes() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("guest.wasm");
    let wasm = Guest::forward().build();
    std::fs::write(&file, &wasm).unwrap();
    let engine = Engine::new().unwrap();
    let load = |pin: String| Plugin::load(&engine, Settings { sha256: Some(pin), ..Settings::at("guest", &file) });
    assert_eq!(load(digest(&wasm)).expect("the right pin").digest(), digest(&wasm));
    let error = load("0".repeat(64)).expect_err("another pin").to_string();
    assert!(error.contains("pins 0000"), "{error}");
}

/// Writes a precompiled guest and its manifest, changed as wanted.
fn load_native(change: impl FnOnce(&mut Vec<u8>, &mut Manifest)) -> Result<Plugin, LoadError> {
    let folder = TempDir::new().unwrap();
    let (mut cwasm, mut manifest) = precompile(&Guest::forward().build(), None).unwrap();
    change(&mut cwasm, &mut manifest);
    let file = folder.path().join("guest.cwasm");
    std::fs::write(&file, cwasm).unwrap();
    std::fs::write(file.with_added_extension("json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    Plugin::load(&Engine::new().unwrap(), Settings::at("guest", file))
}

#[test]
fn a_precompiled_plugin_runs_under_its_manifest() {
    let plugin = load_native(|_, _| {}).expect("loads");
    assert_eq!(plugin.digest(), digest(&Guest::forward().build()));
    assert!(plugin.transform(&message(), plugin.limits()).verdict.is_ok());
}

#[test]
fn a_precompiled_plugin_that_was_changed_or_made_elsewhere_is_refused() {
    type Change = fn(&mut Vec<u8>, &mut Manifest);
    let cases: [(&str, Change, &str); 6] = [
        ("a flipped bit", |cwasm, _| cwasm[5000] ^= 1, "changed or damaged"),
        ("cut off", |cwasm, _| cwasm.truncate(1000), "changed or damaged"),
        ("an edited manifest", |_, manifest| manifest.wasmtime = "1.0.0".into(), "digest does not match"),
        ("another wasmtime", |_, manifest| reseal(manifest, |m| m.wasmtime = "47.0.0".into()), "wasmtime \"47.0.0\""),
        ("another machine", |_, manifest| reseal(manifest, |m| m.target = "riscv64".into()), "\"riscv64\""),
        ("other settings", |_, manifest| reseal(manifest, |m| m.settings = "none".into()), "\"none\""),
    ];
    for (name, change, says) in cases {
        let error = load_native(change).expect_err(name);
        let error =
            format!("{error}: {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default());
        assert!(error.contains(says), "{name}: {error}");
    }
}

#[test]
fn native_code_beside_a_component_is_never_run_in_its_place() {
    let component = Guest::forward().build();
    // Told apart by what it says. Anybody can seal a manifest, so one that fits proves nothing of who compiled it.
    let (cwasm, mut forged) = precompile(&Guest::skip("native").build(), None).unwrap();
    reseal(&mut forged, |manifest| manifest.wasm_sha256 = digest(&component));
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("plugin.wasm"), &component).unwrap();
    std::fs::write(folder.path().join("plugin.cwasm"), &cwasm).unwrap();
    std::fs::write(folder.path().join("plugin.cwasm.json"), serde_json::to_vec(&forged).unwrap()).unwrap();
    let plugin = Plugin::load(&Engine::new().unwrap(), Settings::at("guest", folder.path())).expect("loads");
    assert_eq!(plugin.digest(), digest(&component));
    let verdict = plugin.transform(&message(), plugin.limits()).verdict.expect("a verdict");
    assert!(matches!(verdict, Verdict::Deliver(_)), "{verdict:?}");
}

/// Changes a manifest as its format says, so that only the change itself is wrong.
fn reseal(manifest: &mut Manifest, change: impl FnOnce(&mut Manifest)) {
    change(manifest);
    let Manifest { v, wasm_sha256, cwasm_sha256, wasmtime, target, settings, .. } = manifest;
    let content = format!("{v}\n{wasm_sha256}\n{cwasm_sha256}\n{wasmtime}\n{target}\n{settings}\n");
    manifest.digest = digest(content.as_bytes());
}

#[test]
fn the_mappings_of_the_chaos_run_are_what_their_source_makes() {
    for (name, broken) in [("mapping", false), ("broken", true)] {
        let file = format!("{}/../host/proof/guests/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        let same = std::fs::read(&file).unwrap() == Guest::of_chaos(broken).build();
        assert!(same, "{file} is old: run `cargo run -p towpath-tests --example guests`");
    }
}

#[test]
fn the_manifest_records_the_wasmtime_that_is_built_in() {
    let (_, manifest) = precompile(&Guest::forward().build(), None).unwrap();
    let lock = include_str!("../../Cargo.lock");
    let entry = format!("name = \"wasmtime\"\nversion = \"{}\"", manifest.wasmtime);
    assert!(lock.contains(&entry), "engine::WASMTIME must follow Cargo.lock");
}
