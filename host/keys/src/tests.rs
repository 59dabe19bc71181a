use std::time::Duration;

use towpath_types::clock::Timestamp;
use towpath_verify::fetched::{Asker, Document};

use super::*;
use crate::cache::{COOLDOWN, GRACE, LAST_GOOD, LIFETIME, NEW_PER_MINUTE, NEW_PER_SENDER, RETRY};
use crate::exchange::Got;

fn wanted(url: &str, id: Option<&str>, arrived: u64) -> Wanted {
    Wanted {
        url: url.parse().expect("URL"),
        document: Document::Jwks,
        id: id.map(str::to_owned),
        bearer: None,
        allow_private: false,
        is_chosen: false,
        arrived: Timestamp(arrived),
        asker: Asker::default(),
    }
}

fn one(id: Option<&str>, arrived: u64) -> Wanted {
    wanted("https://keys.example.com/jwks.json", id, arrived)
}

fn keys(ids: &[&str]) -> Result<Got, String> {
    let key = |id: &&str| Key { id: Some((*id).to_owned()), algorithm: None, bytes: Vec::new(), valid: None };
    Ok(Got::Keys { keys: ids.iter().map(key).collect(), lifetime: None })
}

/// What the cache does: `fetch`, `join`, `unavailable`, or the ids that it has.
fn said(next: Next) -> String {
    match next {
        Next::Fetch(..) => "fetch".to_owned(),
        Next::Join(_) => "join".to_owned(),
        Next::Answer(Err(_)) => "unavailable".to_owned(),
        Next::Answer(Ok(keys)) => keys.iter().filter_map(|key| key.id.clone()).collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn keys_are_used_for_their_lifetime_and_the_last_good_ones_while_their_source_fails() {
    let mut cache = Cache::default();
    let start = Instant::now();
    let a = one(Some("a"), 5);
    let Next::Fetch(_, flight) = cache.next(&a, start) else { panic!("it was not asked") };
    assert_eq!(said(cache.next(&a, start)), "join", "single flight");
    cache.put(&a, Timestamp(6), start, keys(&["a"]));
    drop(flight);
    let expires = start + LIFETIME;
    assert_eq!(said(cache.next(&a, expires - Duration::from_secs(1))), "a");
    assert_eq!(said(cache.next(&a, expires)), "fetch");
    cache.put(&a, Timestamp(7), expires, Err("it is down".to_owned()));
    assert_eq!(said(cache.next(&a, expires)), "a");
    assert_eq!(said(cache.next(&a, expires + RETRY)), "fetch");
    let end = expires + LAST_GOOD;
    cache.put(&a, Timestamp(8), end, Err("it is down".to_owned()));
    assert_eq!(said(cache.next(&a, end)), "unavailable");
    assert_eq!(said(cache.next(&a, end + RETRY)), "fetch");
}

#[test]
fn while_a_source_hangs_its_last_good_keys_are_used() {
    let mut cache = Cache::default();
    let start = Instant::now();
    let (a, unknown) = (one(Some("a"), 5), one(Some("b"), 5));
    let meanwhile = |next: Next| match next {
        Next::Join(wait) | Next::Fetch(wait, _) => wait.meanwhile.map(|(keys, from)| (keys.len(), from)),
        Next::Answer(_) => panic!("it is not asked"),
    };
    assert_eq!(meanwhile(cache.next(&a, start)), None, "there are none yet");
    cache.put(&a, Timestamp(6), start, keys(&["a"]));
    let expires = start + LIFETIME;
    let Next::Fetch(first, _flight) = cache.next(&a, expires) else { panic!("it was not asked") };
    assert_eq!(first.meanwhile.map(|(_, from)| from), Some(expires + GRACE), "a source that is well decides");
    let later = expires + 5 * GRACE;
    assert_eq!(meanwhile(cache.next(&a, later)), Some((1, expires + GRACE)), "nobody waits for it a second time");
    assert_eq!(meanwhile(cache.next(&unknown, later)), None, "a key that was never seen must be waited for");
    assert_eq!(meanwhile(cache.next(&a, expires + LAST_GOOD)), None, "after a day they are not used");
}

#[test]
fn an_unknown_id_is_asked_for_once_and_refused_only_by_an_answer_after_its_arrival() {
    let mut cache = Cache::default();
    let start = Instant::now();
    assert_eq!(said(cache.next(&one(Some("a"), 5), start)), "fetch");
    cache.put(&one(Some("a"), 5), Timestamp(5), start, keys(&["a"]));
    assert_eq!(said(cache.next(&one(Some("b"), 5), start)), "a", "the sender said so, so that b is refused");
    assert_eq!(said(cache.next(&one(Some("b"), 6), start)), "unavailable", "b may be new");
    assert_eq!(said(cache.next(&one(Some("a"), 6), start)), "a");
    let later = start + COOLDOWN;
    assert_eq!(said(cache.next(&one(Some("b"), 6), later)), "fetch");
    cache.put(&one(Some("b"), 6), Timestamp(9), later, keys(&["a", "b"]));
    assert_eq!(said(cache.next(&one(Some("b"), 6), later)), "a b");
}

#[test]
fn whoever_can_post_cannot_make_it_ask_without_end() {
    let mut cache = Cache::default();
    let start = Instant::now();
    let chosen = |host: &str, n: u32| {
        let url = format!("https://{host}.example.com/{n}.pem");
        Wanted { document: Document::Certificate, is_chosen: true, ..wanted(&url, None, 5) }
    };
    let known = chosen("eu", 0);
    assert_eq!(said(cache.next(&known, start)), "fetch");
    cache.put(&known, Timestamp(5), start, keys(&["a"]));
    for n in 1..NEW_PER_MINUTE {
        let unknown = chosen(&format!("host-{n}"), n);
        assert_eq!(said(cache.next(&unknown, start)), "fetch");
        cache.put(&unknown, Timestamp(5), start, Ok(Got::NoSuchKey));
        assert_eq!(said(cache.next(&unknown, start)), "", "no such key");
    }
    assert_eq!(said(cache.next(&chosen("us", 1), start)), "unavailable");
    assert_eq!(said(cache.next(&known, start)), "a");
    assert_eq!(said(cache.next(&known, start + LIFETIME)), "fetch", "a known document is still refreshed");
    assert_eq!(said(cache.next(&wanted("https://keys.example.com/jwks.json", None, 5), start)), "fetch", "a fixed URL");
    for n in 0..1000 {
        let now = start + Duration::from_secs(60) * n;
        let unknown = chosen("eu", n + 1000);
        cache.next(&unknown, now);
        cache.put(&unknown, Timestamp(5), now, Ok(Got::NoSuchKey));
    }
    assert!(cache.len() <= 512, "{}", cache.len());
}

#[test]
fn one_stranger_does_not_use_up_the_fetches_of_a_sender_or_of_another_route() {
    let mut cache = Cache::default();
    let now = Instant::now();
    let mut asks = |route: &str, sender: &str, n: u32| {
        let url = format!("https://keys.example.com/{route}/{sender}/{n}.pem");
        let asker = Asker { route: route.to_owned(), sender: Some(sender.parse().expect("an address")) };
        let unknown = Wanted { document: Document::Certificate, is_chosen: true, asker, ..wanted(&url, None, 5) };
        said(cache.next(&unknown, now)) == "fetch"
    };
    let mut count = |route: &str, sender: &str| (0..100).filter(|n| asks(route, sender, *n)).count() as u32;
    assert_eq!(count("a", "203.0.113.1"), NEW_PER_SENDER, "the stranger");
    assert_eq!(count("a", "203.0.113.2"), NEW_PER_SENDER, "the sender");
    assert_eq!(count("a", "203.0.113.3") + count("a", "203.0.113.4"), NEW_PER_MINUTE - 2 * NEW_PER_SENDER);
    assert_eq!(count("b", "203.0.113.1"), NEW_PER_SENDER, "another route");
}
