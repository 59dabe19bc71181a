use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::*;

const SECRET: &str = "pl4nted/5ecret+&<tok\"en\\71d0>";

/// Masks a whole text.
fn hide(text: &str, secrets: &[&str]) -> String {
    Mask::of(secrets.iter().copied()).hide(text, 10_000)
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn a_secret_is_hidden_in_every_encoding() {
    let json = serde_json::to_string(SECRET).expect("JSON").trim_matches('"').to_owned();
    let html = SECRET.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&#62;").replace('"', "&quot;");
    let code: String = SECRET.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let written = [
        ("as it is", SECRET.to_owned()),
        ("in upper case", SECRET.to_uppercase()),
        ("in lower case", SECRET.to_lowercase()),
        ("percent-encoded", percent_encoded(SECRET)),
        ("percent-encoded twice", percent_encoded(SECRET).replace('%', "%25")),
        ("as a form", url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect()),
        ("decoded as a form", SECRET.replace('+', " ")),
        ("in JSON", json.clone()),
        ("in JSON, with the slashes of PHP", json.replace('/', "\\/")),
        ("in JSON in JSON", json.replace('\\', "\\\\").replace('"', "\\\"")),
        ("in JSON as code units", code),
        ("in HTML", html.clone()),
        ("in HTML, with the slash of Mustache", html.replace('/', "&#x2F;").replace('+', "&#43;")),
        ("in HTML in HTML", html.replace('&', "&amp;")),
        ("in base64", STANDARD_NO_PAD.encode(SECRET)),
        ("in base64url", URL_SAFE_NO_PAD.encode(SECRET)),
        ("in hex", hex::encode(SECRET)),
        ("in hex, in upper case", hex::encode_upper(SECRET)),
        (
            "in hex with colons",
            hex::encode(SECRET)
                .as_bytes()
                .chunks(2)
                .map(|hex| format!("{}{}:", hex[0] as char, hex[1] as char))
                .collect(),
        ),
        ("in UTF-16", SECRET.chars().map(|c| format!("{c}\0")).collect()),
        ("broken into lines", STANDARD_NO_PAD.encode(SECRET).chars().map(|c| format!("{c}\r\n")).collect()),
    ];
    for (how, written) in written {
        let written = written.trim_end_matches([':', '\0', '\r', '\n']);
        assert_eq!(hide(&format!("ab {written}, no"), &[SECRET]), "ab ***, no", "{how}: {written}");
    }
    for shift in ["", "x", "xy", "{\"authorization\":\"Bearer "] {
        let around = hide(&STANDARD_NO_PAD.encode(format!("{shift}{SECRET}\"}}")), &[SECRET]);
        let left =
            around.split("***").flat_map(|part| STANDARD_NO_PAD.decode(part.get(..part.len() / 4 * 4)?).ok()).flatten();
        let left = String::from_utf8_lossy(&left.collect::<Vec<u8>>()).into_owned();
        assert!(around.contains("***") && !left.contains("nted") && !left.contains("71d0"), "{around}");
    }
}

#[test]
fn a_part_of_a_secret_is_hidden_from_six_bytes_on() {
    let secret = "abcdefghijklmnop";
    for (text, shown) in [
        ("ends in klmnop", "ends in ***"),
        ("xxabcdefxx", "xx***xx"),
        ("abcde is too little", "abcde is too little"),
        ("abcdefgh…klmnop", "***…***"),
        ("defghi defghi", "*** ***"),
    ] {
        assert_eq!(hide(text, &[secret]), shown);
    }
}

#[test]
fn a_short_secret_is_hidden_as_a_word_and_blanks_nothing_else() {
    let text = "a bad pass: password a, b64 YQ==, {\"key\":\"A\"}, a%20b, passé";
    assert_eq!(hide(text, &["a"]), "*** bad pass: password ***, b64 YQ==, {\"key\":\"***\"}, ***%20b, passé");
    assert_eq!(hide(text, &["pass", ""]), "a bad ***: password a, b64 YQ==, {\"key\":\"A\"}, a%20b, ***é");
}

#[test]
fn a_secret_is_hidden_before_the_text_is_cut() {
    let mask = Mask::of([SECRET]);
    for before in 0..40 {
        let text = format!("{}{}{}", "-".repeat(before), percent_encoded(SECRET), SECRET);
        let shown = mask.hide(&text, 40);
        assert_eq!(shown, format!("{}***", "-".repeat(before)));
    }
    // Text behind the cut never fills the freed space: at the end of what was read, a secret may begin that is not
    // recognised.
    let text = format!("{}{}", SECRET.repeat(3), &SECRET[..5]);
    assert_eq!(mask.hide(&text, 20), "***");
}

#[test]
fn a_text_without_secrets_is_unchanged() {
    let text = "{\"error\":\"no such ticket\",\"path\":\"a%2Fb\",\"html\":\"&lt;b&gt; &copy; &#xD800; \\ud83d \\q % %4\"} é\u{1F6F6}";
    assert_eq!(hide(text, &[SECRET, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"]), text);
    assert_eq!(hide(text, &[]), text);
    assert_eq!(hide("", &[SECRET]), "");
}
