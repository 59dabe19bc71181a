//! Shadows and canaries: another build on real traffic.

use towpath_engine::pipeline::Settlement;
use towpath_plugin::LoadError;
use towpath_tests::guest::{Guest, Request};
use towpath_tests::registry::publish;
use towpath_tests::rig::Rig;
use towpath_tests::target::Target;

use super::{Host, config, registry};

#[tokio::test]
async fn a_shadow_sees_the_same_messages_sends_nothing_and_differences_are_counted() {
    let target = Target::fine().await;
    let rig = Rig::new().await;
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::forward(), None).await.unwrap();
    let other = Request { path: "/other", ..Request::default() };
    publish(&registry, "crm", "candidate", Guest::deliver(&[other]), None).await.unwrap();
    let text = config("shadow = \"crm@candidate\"").replace("http://127.0.0.1:9", &target.url);
    let host = Host::try_start(rig, &text, None).await.unwrap_or_else(|problem| panic!("{problem}"));
    host.rig.send("crm/1", "{}").await;
    assert_eq!(host.rig.run(&host.pipeline).await, [Settlement::Ack]);
    let paths: Vec<String> = target.calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/t"], "the shadow's request is not made");
    assert_eq!((host.pipeline.totals().shadow_differed, host.pipeline.totals().shadow_agreed), (1, 0));
    publish(&registry, "crm", "candidate", Guest::forward(), None).await.unwrap();
    host.look().await;
    host.rig.send("crm/1", "{}").await;
    host.rig.run(&host.pipeline).await;
    assert_eq!((host.pipeline.totals().shadow_differed, host.pipeline.totals().shadow_agreed), (1, 1));
    assert_eq!(target.calls().len(), 2);
}

#[tokio::test]
async fn whatever_a_shadow_does_the_message_is_done_with() {
    for (what, guest) in [
        ("traps", Guest::code("(unreachable)")),
        ("spins", Guest::code("(loop $l (br $l))")),
        ("rejects", Guest::reject("no")),
        ("fails", Guest::error("no")),
    ] {
        let target = Target::fine().await;
        let rig = Rig::new().await;
        let registry = registry(&rig);
        publish(&registry, "crm", "current", Guest::forward(), None).await.unwrap();
        publish(&registry, "crm", "candidate", guest, None).await.unwrap();
        let text = config("shadow = \"crm@candidate\"").replace("http://127.0.0.1:9", &target.url);
        let text = text.replace("[plugin.crm]", "[plugin.crm]\nlimits = { fuel = 1_000_000 }");
        let host = Host::try_start(rig, &text, None).await.unwrap_or_else(|problem| panic!("{problem}"));
        host.rig.send("crm/1", "{}").await;
        assert_eq!(host.rig.run(&host.pipeline).await, [Settlement::Ack], "{what}");
        assert_eq!(target.calls().len(), 1, "{what}");
        assert!(host.rig.letters().await.is_empty(), "{what}");
        assert_eq!(host.pipeline.totals().shadow_differed, 1, "{what}");
    }
}

#[tokio::test]
async fn a_message_that_must_come_again_is_not_compared_yet() {
    let rig = Rig::new().await;
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::retry("later", 60_000), None).await.unwrap();
    publish(&registry, "crm", "candidate", Guest::skip("done"), None).await.unwrap();
    let host = Host::start(rig, "shadow = \"crm@candidate\"").await;
    host.rig.send("crm/1", "{}").await;
    assert!(matches!(host.rig.run(&host.pipeline).await[..], [Settlement::Retry(_)]));
    assert_eq!(host.pipeline.totals().shadow_differed, 0);
}

#[tokio::test]
async fn a_canary_gets_whole_groups() {
    let rig = Rig::new().await;
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::reject("live"), None).await.unwrap();
    publish(&registry, "crm", "candidate", Guest::reject("canary"), None).await.unwrap();
    let host = Host::start(rig, "canary = \"30%\"\nshadow = \"crm@candidate\"").await;
    for group in 0..40 {
        for _ in 0..2 {
            host.rig.send(&format!("crm/{group}"), "{}").await;
        }
    }
    for _ in 0..20 {
        host.rig.run(&host.pipeline).await;
    }
    let letters = host.rig.letters().await;
    assert_eq!(letters.len(), 80);
    let canary = letters.iter().filter(|letter| letter.plugin.as_deref() == Some("crm@candidate"));
    let count = canary.clone().count();
    assert!(canary.clone().all(|letter| letter.detail.starts_with("canary")));
    assert!((2..=60).contains(&count) && count % 2 == 0, "{count} of 80");
    let compared = host.pipeline.totals();
    assert_eq!(compared.shadow_differed + compared.shadow_agreed, 80 - count as u64, "a canary is its own candidate");
}

#[tokio::test]
async fn without_a_candidate_the_live_plugin_gets_every_group() {
    let rig = Rig::new().await;
    let registry = registry(&rig);
    publish(&registry, "crm", "current", Guest::reject("live"), None).await.unwrap();
    let host = Host::start(rig, "canary = \"100%\"\nshadow = \"crm@candidate\"").await;
    assert_eq!(host.reason().await, "live");
    publish(&registry, "crm", "candidate", Guest::reject("canary"), None).await.unwrap();
    host.look().await;
    host.rig.send("crm/1", "{}").await;
    host.rig.run(&host.pipeline).await;
    assert_eq!(host.rig.letters().await.last().unwrap().detail.split(':').next(), Some("canary"));
}

#[tokio::test]
async fn a_pin_in_the_config_holds_for_the_component_of_a_release() {
    let rig = Rig::new().await;
    let registry = registry(&rig);
    let one = publish(&registry, "crm", "current", Guest::reject("one"), None).await.unwrap();
    let wasm_sha256 = registry.release("crm", &one).await.unwrap().wasm_sha256;
    let text = config("").replace("[plugin.crm]", &format!("[plugin.crm]\nsha256 = \"{wasm_sha256}\""));
    let host = Host::try_start(rig, &text, None).await.unwrap_or_else(|problem| panic!("{problem}"));
    publish(&registry, "crm", "current", Guest::reject("two"), None).await.unwrap();
    host.look().await;
    assert_eq!(host.reason().await, "one");
    let text = text.replace(&wasm_sha256, &"0".repeat(64));
    let problem = Host::try_start(host.rig, &text, None).await.err().unwrap();
    let pin = LoadError::Pin { pinned: "0".repeat(64), found: String::new() }.to_string();
    assert!(problem.contains(pin.split(" the config").nth(1).unwrap()), "{problem}");
}
