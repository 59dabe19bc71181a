use towpath_config::Secret;
use towpath_config::value::Digest;
use towpath_config::verify::{Algorithm, Keys, NamedSecret, Signature, StandardWebhooks, TOLERANCE, Token, Written};

use super::*;

/// Why it is not verified; never that its keys are unavailable, as all of them are here.
fn check(verification: &Verification, evidence: Evidence<'_>) -> Result<(), Unverified> {
    super::check(verification, evidence).map_err(|why| match why {
        Unproven::Unverified(why) => why,
        Unproven::Unavailable(why) => panic!("{why}"),
    })
}

/// A verification by this scheme alone, in the pipeline.
pub(crate) fn verification<'a>(scheme: Scheme, secrets: impl IntoIterator<Item = &'a str>) -> Verification {
    let named = |secret| NamedSecret { name: String::new(), value: Secret::new(secret) };
    let url = "https://hooks.example.com/hooks/hubspot".parse().ok();
    let way = Way { url, ..Way::of(scheme, Keys::Secrets(secrets.into_iter().map(named).collect())) };
    Verification { ways: vec![way], at_ingest: false }
}

/// A webhook, and whether it passes.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) scheme: Scheme,
    pub(crate) secrets: &'static [&'static str],
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) body: &'static str,
    /// In seconds since 1970.
    pub(crate) arrived: u64,
}

impl Case {
    fn check_with(&self, headers: &[(&str, &str)], body: &str, arrived_ms: u64) -> Result<(), Unverified> {
        let verification = verification(self.scheme.clone(), self.secrets.iter().copied());
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let webhook = Webhook { headers, body: body.as_bytes().to_vec(), ..Webhook::default() };
        check(&verification, Evidence::arriving(&webhook, Timestamp(arrived_ms)))
    }

    fn check(&self) -> Result<(), Unverified> {
        self.check_with(self.headers, self.body, self.arrived * 1000)
    }
}

const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

/// One valid webhook per scheme. Where the provider publishes a test vector it is that one; the others were made with
/// Python's `hmac` and `cryptography`.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn cases() -> Vec<Case> {
    let standard_webhooks = || Scheme::StandardWebhooks(StandardWebhooks { tolerance: TOLERANCE });
    let token = |written| Scheme::Token(Token { at: vec![Value::header("authorization")], written });
    let hmac = |digest, signed: &str| {
        Scheme::Signature(Signature {
            at: vec![Value::header("x-signature")],
            written: Written::Plain { prefix: "v1=".to_owned(), separators: b", ".to_vec() },
            algorithm: Algorithm::Mac(digest),
            signed: signed.parse().expect("template"),
            ..Signature::github()
        })
    };
    vec![
        Case {
            // GitHub's documentation, "Testing the webhook payload validation".
            name: "github",
            scheme: Scheme::Signature(Signature::github()),
            secrets: &["It's a Secret to Everybody"],
            headers: &[(
                "x-hub-signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            )],
            body: "Hello, World!",
            arrived: 0,
        },
        Case {
            // Slack's documentation, "Verifying requests from Slack".
            name: "slack",
            scheme: Scheme::Signature(Signature::slack(TOLERANCE)),
            secrets: &["8f742231b10e8888abcd99yyyzzz85a5"],
            headers: &[
                ("x-slack-request-timestamp", "1531420618"),
                ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
            ],
            body: SLACK_BODY,
            arrived: 1_531_420_618,
        },
        Case {
            // The test vector of the Standard Webhooks libraries.
            name: "standard-webhooks",
            scheme: standard_webhooks(),
            secrets: &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
            headers: &[
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            ],
            body: "{\"test\": 2432232314}",
            arrived: 1_614_265_330,
        },
        Case {
            name: "standard-webhooks, asymmetric, beside other versions, by Svix's names",
            scheme: standard_webhooks(),
            secrets: &["whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="],
            headers: &[
                ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("svix-timestamp", "1614265330"),
                (
                    "svix-signature",
                    "v2,AAAA v1,AAAA v1a,yoUrgEkc12aGqm0n4Sydmdz55xJfTz4AsAgieHFjmkR7LJtqVCZOQYzvvHjI5kAey+r4iaBGxTFRrl2iBQxtDQ==",
                ),
            ],
            body: "{\"test\": 2432232314}",
            arrived: 1_614_265_330,
        },
        Case {
            name: "stripe, with a second signature of a secret that is rotated",
            scheme: Scheme::Signature(Signature::stripe(None, TOLERANCE)),
            secrets: &["whsec_test"],
            headers: &[(
                "stripe-signature",
                "t=1492774577,v1=00,v1=7656fc2882a7ca0a651666b36bf2f2f22ee204f54f608f227498a2419f2890b2,v0=6f",
            )],
            body: "{\"id\":\"evt_1\"}",
            arrived: 1_492_774_577,
        },
        Case {
            name: "shopify",
            scheme: Scheme::Signature(Signature::shopify()),
            secrets: &["hush"],
            headers: &[("x-shopify-hmac-sha256", "qBvrsZF7RfB1iS6BX6IHqJTp5L911P7intnPeTPsH0I=")],
            body: "{\"id\":820982911946154508}",
            arrived: 0,
        },
        Case {
            name: "hubspot",
            scheme: Scheme::Signature(Signature::hubspot(TOLERANCE)),
            secrets: &["yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"],
            headers: &[
                ("x-hubspot-request-timestamp", "1700000000000"),
                ("x-hubspot-signature-v3", "ggek1j4tSq2wp5HRdZfTcbCylyshYo64cocvAO3v4NU="),
            ],
            body: "[{\"eventId\":1}]",
            arrived: 1_700_000_000,
        },
        Case {
            // RFC 2202, test case 2.
            name: "hmac of another hash",
            scheme: hmac(Digest::Sha1, "{body}"),
            secrets: &["Jefe"],
            headers: &[("x-signature", "v1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")],
            body: "what do ya want for nothing?",
            arrived: 0,
        },
        Case {
            // RFC 4231, test case 2, with its text in a header and in the body.
            name: "hmac over a header too, in a list of signatures, with the second of two secrets",
            scheme: hmac(Digest::Sha256, "{header:x-id} {body}"),
            secrets: &["new", "Jefe"],
            headers: &[
                ("x-id", "what do ya"),
                ("x-signature", "v1=00, v1=5BDCC146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            ],
            body: "want for nothing?",
            arrived: 0,
        },
        Case {
            // RFC 7617, section 2.
            name: "basic",
            scheme: token(TokenForm::Basic { user: "Aladdin".to_owned() }),
            secrets: &["open sesame"],
            headers: &[("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")],
            body: "",
            arrived: 0,
        },
        Case {
            name: "bearer, in the other case",
            scheme: token(TokenForm::Bearer),
            secrets: &["mF_9.B5f-4.1JqM"],
            headers: &[("authorization", "bearer mF_9.B5f-4.1JqM")],
            body: "",
            arrived: 0,
        },
        Case {
            name: "header",
            scheme: Scheme::Token(Token {
                at: vec![Value::header("x-gitlab-token")],
                written: TokenForm::Plain { prefix: String::new() },
            }),
            secrets: &["mF_9.B5f"],
            headers: &[("x-gitlab-token", "mF_9.B5f")],
            body: "",
            arrived: 0,
        },
    ]
}

#[test]
fn every_scheme_accepts_its_own_webhook() {
    for case in cases() {
        assert_eq!(case.check(), Ok(()), "{}", case.name);
    }
}

#[test]
fn nothing_passes_with_another_secret() {
    for case in cases() {
        let other = Case { secrets: &["whsec_AAAA"], ..case };
        assert!(matches!(other.check(), Err(Unverified::Mismatch(_))), "{}: {:?}", other.name, other.check());
        let none = Case { secrets: &[], ..other };
        assert!(matches!(none.check(), Err(Unverified::Mismatch(_))), "{}: {:?}", none.name, none.check());
    }
}

#[test]
fn nothing_that_is_signed_passes_with_another_body() {
    for case in cases().iter().filter(|case| !matches!(case.scheme, Scheme::Token(_))) {
        let checked = case.check_with(case.headers, &format!("{} ", case.body), case.arrived * 1000);
        assert!(matches!(checked, Err(Unverified::Mismatch(_))), "{}: {checked:?}", case.name);
    }
}

#[test]
fn every_header_is_required_and_must_be_well_formed() {
    for case in cases() {
        for (index, (name, value)) in case.headers.iter().enumerate() {
            let mut headers = case.headers.to_vec();
            headers.remove(index);
            let checked = case.check_with(&headers, case.body, case.arrived * 1000);
            // Without Svix's id the other Svix headers are ignored.
            assert!(matches!(checked, Err(Unverified::Missing(_))), "{} without {name}: {checked:?}", case.name);
            let broken = ["", "x", &value[..value.len() / 2], &value.replace(['1', 'Q', 'm', 'w'], "b")];
            for broken in broken {
                headers.insert(index, (name, broken));
                let checked = case.check_with(&headers, case.body, case.arrived * 1000);
                assert!(checked.is_err(), "{} with {name}: {broken}", case.name);
                assert!(!checked.expect_err("checked").to_string().contains(value), "{} tells {name}", case.name);
                headers.remove(index);
            }
        }
    }
}

#[test]
fn a_signature_is_valid_for_five_minutes_around_its_time() {
    let timed = ["slack", "standard-webhooks", "stripe", "hubspot"];
    for case in cases() {
        let is_timed = timed.iter().any(|name| case.name.starts_with(name));
        let check = |off| case.check_with(case.headers, case.body, (case.arrived * 1000).saturating_add_signed(off));
        for (off, good) in [(300_000, true), (-300_000, true), (300_001, false), (-300_001, false)] {
            let expired = matches!(check(off), Err(Unverified::Expired { off_s: 300, tolerance_s: 300 }));
            let wanted = if is_timed && !good { expired } else { check(off).is_ok() };
            assert!(wanted, "{} {off} ms off: {:?}", case.name, check(off));
        }
    }
}

#[test]
fn a_changed_timestamp_invalidates_the_signature() {
    let later = [("t=1492774577", "t=1492774578"), ("1531420618", "1531420619"), ("1614265330", "1614265331")];
    for case in cases() {
        let changed = |value: &str| later.iter().fold(value.to_owned(), |value, (from, to)| value.replace(from, to));
        let headers: Vec<(&str, String)> = case.headers.iter().map(|(name, value)| (*name, changed(value))).collect();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if headers != case.headers {
            let checked = case.check_with(&headers, case.body, case.arrived * 1000);
            assert!(matches!(checked, Err(Unverified::Mismatch(_))), "{}: {checked:?}", case.name);
        }
    }
}

#[test]
fn a_secret_of_the_wrong_form_is_reported() {
    for (secret, says) in [
        ("no base64!", "it is not base64 after whsec_"),
        ("whpk_AAAA", "it is not a public key of 32 bytes in base64 after whpk_"),
    ] {
        let case = cases().remove(2);
        let verification = verification(case.scheme, [secret]);
        let headers = case.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let webhook = Webhook { headers: headers.collect(), body: Vec::new(), ..Webhook::default() };
        let checked = check(&verification, Evidence::arriving(&webhook, Timestamp(0)));
        assert_eq!(checked, Err(Unverified::Secret(says)));
    }
}

#[test]
fn a_malformed_secret_does_not_fail_what_another_one_proves() {
    for case in cases() {
        for malformed in ["", "whsec_!", "whpk_AAAA", "to\nken", "\u{0}"] {
            for first in [true, false] {
                let mut secrets = case.secrets.to_vec();
                secrets.insert(if first { 0 } else { secrets.len() }, malformed);
                let verification = verification(case.scheme.clone(), secrets);
                let headers = case.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
                let webhook =
                    Webhook { headers: headers.collect(), body: case.body.as_bytes().to_vec(), ..Webhook::default() };
                let evidence = Evidence::arriving(&webhook, Timestamp(case.arrived * 1000));
                assert_eq!(check(&verification, evidence), Ok(()), "{} beside {malformed:?}", case.name);
            }
        }
    }
}

#[test]
fn a_wrong_signature_fails_even_if_another_secret_is_malformed() {
    let case = cases().remove(2);
    let verification = verification(case.scheme, ["whsec_!", "whsec_d3JvbmcgYnV0IHdlbGwgZm9ybWVkIHNlY3JldA=="]);
    let headers = case.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    let webhook = Webhook { headers: headers.collect(), body: case.body.as_bytes().to_vec(), ..Webhook::default() };
    let checked = check(&verification, Evidence::arriving(&webhook, Timestamp(case.arrived * 1000)));
    assert!(matches!(checked, Err(Unverified::Mismatch(_))), "{checked:?}");
}

#[test]
fn of_several_ways_the_one_whose_secret_may_be_old_says_what_is_wrong() {
    let by = |header: &str| Scheme::Signature(Signature { at: vec![Value::header(header)], ..Signature::github() });
    let [first, second] = [by("x-one"), by("x-two")].map(|scheme| verification(scheme, ["key"]).ways.remove(0));
    let webhook = Webhook { headers: vec![("x-two".to_owned(), b"sha256=00".to_vec())], ..Webhook::default() };
    for ways in [vec![first.clone(), second.clone()], vec![second, first]] {
        let checked = check(&Verification { ways, at_ingest: true }, Evidence::arriving(&webhook, Timestamp(0)))
            .expect_err("wrong");
        assert_eq!(checked, Unverified::Mismatch(What::header("x-two")));
    }
}

#[tokio::test]
async fn a_signature_that_leaves_out_the_body_identifies_no_event() {
    let scheme = |signed: &str| {
        Scheme::Signature(Signature { signed: signed.parse().expect("template"), ..Signature::slack(TOLERANCE) })
    };
    for (signed, text, identifies) in
        [("{timestamp}.{body}", "1700000000.b", true), ("{timestamp}", "1700000000", false)]
    {
        let mac = hex::encode(mac(towpath_config::value::Digest::Sha256, b"key", &[text.as_bytes()]));
        let headers =
            [("x-slack-request-timestamp", "1700000000".to_owned()), ("x-slack-signature", format!("v0={mac}"))];
        let webhook = Webhook {
            headers: headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).into(),
            body: b"b".to_vec(),
            ..Webhook::default()
        };
        let verification = verification(scheme(signed), ["key"]);
        let evidence = Evidence::arriving(&webhook, Timestamp(1_700_000_000_000));
        let proof = check_anew(&verification, evidence, &fetched::NoKeys, Instant::now()).await.expect("verified");
        assert_eq!(proof.is_some(), identifies, "{signed}");
        let late = Evidence::arriving(&webhook, Timestamp(1_700_000_301_000));
        assert!(matches!(check(&verification, late), Err(Unverified::Expired { .. })), "{signed}");
    }
}
