//! The queue's own dead-letter queue, and retention.

use std::time::Duration;

use super::{Maker, VISIBILITY, Wanted, extend, receive, received, send};

/// Scenario 10.
pub async fn a_message_received_too_often_moves_and_its_group_goes_on(maker: &dyn Maker) {
    let (queue, dead) = maker.make(Wanted { max_receives: Some(2), ..Wanted::default() }).await;
    send(&*queue, &["A1"]).await;
    let first = received(&*queue, 1, &["A1"]).await.remove(0);
    maker.pass(VISIBILITY).await;
    received(&*queue, 1, &["A1"]).await;
    send(&*queue, &["A2"]).await;
    maker.pass(VISIBILITY).await;
    let next = received(&*queue, 10, &["A2"]).await.remove(0);
    assert_eq!(next.receive_count, 1);
    let letter = received(&*dead, 10, &["A1"]).await.remove(0);
    assert_eq!((&letter.id, &letter.group, &letter.attributes), (&first.id, &first.group, &first.attributes));
    assert_eq!(letter.dedup_id, Some(first.id.as_str().into()));
    assert_eq!(letter.receive_count, 3);
}

/// Scenario 11.
pub async fn retention_restarts_at_the_move_and_ends_in_flight(maker: &dyn Maker) {
    let hour = Duration::from_secs(3600);
    let wanted = Wanted { max_receives: Some(1), retention: Some(hour), ..Wanted::default() };
    let (queue, dead) = maker.make(wanted).await;
    send(&*queue, &["A1"]).await;
    received(&*queue, 1, &["A1"]).await;
    maker.pass(hour - Duration::from_secs(60)).await;
    received(&*queue, 1, &[]).await;
    maker.pass(hour - Duration::from_secs(60)).await;
    received(&*dead, 1, &["A1"]).await;

    send(&*queue, &["B1"]).await;
    let b1 = receive(&*queue, 1).await.remove(0);
    maker.pass(hour / 2).await;
    send(&*queue, &["B2"]).await;
    maker.pass(hour / 2 + Duration::from_millis(1)).await;
    // B1 would have come back long ago, and nobody asked; it is past its retention now.
    received(&*queue, 10, &["B2"]).await;
    drop(b1);

    send(&*queue, &["C1", "C2"]).await;
    let c1 = received(&*queue, 1, &["C1"]).await.remove(0);
    maker.pass(Duration::from_secs(20)).await;
    extend(&*queue, &c1.handle, hour * 2).await;
    maker.pass(hour / 2).await;
    send(&*queue, &["C3"]).await;
    maker.pass(hour / 2).await;
    // C1 is in flight and past its retention: it does not hold up its group.
    received(&*queue, 10, &["C3"]).await;
}
