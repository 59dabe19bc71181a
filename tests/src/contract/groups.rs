//! Groups and visibility.

use std::time::Duration;

use towpath_types::queue::Receive;

use super::{Maker, VISIBILITY, Wanted, delete, extend, receive, received, send};

/// Scenario 1.
pub async fn a_group_is_locked_while_its_head_is_in_flight(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1", "A2", "B1"]).await;
    let a1 = received(&*queue, 1, &["A1"]).await.remove(0);
    received(&*queue, 10, &["B1"]).await;
    received(&*queue, 10, &[]).await;
    delete(&*queue, &a1).await;
    received(&*queue, 10, &["A2"]).await;
}

/// Scenario 2.
pub async fn messages_of_one_group_come_together(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1", "B1", "A2", "A3"]).await;
    received(&*queue, 10, &["A1", "A2", "A3", "B1"]).await;
}

/// Scenario 3.
pub async fn only_the_prefix_before_an_extended_message_is_received(maker: &dyn Maker) {
    for (extended, expected) in [(0, &[][..]), (1, &["A1"]), (2, &["A1", "A2"])] {
        let (queue, _) = maker.make(Wanted::default()).await;
        send(&*queue, &["A1", "A2", "A3"]).await;
        let batch = receive(&*queue, 10).await;
        extend(&*queue, &batch[extended].handle, VISIBILITY * 3).await;
        maker.pass(VISIBILITY).await;
        received(&*queue, 10, expected).await;
    }
}

/// Scenario 4.
pub async fn a_released_head_is_received_alone(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1", "A2"]).await;
    let batch = received(&*queue, 10, &["A1", "A2"]).await;
    extend(&*queue, &batch[0].handle, Duration::ZERO).await;
    received(&*queue, 10, &["A1"]).await;
    delete(&*queue, &batch[1]).await;
}

/// Scenario 5.
pub async fn a_batch_in_flight_locks_its_group_until_it_is_all_deleted(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1", "A2", "A3", "A4"]).await;
    let batch = received(&*queue, 2, &["A1", "A2"]).await;
    delete(&*queue, &batch[0]).await;
    received(&*queue, 10, &[]).await;
    delete(&*queue, &batch[1]).await;
    received(&*queue, 10, &["A3", "A4"]).await;
}

/// Scenario 6, without its handles.
pub async fn order_is_kept_after_expiry_with_new_handles(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1", "A2", "A3"]).await;
    let first = received(&*queue, 10, &["A1", "A2", "A3"]).await;
    maker.pass(VISIBILITY).await;
    let second = received(&*queue, 10, &["A1", "A2", "A3"]).await;
    for (before, after) in first.iter().zip(&second) {
        assert_eq!((before.receive_count, after.receive_count), (1, 2));
        assert_ne!(before.handle, after.handle);
        assert_eq!((&before.id, &before.sequence), (&after.id, &after.sequence));
    }
}

/// Rule 1.4: a waiting receive gets the next message when the lock goes, not when its wait ends.
pub async fn a_waiting_receive_wakes_when_a_group_is_unlocked(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1", "A2"]).await;
    let a1 = received(&*queue, 1, &["A1"]).await.remove(0);
    let waiting = Receive { wait: Duration::from_secs(20), ..Receive::default() };
    let (woken, ()) = tokio::join!(queue.receive(waiting.clone()), delete(&*queue, &a1));
    assert_eq!(super::names(&woken.expect("receive")), ["A2"]);
    let (woken, ()) = tokio::join!(queue.receive(waiting), send(&*queue, &["B1"]));
    assert_eq!(super::names(&woken.expect("receive")), ["B1"]);
}

/// Rule 1.4: of two waiting receives only one gets messages of a group.
pub async fn two_waiting_receives_never_share_a_group(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    let waiting = || queue.receive(Receive { wait: Duration::from_secs(1), ..Receive::default() });
    let (one, other, ()) = tokio::join!(waiting(), waiting(), send(&*queue, &["A1", "A2", "A3"]));
    let one = one.expect("receive");
    let other = other.expect("receive");
    assert!(one.is_empty() != other.is_empty(), "{:?} and {:?}", super::names(&one), super::names(&other));
}
