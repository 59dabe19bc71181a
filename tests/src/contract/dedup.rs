//! Deduplication.

use std::time::Duration;

use towpath_types::queue::{Attributes, NewMessage};

use super::{Maker, Wanted, delete, message, received};

/// Scenario 8.
pub async fn a_duplicate_is_answered_and_swallowed_for_five_minutes(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    let first = queue.send(message("A1")).await.expect("send");
    let a1 = received(&*queue, 10, &["A1"]).await.remove(0);
    delete(&*queue, &a1).await;
    let again = queue.send(NewMessage { attributes: Attributes::new(), ..message("A1") }).await.expect("send");
    assert_eq!(first, again);
    received(&*queue, 10, &[]).await;
    maker.pass(Duration::from_secs(5 * 60) + Duration::from_millis(1)).await;
    let later = queue.send(message("A1")).await.expect("send");
    assert_ne!(first.id, later.id);
    received(&*queue, 10, &["A1"]).await;
}

/// Scenario 9.
pub async fn dedup_scope_is_the_queue_or_the_group(maker: &dyn Maker) {
    for (per_group, expected) in [(false, &["A1"][..]), (true, &["A1", "B1"])] {
        let (queue, _) = maker.make(Wanted { per_group, ..Wanted::default() }).await;
        for name in ["A1", "B1"] {
            queue.send(NewMessage { dedup_id: Some("same".into()), ..message(name) }).await.expect(name);
        }
        received(&*queue, 10, expected).await;
    }
}

/// Scenario 9, rule 2.3: two equal bodies within five minutes are one message, whatever their attributes.
pub async fn content_dedup_looks_at_the_body_only(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted { by_content: true, ..Wanted::default() }).await;
    let without = |name, attributes| NewMessage { dedup_id: None, attributes, ..message(name) };
    let first = queue.send(without("A1", message("A1").attributes)).await.expect("send");
    let again = queue.send(without("A1", Attributes::new())).await.expect("send");
    assert_eq!(first, again);
    queue.send(without("A2", Attributes::new())).await.expect("send");
    received(&*queue, 10, &["A1", "A2"]).await;
    let (explicit, _) = maker.make(Wanted::default()).await;
    assert!(explicit.send(without("A1", Attributes::new())).await.is_err(), "an id must be given or made");
}
