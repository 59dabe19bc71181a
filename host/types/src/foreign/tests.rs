use proptest::prelude::*;

use super::*;

/// Whether a character can affect a screen or a log.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..)
}

#[test]
fn foreign_text_cannot_affect_a_screen_or_a_log() {
    let cases = [
        ("plain text and \u{1F6F6} café 日本語", "plain text and \u{1F6F6} café 日本語"),
        ("a line\nand another", r"a line\nand another"),
        ("a\r\n\tb", r"a\r\n\tb"),
        ("\u{1b}[1;31mred\u{1b}[0m", r"\u{1b}[1;31mred\u{1b}[0m"),
        ("\u{1b}]0;title\u{7}", r"\u{1b}]0;title\u{7}"),
        ("\u{1b}]8;;http://a.example\u{1b}\\link", r"\u{1b}]8;;http://a.example\u{1b}\link"),
        ("\u{9b}2J\u{90}q\u{9c}\u{85}\u{7f}\u{8}\u{0}", r"\u{9b}2J\u{90}q\u{9c}\u{85}\u{7f}\u{8}\u{0}"),
        ("\u{202e}txt.exe\u{2069}\u{61c}", r"\u{202e}txt.exe\u{2069}\u{61c}"),
        ("a\u{200b}b\u{200d}\u{2060}\u{feff}\u{ad}", r"a\u{200b}b\u{200d}\u{2060}\u{feff}\u{ad}"),
        ("a\u{2028}b\u{2029}", r"a\u{2028}b\u{2029}"),
        ("\u{e0041}\u{e0001}\u{e01ef}", r"\u{e0041}\u{e0001}\u{e01ef}"),
        ("\u{e000}\u{f0000}\u{fffe}\u{378}", r"\u{e000}\u{f0000}\u{fffe}\u{378}"),
        ("\u{3164}\u{115f}\u{ffa0}\u{34f}", r"\u{3164}\u{115f}\u{ffa0}\u{34f}"),
        ("e\u{301}\u{302}", "e\u{301}\u{302}"),
        ("\u{301}on nothing", r"\u{301}on nothing"),
    ];
    for (text, expected) in cases {
        assert_eq!(Foreign::line(text).to_string(), expected, "{text:?}");
    }
}

#[test]
fn stacked_marks_stay_on_their_line() {
    let heap = format!("a{}b", "\u{301}".repeat(40));
    let shown = Foreign::line(&heap).to_string();
    assert_eq!(shown.matches('\u{301}').count(), MARKS);
    assert!(shown.ends_with(r"\u{301}b"), "{shown}");
}

#[test]
fn a_block_keeps_its_lines_and_indents_all_of_them() {
    let body = "{\n\t\"a\": 1,\r\n}\nreason      delivered\n\u{1b}[2Jx\n\u{301}";
    let shown = Foreign::block(body, "  ").to_string();
    assert_eq!(
        shown, "  {\n  \t\"a\": 1,\\r\n  }\n  reason      delivered\n  \\u{1b}[2Jx\n  \\u{301}",
        "a mark does not stand on the indent"
    );
    assert_eq!(Foreign::block("a\nb\nc", "> ").at_most(8).to_string(), "> a\n> b…");
}

#[test]
fn a_limit_never_cuts_an_escape_and_marks_the_cut() {
    let cases = [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("ab\u{202e}", 10, r"ab\u{202e}"),
        ("ab\u{202e}", 9, "ab…"),
        ("\n\n\n", 4, r"\n…"),
        ("äöü", 2, "ä…"),
        ("ab", 1, "…"),
        ("ab", 0, ""),
        ("", 0, ""),
    ];
    for (text, most, expected) in cases {
        assert_eq!(Foreign::line(text).at_most(most).to_string(), expected, "{text:?} {most}");
    }
    assert_eq!(Foreign::line(&"x".repeat(MOST + 1)).to_string().chars().count(), MOST);
}

#[test]
fn json_is_complete_and_cannot_affect_a_screen() {
    let text = "a\u{7f}b\u{9b}5n \u{202e}txt\u{1b}[31m\u{0}\u{1F6F6}\u{e0041}\u{2028}\n\té";
    let safe = json(&serde_json::to_string_pretty(&[text]).expect("JSON")).into_owned();
    assert!(!safe.chars().any(|c| acts(c) && c != '\n'), "{safe}");
    assert_eq!(serde_json::from_str::<Vec<String>>(&safe).expect("JSON"), [text]);
    assert!(matches!(json("{\n  \"a\": 1\n}"), Cow::Borrowed(_)));
}

proptest! {
    #[test]
    fn escaping_is_safe_bounded_and_idempotent(
        text in any::<String>(),
        marks in "[a\u{300}-\u{303}\u{200b}\u{e000}\n\t\u{1b}…]{0,40}",
        most in 0_usize..60,
    ) {
        for text in [text, marks] {
            let line = Foreign::line(&text).at_most(most).to_string();
            prop_assert!(!line.chars().any(acts));
            prop_assert!(line.chars().count() <= most);
            prop_assert_eq!(Foreign::line(&line).at_most(most).to_string(), line.clone());
            let block = Foreign::block(&text, "").at_most(most).to_string();
            prop_assert!(!block.chars().any(|c| acts(c) && !matches!(c, '\n' | '\t')));
            prop_assert!(block.chars().count() <= most);
            prop_assert_eq!(Foreign::block(&block, "").at_most(most).to_string(), block.clone());
            let all = serde_json::to_string(&text).expect("JSON");
            let safe = json(&all);
            prop_assert!(!safe.chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).expect("JSON"), text);
        }
    }
}
