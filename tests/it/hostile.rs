//! Plugins that mean harm: each is contained, and told by its reason; its neighbours do not notice.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use towpath_engine::pipeline::Settlement;
use towpath_engine::poll::{self, Options};
use towpath_tests::guest::Guest;
use towpath_tests::rig::Rig;
use towpath_tests::target::Target;

/// The guests of `tests/guests`, and what becomes of their messages; `""` is a skip.
const GUESTS: [(&str, &str); 13] = [
    ("spin", "plugin-fuel"),
    ("recurse", "plugin-trap"),
    ("grow", "plugin-limit"),
    ("return-1-gib", "plugin-trap"),
    ("return-a-million-requests", "plugin-trap"),
    ("return-many-requests", "plugin-limit"),
    ("log", "plugin-limit"),
    ("print", "plugin-limit"),
    ("hoard", "plugin-limit"),
    ("random", "plugin-trap"),
    ("sleep", ""),
    ("wait", ""),
    ("poison", ""),
];

/// A config with a well-behaved plugin for `good/…`, and the guest `bad` for `bad/…`.
fn two_routes(url: &str, limits: &str) -> String {
    let route = |name| {
        format!(
            "[[route]]\npath = '{name}'\ngroup = '{name}/{{json:/k}}'\nplugin = '{name}'\n[plugin.{name}]\npath = '{name}.wasm'\n"
        )
    };
    format!("{}{}{limits}\n[target.sss]\nurl = '{url}'\nallow_private = true\n", route("good"), route("bad"))
}

#[test]
fn every_guest_of_the_folder_is_in_the_table() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/guests");
    let mut found: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let mut known: Vec<String> = GUESTS.iter().map(|(name, _)| format!("{name}.wat")).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

#[tokio::test]
async fn what_a_hostile_plugin_does_is_told_by_its_reason_and_the_next_call_is_a_fresh_one() {
    let target = Target::fine().await;
    for (name, reason) in GUESTS {
        let rig = Rig::new().await;
        rig.write("good", Guest::forward());
        rig.write("bad", Guest::hostile(name).named("good"));
        // Longer than any of them takes on a busy machine: what is told is what was counted.
        let pipeline = rig.pipeline(&two_routes(&target.url, "limits = { timeout = '60s' }"));
        for n in 0..3 {
            rig.send("bad/1", &n.to_string()).await;
        }
        let before = target.calls().len();
        rig.send("good/1", "{}").await;
        let end = if reason.is_empty() { Settlement::Ack } else { Settlement::Buried };
        assert_eq!(rig.run(&pipeline).await, [end, end, end, Settlement::Ack], "{name}");
        assert_eq!(target.calls().len(), before + 1, "{name}");
        let letters = rig.letters().await;
        let reasons: Vec<&str> = letters.iter().map(|letter| letter.reason.as_str()).collect();
        let expected: &[&str] = if reason.is_empty() { &[] } else { &[reason; 3] };
        assert_eq!(reasons, expected, "{name}: {:?}", letters.first().map(|letter| &letter.detail));
        // It calls itself `good`: what it is called is what the config calls it.
        assert!(letters.iter().all(|letter| letter.plugin.as_deref() == Some("bad")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_plugins_spin_to_the_end_of_their_time_the_groups_of_others_go_on() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    rig.write("good", Guest::forward());
    rig.write("bad", Guest::hostile("spin"));
    // More fuel than it can use: what stops it is the clock, and each of four groups spins.
    let limits = "limits = { fuel = 1_000_000_000_000_000, timeout = '3s' }";
    let pipeline = rig.pipeline(&two_routes(&target.url, limits));
    for n in 0..4 {
        rig.send(&format!("bad/{n}"), "{}").await;
    }
    for n in 0..50 {
        rig.send(&format!("good/{n}"), "{}").await;
    }
    let stop = CancellationToken::new();
    let queue = Arc::new(rig.events.clone());
    let options = Options { wait: Duration::ZERO, ..Options::default() };
    let poll = poll::run(queue, Arc::clone(&pipeline), options, Arc::default(), stop.clone());
    let others = async {
        target.called(50).await;
        let spinning = pipeline.totals();
        stop.cancel();
        spinning
    };
    let (polled, totals) = tokio::join!(poll, others);
    polled.unwrap();
    assert_eq!((totals.retried, totals.dead), (0, 0), "the fifty were delivered while all four were spinning");
    assert_eq!(pipeline.totals().retried, 4, "over its time with fuel left is the host's trouble, and tried again");
}
