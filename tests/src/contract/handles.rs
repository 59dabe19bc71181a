//! Receipt handles, limits, and what a message carries.

use std::time::Duration;

use towpath_types::envelope::Webhook;
use towpath_types::queue::{
    Attribute, AttributeValue, Handle, MAX_VISIBILITY, MAX_WAIT, NewMessage, Queue, QueueError, Receive,
};

use super::{Maker, VISIBILITY, Wanted, delete, extend, message, receive, received, send};

/// Scenarios 6 and 7.
pub async fn an_expired_handle_neither_deletes_nor_extends(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1", "A2"]).await;
    let first = received(&*queue, 10, &["A1", "A2"]).await;
    extend(&*queue, &first[1].handle, VISIBILITY * 4).await;
    maker.pass(VISIBILITY).await;
    let expired = delete_error(&*queue, &first[0].handle).await;
    assert!(matches!(expired, QueueError::HandleExpired), "{expired}");
    let second = received(&*queue, 10, &["A1"]).await;
    let expired = delete_error(&*queue, &first[0].handle).await;
    assert!(matches!(expired, QueueError::HandleExpired), "{expired}");
    let changed = queue.change_visibility(&[(first[0].handle.clone(), VISIBILITY)]).await;
    assert!(matches!(changed.as_slice(), [Err(_)]), "{changed:?}");
    delete(&*queue, &second[0]).await;
    // The one that was extended is still held by its first handle.
    delete(&*queue, &first[1]).await;
}

/// Rule 1.6.
pub async fn deleting_twice_is_no_error(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1"]).await;
    let a1 = received(&*queue, 1, &["A1"]).await.remove(0);
    delete(&*queue, &a1).await;
    delete(&*queue, &a1).await;
    let changed = queue.change_visibility(&[(a1.handle, VISIBILITY)]).await;
    assert!(matches!(changed.as_slice(), [Err(QueueError::NotInFlight)]), "{changed:?}");
    let garbage = delete_error(&*queue, &Handle::from("garbage")).await;
    assert!(matches!(garbage, QueueError::HandleInvalid), "{garbage}");
}

/// Rule 1.7: twelve hours from the receive, all extensions together.
pub async fn a_message_is_held_for_twelve_hours_at_most(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1"]).await;
    let a1 = received(&*queue, 1, &["A1"]).await.remove(0);
    extend(&*queue, &a1.handle, MAX_VISIBILITY).await;
    maker.pass(Duration::from_secs(60)).await;
    extend(&*queue, &a1.handle, MAX_VISIBILITY - Duration::from_secs(60)).await;
    let changed = queue.change_visibility(&[(a1.handle.clone(), MAX_VISIBILITY)]).await;
    assert!(matches!(changed.as_slice(), [Err(QueueError::Invalid(_))]), "{changed:?}");
}

/// Rule 1.8, scenario 27.
pub async fn a_lost_receive_is_replayed_until_something_changed(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    send(&*queue, &["A1", "A2", "B1"]).await;
    let attempt = |id: &str| Receive { max: 2, attempt_id: Some(id.to_owned()), ..Receive::default() };
    let first = queue.receive(attempt("r-1")).await.expect("receive");
    let again = queue.receive(attempt("r-1")).await.expect("receive");
    assert_eq!(super::names(&first), ["A1", "A2"]);
    assert_eq!(first, again);
    let other = queue.receive(attempt("r-2")).await.expect("receive");
    assert_eq!(super::names(&other), ["B1"]);
    delete(&*queue, &first[0]).await;
    assert!(queue.receive(attempt("r-1")).await.expect("receive").is_empty());
}

/// A message keeps everything that it was sent with.
pub async fn what_is_sent_is_received_as_it_was(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    let mut sent = message("A1");
    sent.body = "{\"text\":\"a \\u0000 \u{1F6F6} \r\n\t\"}".into();
    let binary = Attribute { data_type: "Binary.x".into(), value: AttributeValue::Binary(vec![0, 255]) };
    sent.attributes.insert("raw".to_owned(), binary);
    let answer = queue.send(sent.clone()).await.expect("send");
    let one = receive(&*queue, 1).await.remove(0);
    assert_eq!((one.id, one.sequence), (answer.id, answer.sequence));
    assert_eq!((one.body, one.attributes, one.group), (sent.body, sent.attributes, sent.group));
    assert_eq!((one.dedup_id, one.receive_count), (Some("A1".into()), 1));

    let headers = vec![("x".to_owned(), b"\xff\xfe".to_vec()), ("x".to_owned(), "\u{FFFF}\"".into())];
    let webhook = Webhook { headers, query: "a=%00".to_owned(), body: b"\x00\xff\r\n".to_vec(), ..Webhook::default() };
    queue.send(NewMessage { body: webhook.clone().into(), ..message("B1") }).await.expect("send");
    let one = receive(&*queue, 1).await.remove(0);
    assert_eq!(*one.body.webhook().expect("a webhook"), webhook);
}

/// Rules 1.9, 2.5 and 3.7.
pub async fn limits_are_checked(maker: &dyn Maker) {
    let (queue, _) = maker.make(Wanted::default()).await;
    let attributes = |count: usize| (0..count).map(|n| (format!("a-{n}"), Attribute::text("x"))).collect();
    let wrong = [
        ("a space in the group", NewMessage { group: "a b".into(), ..message("A1") }),
        ("a long group", NewMessage { group: "x".repeat(129).into(), ..message("A1") }),
        ("no deduplication id", NewMessage { dedup_id: None, ..message("A1") }),
        ("an empty body", NewMessage { body: "".into(), ..message("A1") }),
        ("a body that is no XML", NewMessage { body: "\u{1}".into(), ..message("A1") }),
        ("a body over 1 MiB", NewMessage { body: "x".repeat(1024 * 1024).into(), ..message("A1") }),
        ("eleven attributes", NewMessage { attributes: attributes(11), ..message("A1") }),
    ];
    for (name, message) in wrong {
        let result = queue.send(message).await;
        let refused = matches!(result, Err(QueueError::Invalid(_) | QueueError::TooLong { most: Some(1_048_576), .. }));
        assert!(refused, "{name}: {result:?}");
    }
    queue.send(NewMessage { attributes: attributes(10), ..message("A1") }).await.expect("ten attributes");
    for request in [
        Receive { max: 0, ..Receive::default() },
        Receive { max: 11, ..Receive::default() },
        Receive { wait: MAX_WAIT + Duration::from_secs(1), ..Receive::default() },
    ] {
        assert!(matches!(queue.receive(request.clone()).await, Err(QueueError::Invalid(_))), "{request:?}");
    }
}

async fn delete_error(queue: &dyn Queue, handle: &Handle) -> QueueError {
    let mut results = queue.delete(std::slice::from_ref(handle)).await;
    results.remove(0).expect_err("the handle is not valid any more")
}
