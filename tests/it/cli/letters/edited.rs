//! `dlq edit`: what changes is what was asked for, and the order of the group that the event belongs to then.

use towpath_types::envelope::Webhook;
use towpath_types::queue::{NewMessage, Queue as _};

use super::{Station, ids, stations};
use crate::cli::{err, out};

/// What people and machines round, sort or mend.
const AWKWARD: &str = "\u{FEFF}{ \"z\" : 1.10,\r\n \"k\":\"A\", \"id\":9007199254740993,\t\"big\":123456789012345678901234567890, \"f\":1e400, \
    \"s\":\"\\ud83d \\u0041\", \"z\":1.10 }\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_changes_the_value_that_it_names_and_no_other_byte() {
    for station in stations(&["A1"]).await {
        let id = ids(&station.json(&["list"], &[0]).await)[0].clone();
        std::fs::write(station.rig.path().join("new.json"), AWKWARD).unwrap();
        let keep = ["--keep-group", "--note", "x"];
        station.dlq(&[&["edit", &id, "--body", "new.json"], &keep[..]].concat(), &[0]).await;
        let said =
            station.dlq(&[&["edit", &id, "--set", "/z=2.50", "--set", "/new/=1"], &keep[..]].concat(), &[2]).await;
        assert!(err(&said).contains("there is no \"/new\" in the body"), "{}", err(&said));
        let said = station.dlq(&[&["edit", &id, "--set", "/id=9007199254740995"], &keep[..]].concat(), &[0]).await;
        let changed: Vec<String> =
            out(&said).lines().filter(|line| line.trim().starts_with(['-', '+'])).map(str::to_owned).collect();
        assert!(changed.iter().all(|line| line.contains("\"id\"")) && changed.len() == 2, "{}", out(&said));
        let expected = AWKWARD.replace("9007199254740993", "9007199254740995");
        assert_eq!(out(&station.dlq(&["show", &id, "--body"], &[0]).await), expected);
        assert_eq!(station.json(&["show", &id], &[0]).await["body"], expected);
        station.fine_from_now_on();
        station.redrive(&["--all"], &[0]).await;
        station.work().await;
        assert_eq!(station.target.bodies()[1..], [expected], "what was shown is what is sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_body_that_is_no_text_is_shown_and_sent_as_it_is() {
    for station in stations(&["A1"]).await {
        let id = ids(&station.json(&["list"], &[0]).await)[0].clone();
        let body = b"{\"k\":\"A\",\"x\":\"caf\xe9 \x9b\"}";
        std::fs::write(station.rig.path().join("new.json"), body).unwrap();
        station.dlq(&["edit", &id, "--body", "new.json", "--keep-group", "--note", "x"], &[0]).await;
        assert_eq!(station.dlq(&["show", &id, "--body"], &[0]).await.stdout, body);
        let shown = station.json(&["show", &id], &[0]).await;
        assert!(shown["body"].is_null() && shown["body_base64"].is_string(), "{shown}");
        station.fine_from_now_on();
        station.redrive(&["--all"], &[0]).await;
        station.work().await;
        assert_eq!(station.target.calls()[1].body.as_ref(), body);
    }
}

/// A letter of group `g/A` by its key, as an ingest would have stored it.
async fn keyed(station: &Station) -> String {
    let webhook = Webhook { headers: Vec::new(), body: b"{\"k\":\"A\",\"n\":1}".to_vec(), ..Webhook::default() };
    let group = "g/A".into();
    let dedup_id = Some("keyed".into());
    let message = NewMessage { group, dedup_id, body: webhook.into(), attributes: Default::default() };
    station.rig.events.send(message).await.unwrap();
    station.work().await;
    ids(&station.json(&["list", "--text", "\"n\""], &[0]).await)[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_gets_another_key_goes_to_the_group_of_that_key() {
    for station in stations(&["A1", "B1"]).await {
        let id = keyed(&station).await;
        let same = station.json(&["edit", &id, "--set", "/n=2", "--note", "x"], &[0]).await;
        assert_eq!((&same["group"], &same["group_before"]), (&"g/A".into(), &serde_json::Value::Null));
        let kept = station.json(&["edit", &id, "--set", "/k=C", "--keep-group", "--note", "x"], &[0]).await;
        assert_eq!(kept["group"], "g/A", "as was asked for");
        let said = out(&station.dlq(&["edit", &id, "--set", "/k=B", "--note", "x"], &[0]).await);
        assert!(said.contains("group: g/A → g/B") && said.contains("--keep-group"), "{said}");
        let of_b = station.json(&["list", "--group", "g/B"], &[0]).await;
        assert_eq!(ids(&of_b).len(), 2, "behind the letter that was there");
        assert_eq!(ids(&of_b)[1], id);
        // The group that it left is whole, and the one that it came into: both are redriven in order.
        station.fine_from_now_on();
        assert_eq!(station.redrive(&["--group", "g/B"], &[0]).await["moved"], 2);
        assert_eq!(station.redrive(&["--all"], &[0]).await["moved"], 1);
        assert_eq!(station.rig.dead_letters.depth().await.unwrap().groups, 0);
        station.work().await;
        let bodies = station.target.bodies();
        let at = |body: &str| bodies.iter().rposition(|sent| sent == body).unwrap();
        assert!(at("B1") < at("{\"k\":\"B\",\"n\":2}"), "{bodies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_template_of_its_route_an_edit_asks_for_keep_group() {
    for station in stations(&["A1"]).await {
        let id = ids(&station.json(&["list"], &[0]).await)[0].clone();
        std::fs::write(station.rig.path().join("new.json"), "{}").unwrap();
        let config = station.rig.path().join("towpath.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("path = \"g\"", "path = \"other\"")).unwrap();
        let edit = ["edit", &id, "--body", "new.json", "--note", "x"];
        let other = station.dlq(&edit, &[2]).await;
        assert!(
            err(&other).contains("its route \"g\" is not in") && err(&other).contains("--keep-group"),
            "{}",
            err(&other)
        );
        std::fs::remove_file(&config).unwrap();
        let none = station.dlq(&edit, &[2]).await;
        let says = if station.sqs { "[dead_letters] note_key" } else { "give --config FILE, or --keep-group" };
        assert!(err(&none).contains(says), "{}", err(&none));
        // Who made the edit is proven with the key of a store; SQS has none.
        station.dlq(&[&edit[..], &["--keep-group"]].concat(), &[if station.sqs { 2 } else { 0 }]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_verified_is_edited_only_by_somebody_who_says_so() {
    for station in stations(&["A1"]).await {
        let config = station.rig.path().join("towpath.toml");
        let text = std::fs::read_to_string(&config).unwrap().replace("[dead_letters]\nnote_key = \"token\"\n", "");
        let verify = "plugin = \"guest\"\nverify = { scheme = \"github\", secret = \"key\" }";
        let text = text.replace("plugin = \"guest\"", verify) + "[dead_letters]\nnote_key = \"token\"\n";
        std::fs::write(&config, text).unwrap();
        let id = keyed(&station).await;
        let edit = ["edit", &id, "--set", "/n=2", "--note", "known by phone"];
        let refused = station.dlq(&edit, &[2]).await;
        assert!(err(&refused).contains("never proved where it comes from (unverified)"), "{}", err(&refused));
        assert!(err(&refused).contains("--accept-unverified"), "{}", err(&refused));
        // What died after it was verified, or needed no proof, needs no such word.
        let other = ids(&station.json(&["list", "--reason", "refused"], &[0]).await)[0].clone();
        std::fs::write(station.rig.path().join("new.json"), "{\"k\":\"A\"}").unwrap();
        station.dlq(&["edit", &other, "--body", "new.json", "--keep-group", "--note", "x"], &[0]).await;
        // A redrive as it is does not let it in.
        station.fine_from_now_on();
        station.redrive(&["--reason", "unverified"], &[0]).await;
        station.work().await;
        assert_eq!(station.target.calls().len(), 1);
        station.dlq(&[&edit[..], &["--accept-unverified"]].concat(), &[0]).await;
        let audit = station.json(&["audit"], &[0]).await;
        let edits: Vec<bool> = audit
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["action"] == "edit")
            .map(|entry| entry["accepted_unverified"] == true)
            .collect();
        assert_eq!(edits, [false, true], "{audit}");
        station.redrive(&["--reason", "unverified"], &[0]).await;
        station.work().await;
        assert_eq!(station.target.bodies()[1..], ["{\"k\":\"A\",\"n\":2}"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_noted_and_survives_the_redrive() {
    for station in stations(&["A1", "A2"]).await {
        let id = ids(&station.json(&["list"], &[0]).await)[0].clone();
        let refused = station.dlq(&["edit", &id, "--set", "/a=1", "--note", "x"], &[2]).await;
        assert!(err(&refused).contains("the body is not JSON"), "{}", err(&refused));
        std::fs::write(station.rig.path().join("new.json"), "{\"a\": {\"b\": 1}}").unwrap();
        station.dlq(&["edit", &id, "--body", "new.json", "--note", "ticket 1"], &[0]).await;
        station.dlq(&["edit", &id, "--set", "/a/b=2", "--set", "/a/c=x y", "--note", "ticket 2"], &[0]).await;
        assert_eq!(
            ids(&station.json(&["list", "--text", "x y"], &[0]).await),
            [id.as_str()],
            "its id is the same for life"
        );
        let shown = station.json(&["show", &id], &[0]).await;
        let body = "{\"a\": {\"b\": 2,\"c\":\"x y\"}}";
        assert_eq!(shown["body"], body);
        let notes: Vec<&str> =
            shown["notes"].as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap()).collect();
        assert_eq!(notes, ["ticket 1", "ticket 2"]);
        assert_eq!(station.rig.letters().await.len(), 2);
        let audit = station.json(&["audit"], &[0]).await;
        assert_eq!((&audit[0]["action"], &audit[0]["note"]), (&"edit".into(), &"ticket 1".into()));
        station.fine_from_now_on();
        assert_eq!(station.redrive(&["--all"], &[0]).await["moved"], 2);
        station.work().await;
        assert_eq!(station.target.bodies()[2..], [body, "A2"], "in the first order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_whose_old_letter_cannot_be_deleted_says_so_and_can_be_made_again() {
    let station = stations(&["A1"]).await.remove(1);
    assert!(station.sqs);
    // Both letters share the message's id.
    let id = station.json(&["list"], &[0]).await[0]["letter_id"].as_str().unwrap().to_owned();
    let folder = station.rig.path();
    for body in ["one", "two"] {
        std::fs::write(folder.join("new.json"), body).unwrap();
        station.refused.set(&["DeleteMessageBatch"]);
        let failed = station.dlq(&["edit", &id, "--body", "new.json", "--note", "x"], &[2]).await;
        assert!(err(&failed).contains("the old one is still there too: drop it"), "{}", err(&failed));
        assert!(err(&failed).ends_with("is not available: AccessDeniedException\n"), "{}", err(&failed));
    }
    station.refused.set(&[]);
    station.dlq(&["edit", &id, "--body", "new.json", "--note", "x"], &[0]).await;
    let letters = station.rig.dead_letters.browse(None, 100).await.unwrap();
    let bodies: Vec<Vec<u8>> = letters.iter().map(|letter| letter.body.webhook().unwrap().body.clone()).collect();
    assert_eq!(bodies, [b"one", b"two", b"two"], "every edit is there, the first letter is not");
}

/// An edit of the letter with this body, to this body.
async fn edit(station: &Station, from: &str, to: &str) {
    let id = ids(&station.json(&["list", "--text", from], &[0]).await)[0].clone();
    std::fs::write(station.rig.path().join("new.json"), to).unwrap();
    station.dlq(&["edit", &id, "--body", "new.json", "--keep-group", "--note", "x"], &[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_letter_is_not_overtaken_however_many_its_group_has() {
    let bodies: Vec<String> = (10..35).map(|n| format!("A{n}")).chain((10..13).map(|n| format!("B{n}"))).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    for station in stations(&bodies).await {
        edit(&station, "A12", "A12, edited").await;
        edit(&station, "A10", "A10, edited").await;
        edit(&station, "B12", "B12, edited").await;
        station.fine_from_now_on();
        let report = station.redrive(&["--all"], &[0]).await;
        assert_eq!((&report["moved"], &report["failed"]), (&28.into(), &serde_json::json!([])));
        station.work().await;
        for group in ["A", "B"] {
            let sent: Vec<String> =
                station.target.bodies().into_iter().skip(28).filter(|body| body.starts_with(group)).collect();
            assert!(sent.is_sorted() && sent.len() == if group == "A" { 25 } else { 3 }, "{sent:?}");
        }
        assert!(station.rig.letters().await.is_empty());
        assert_eq!(station.json(&["audit"], &[0]).await.as_array().unwrap().len(), 3 + 28);
        assert!(
            !station.rig.path().join(".towpath/behind-events-dead.fifo.jsonl").exists(),
            "nothing is left to remember"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_letter_that_somebody_dropped_holds_nothing_up() {
    let bodies: Vec<String> = (10..25).map(|n| format!("A{n}")).collect();
    let station = stations(&bodies.iter().map(String::as_str).collect::<Vec<_>>()).await.remove(1);
    edit(&station, "A10", "A10, edited").await;
    // Elsewhere: nobody here is told.
    let letters = station.rig.dead_letters.browse(None, 100).await.unwrap();
    assert!(station.rig.dead_letters.discard(&letters.last().unwrap().sequence).await.unwrap());
    station.fine_from_now_on();
    assert_eq!(station.redrive(&["--all"], &[0]).await["moved"], 14);
    station.work().await;
    assert_eq!(station.target.bodies()[15..], bodies[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_letter_of_which_nobody_here_knows_is_not_sent_behind_what_belongs_behind_it_unasked() {
    let bodies: Vec<String> = (10..25).map(|n| format!("A{n}")).collect();
    let station = stations(&bodies.iter().map(String::as_str).collect::<Vec<_>>()).await.remove(1);
    edit(&station, "A10", "A10, edited").await;
    std::fs::remove_file(station.rig.path().join(".towpath/behind-events-dead.fifo.jsonl")).unwrap();
    station.fine_from_now_on();
    let report = station.redrive(&["--all"], &[1]).await;
    let failed = report["failed"].as_array().unwrap();
    assert!(failed[0]["problem"].as_str().unwrap().contains("edited elsewhere"), "{report}");
    assert_eq!(report["moved"].as_u64().unwrap() as usize + failed.len(), 15);
    let left = station.redrive(&["--all"], &[0]).await;
    assert_eq!(left["moved"].as_u64().unwrap() as usize, failed.len(), "asked again, it goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_of_a_part_of_a_group_tells_what_it_could_not_reach() {
    let bodies: Vec<String> = (10..25).map(|n| format!("A{n}")).collect();
    let station = stations(&bodies.iter().map(String::as_str).collect::<Vec<_>>()).await.remove(1);
    edit(&station, "A10", "A10, edited").await;
    station.fine_from_now_on();
    let report = station.redrive(&["--text", "A15"], &[1]).await;
    assert_eq!(report["moved"], 0);
    assert!(report["failed"][0]["problem"].as_str().unwrap().contains("redrive its whole group"), "{report}");
    assert_eq!(station.redrive(&["--all"], &[0]).await["moved"], 15);
    station.work().await;
    let sent = station.target.bodies().split_off(15);
    assert!(sent.is_sorted() && sent.len() == 15, "{sent:?}");
}

/// A letter whose `webhook-id` was derived from its key, as an ingest would have stored it.
async fn derived(station: &Station) -> (String, String) {
    let config = station.rig.path().join("towpath.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replacen("path = \"g\"", "path = \"g\"\ndedup = \"json:/id\"", 1)).unwrap();
    let webhook = Webhook { headers: Vec::new(), body: b"{\"k\":\"A\",\"id\":1}".to_vec(), ..Webhook::default() };
    let config = station.rig.config(&std::fs::read_to_string(&config).unwrap());
    let keys = towpath_route::keys(config.routes.by_path("g").unwrap(), &webhook);
    let group = keys.group.clone();
    let dedup_id = Some("derived".into());
    let attributes = keys.attributes();
    let message = NewMessage { group, dedup_id, body: webhook.into(), attributes };
    station.rig.events.send(message).await.unwrap();
    station.work().await;
    let id = ids(&station.json(&["list", "--text", "\"id\""], &[0]).await)[0].clone();
    (id, keys.dedup.unwrap().webhook_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_changes_the_deduplication_key_says_that_the_webhook_id_stays_or_changes_it_if_asked() {
    for station in stations(&["A1"]).await {
        let (id, before) = derived(&station).await;
        let same = out(&station.dlq(&["edit", &id, "--set", "/n=2", "--note", "x"], &[0]).await);
        assert!(!same.contains("webhook-id"), "{same}");
        let kept = out(&station.dlq(&["edit", &id, "--set", "/id=2", "--note", "x"], &[0]).await);
        assert!(kept.contains(&format!("webhook-id: {before} stays")) && kept.contains("--new-webhook-id"), "{kept}");
        let kept = station.json(&["edit", &id, "--set", "/id=3", "--note", "x"], &[0]).await;
        let of_key = kept["webhook_id_of_key"].as_str().unwrap().to_owned();
        assert!(kept["webhook_id"] == before && of_key.starts_with("msg_") && of_key != before, "{kept}");
        let renewed = ["edit", &id, "--set", "/id=4", "--new-webhook-id", "--note", "x"];
        let new = station.json(&renewed, &[0]).await;
        let now = new["webhook_id"].as_str().unwrap().to_owned();
        assert!(now != before && now != of_key && new["webhook_id_of_key"].is_null(), "{new}");
        assert_eq!(station.json(&["show", &now], &[0]).await["message_id"], id.as_str(), "it is known by both");
        station.fine_from_now_on();
        station.redrive(&["--all"], &[0]).await;
        station.work().await;
        assert_eq!(station.target.calls().last().unwrap().header("webhook-id"), now);
        std::fs::remove_file(station.rig.path().join("towpath.toml")).unwrap();
    }
}
