use super::*;
use crate::outcome::Answer;
use crate::queue::{Handle, MAX_MESSAGE_BYTES};

fn received(body: impl Into<Body>, attributes: usize) -> Received {
    let attributes = (0..attributes).map(|n| (format!("x-{n}"), Attribute::text(n.to_string()))).collect();
    Received {
        id: "m-2".into(),
        group: "g".into(),
        dedup_id: None,
        sequence: Some("7".into()),
        receive_count: 3,
        sent_at: Timestamp(1000),
        body: body.into(),
        attributes,
        trace: None,
        handle: Handle::from("h"),
    }
}

fn unsealed(_: &GroupId, _: &Body) -> Option<String> {
    None
}

fn letter(received: &Received) -> DeadLetter {
    let attempt = Attempt {
        target: "sss".into(),
        method: "POST".into(),
        path: "/t".into(),
        answer: Answer::Status { status: 404, excerpt: "no such ticket \u{FFFF}".repeat(60) },
        millis: 3,
    };
    let death = Death { code: "refused", detail: "d".repeat(5000) };
    let outcome = Outcome::Refused(vec![attempt]);
    DeadLetter::new(received, &outcome, death, Seen::default(), "q", Timestamp(2000))
}

#[test]
fn a_letter_keeps_body_group_and_attributes_and_says_why() {
    let received = received("{\"a\":1}", 2);
    let packed = letter(&received).pack(&received, MAX_MESSAGE_BYTES, |_| false, unsealed).expect("it fits");
    assert_eq!((&*packed.body.text(), packed.group.as_str()), ("{\"a\":1}", "g"));
    assert_eq!(packed.dedup_id, Some("m-2".into()));
    assert_eq!(packed.attributes.len(), 3);
    let read = DeadLetter::read(&packed.attributes).expect("readable");
    assert_eq!((read.reason.as_str(), read.status, read.detail.len()), ("refused", Some(404), MAX_DETAIL));
    assert_eq!((read.id.as_str(), read.sequence.as_deref()), ("m-2", Some("7")));
    assert!(!read.excerpt.contains('\u{FFFF}'));
}

#[test]
fn ten_attributes_become_headers_of_an_envelope_to_free_one_for_the_letter() {
    let received = received("{}", 10);
    let packed = letter(&received).pack(&received, MAX_MESSAGE_BYTES, |_| false, unsealed).expect("it fits");
    assert_eq!(packed.attributes.len(), 1);
    let webhook = packed.body.webhook().expect("envelope");
    assert_eq!((webhook.headers.len(), webhook.body.as_slice()), (10, b"{}".as_slice()));
}

#[test]
fn a_letter_fits_even_if_the_body_nearly_fills_the_message() {
    let received = received("x".repeat(MAX_MESSAGE_BYTES - 1024), 0);
    let packed = letter(&received).pack(&received, MAX_MESSAGE_BYTES, |_| false, unsealed).expect("it fits");
    let total = packed.size();
    assert!(total <= MAX_MESSAGE_BYTES, "{total}");
    assert_eq!(DeadLetter::read(&packed.attributes).expect("readable").reason, "refused");
}

#[test]
fn a_letter_is_cut_to_fit_its_queue_but_never_its_body() {
    let headers = vec![
        ("content-type".to_owned(), b"application/json".to_vec()),
        ("x-long".to_owned(), vec![b'l'; 3000]),
        ("x-signature".to_owned(), vec![b's'; 2000]),
        ("x-longer".to_owned(), vec![b'm'; 4000]),
    ];
    let body = vec![b'b'; 3000];
    let received = received(Webhook { headers, body: body.clone(), ..Webhook::default() }, 0);
    let keeps = |name: &str| name == "x-signature";
    let letter = letter(&received);
    let whole = letter.pack(&received, MAX_MESSAGE_BYTES, keeps, unsealed).expect("it fits").size();
    let mut cuts = Vec::new();
    for most in (0..=whole).rev().step_by(17) {
        let Ok(message) = letter.pack(&received, most, keeps, unsealed) else {
            let refused = letter.pack(&received, most, keeps, unsealed).expect_err("too large");
            assert!(refused.needed > most && refused.to_string().contains("MaximumMessageSize"), "{refused}");
            break;
        };
        assert!(message.size() <= most, "{} for {most}", message.size());
        let read = DeadLetter::read(&message.attributes).expect("readable");
        let webhook = message.body.webhook().expect("an envelope");
        assert_eq!(webhook.body, body, "{most}");
        assert!(webhook.headers.iter().any(|(name, _)| name == "x-signature"), "{most}");
        assert_eq!((read.reason.as_str(), read.id.as_str()), ("refused", "m-2"));
        if cuts.last() != Some(&read.cut) {
            cuts.push(read.cut);
        }
    }
    let steps: Vec<String> = cuts.iter().map(|cut| cut.join(" ")).collect();
    let expected = ["", "story", "story excerpt", "story excerpt detail", "story excerpt detail 1 headers"];
    assert_eq!(steps[..5], expected, "the largest parts that matter least go first");
    assert_eq!(steps.last().map(String::as_str), Some("story excerpt detail 3 headers"), "all but the signature");
}

#[test]
fn headers_of_a_direct_message_are_cut_as_well_and_ten_of_them_without_an_envelope() {
    let mut received = received("x".repeat(1000), 9);
    received.attributes.insert("X-Signature".to_owned(), Attribute::text("s"));
    received.attributes.insert("x-0".to_owned(), Attribute::text("long".repeat(100)));
    let letter = letter(&received);
    let packed = letter.pack(&received, 1700, |name| name == "x-signature", unsealed).expect("it fits");
    assert_eq!(packed.body, Body::from("x".repeat(1000)));
    assert!(packed.attributes.contains_key("X-Signature") && !packed.attributes.contains_key("x-0"));
    assert!(packed.attributes.len() <= MAX_ATTRIBUTES && packed.size() <= 1700, "{}", packed.size());
}

#[test]
fn an_envelope_with_ten_foreign_attributes_still_gets_its_letter() {
    let headers = vec![("x-long".to_owned(), vec![b'l'; 3000])];
    let received = received(envelope::encode(&Webhook { headers, body: b"{}".to_vec(), ..Webhook::default() }), 10);
    let packed = letter(&received).pack(&received, 2000, |_| false, unsealed).expect("it fits without its header");
    assert!(packed.attributes.len() <= MAX_ATTRIBUTES && packed.size() <= 2000, "{}", packed.size());
    assert_eq!(packed.body.webhook().expect("an envelope").body, b"{}");
}

#[test]
fn an_edited_direct_message_keeps_its_headers_whatever_its_body_becomes() {
    let attributes = received(String::new(), 2).attributes;
    let stored = Stored { id: &"l-1".into(), group: &"g".into(), body: &"{}".into(), attributes: &attributes };
    let note = Note { at: Timestamp(1), by: "ops".into(), text: "why".into(), unverified: false };
    let bodies: [&[u8]; 4] = [b"{\"a\":1}", b"\xff\x00", b"{\"v\":1,\"headers\":[]}", b"\x01"];
    for body in bodies {
        let (text, attributes) = DeadLetter::default().edited(&stored, body.to_vec(), vec![note.clone()], |_, _| None);
        let webhook = webhook(&text, &attributes).expect("a webhook");
        assert_eq!(webhook.body, body);
        let names: Vec<&str> = webhook.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-0", "x-1"], "{body:?}");
    }
}

#[test]
fn a_letter_that_is_cut_down_is_sealed_as_it_is_stored() {
    let headers = (0..40).map(|n| (format!("x-{n}"), vec![b'v'; 50])).collect();
    let received = received(envelope::encode(&Webhook { headers, body: b"{}".to_vec(), ..Webhook::default() }), 0);
    let seal = |group: &GroupId, body: &Body| Some(format!("{group}/{}", body.len()));
    for most in [MAX_MESSAGE_BYTES, 2500, 1700] {
        let packed = letter(&received).pack(&received, most, |_| false, seal).expect("it fits");
        assert!(packed.size() <= most, "{most}");
        let mac = DeadLetter::read(&packed.attributes).and_then(|letter| letter.mac);
        assert_eq!(mac, Some(format!("g/{}", packed.body.len())), "{most}");
    }
}
