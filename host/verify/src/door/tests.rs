use std::time::Duration;

use towpath_config::{Config, Secret, Secrets};
use towpath_types::envelope::Webhook;

use super::*;

fn keys(names: &[&str]) -> NoteKeys {
    NoteKeys::new(names.iter().map(|name| Secret::new(*name)).collect())
}

fn verified() -> Verified {
    Verified { route: "crm".to_owned(), at: Timestamp(5), by: "github".to_owned() }
}

/// A message as the front door stores it, and as the pipeline receives it.
fn attested(keys: &NoteKeys, item: Option<&str>) -> Received {
    let attributes = item.map(|item| (ITEM_ATTRIBUTE.to_owned(), Attribute::text(item))).into_iter().collect();
    let mut message = NewMessage { group: "g".into(), dedup_id: None, body: "body".into(), attributes };
    attest(keys, &mut message, Some(&"old".into()), &verified());
    Received {
        id: "m-1".into(),
        group: message.group,
        dedup_id: None,
        sequence: None,
        receive_count: 1,
        sent_at: Timestamp(6),
        body: message.body,
        attributes: message.attributes,
        trace: None,
        handle: "h".into(),
    }
}

async fn holds(keys: &NoteKeys, received: &Received, route: &str) -> bool {
    verdict(keys, received, route, Instant::now() + Duration::from_secs(1)).await.is_some()
}

#[tokio::test]
async fn a_verdict_holds_only_for_its_own_route_group_position_and_body() {
    let own = keys(&["new", "old"]);
    let right = attested(&keys(&["old"]), Some("3"));
    let found = verdict(&own, &right, "crm", Instant::now() + Duration::from_secs(1)).await;
    assert_eq!(found, Some(verified()), "an older key still vouches");
    let moved = Received { group: "old".into(), ..right.clone() };
    assert!(holds(&own, &moved, "crm").await, "the store may put it into the group of an earlier version");

    assert!(!holds(&keys(&["other"]), &right, "crm").await, "another key");
    assert!(!holds(&keys(&[]), &right, "crm").await, "no key");
    assert!(!holds(&own, &right, "erp").await, "route");
    assert!(!holds(&own, &Received { group: "h".into(), ..right.clone() }, "crm").await, "group");
    assert!(!holds(&own, &Received { body: "another".into(), ..right.clone() }, "crm").await, "body");
    let mut changed = right.clone();
    changed.attributes.insert(ITEM_ATTRIBUTE.to_owned(), Attribute::text("4"));
    assert!(!holds(&own, &changed, "crm").await, "position");
    for (from, to) in [("\"at\":5", "\"at\":6"), ("github", "gitlab"), ("\"old\"", "\"new\"")] {
        let mut forged = right.clone();
        let text = forged.attributes[VERDICT_ATTRIBUTE].as_text().expect("text").replace(from, to);
        forged.attributes.insert(VERDICT_ATTRIBUTE.to_owned(), Attribute::text(text));
        assert!(!holds(&own, &forged, "crm").await, "{from}");
    }
    let mut none = right;
    none.attributes.insert(VERDICT_ATTRIBUTE.to_owned(), Attribute::text("{}"));
    assert!(!holds(&own, &none, "crm").await, "no verdict");
}

#[tokio::test]
async fn a_host_that_cuts_headers_renews_a_verdict_that_held() {
    let own = keys(&["new", "old"]);
    let right = attested(&keys(&["old"]), None);
    let cut = |received: &Received| {
        let attributes = received.attributes.clone();
        let mut message = NewMessage { group: "g".into(), dedup_id: None, body: "cut".into(), attributes };
        renew(&own, received, &mut message);
        Received { body: message.body, attributes: message.attributes, ..received.clone() }
    };
    assert!(holds(&own, &cut(&right), "crm").await);
    let forged = Received { body: "another".into(), ..right };
    assert!(!holds(&own, &cut(&forged), "crm").await);
}

#[test]
fn without_a_key_no_verdict_is_stored() {
    assert!(attested(&keys(&[]), None).attributes.is_empty());
}

#[test]
fn the_secret_that_proves_a_webhook_is_named() {
    let text = r#"
        [[route]]
        path = "crm"
        group = "crm/all"
        plugin = "crm"
        verify = [
            { scheme = "header", name = "x-key", secret = ["one", "two"] },
            { scheme = "header", name = "x-other", secret = "three" },
        ]
        [plugin.crm]
        path = "crm.wasm"
    "#;
    let values = [("one", "first-value"), ("two", "second-value"), ("three", "third-value")];
    let secrets = Secrets::of(values.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let config = Config::parse(text, "towpath.toml".as_ref(), &secrets).expect("it is sound");
    let verification = config.routes.by_path("crm").expect("the route").verify.as_ref().expect("verify");
    for (header, value, name) in
        [("x-key", "first-value", "one"), ("x-key", "second-value", "two"), ("x-other", "third-value", "three")]
    {
        let headers = vec![(header.to_owned(), value.as_bytes().to_vec())];
        let webhook = Webhook { headers, ..Webhook::default() };
        assert_eq!(proven_by(verification, Evidence::arriving(&webhook, Timestamp(0))), name);
    }
}
