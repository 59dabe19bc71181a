//! Text of others: whatever it is, nothing of it reaches a terminal or ends a line, it has its bound, and it is the same when it is
//! written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use towpath_types::foreign::{Foreign, json};

/// What may do something to a screen or a log.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{3164}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..)
}

fuzz_target!(|input: (u16, String)| {
    let most = usize::from(input.0);
    let text = input.1;
    let line = Foreign::line(&text).at_most(most).to_string();
    assert!(!line.chars().any(acts), "{line:?}");
    assert!(line.chars().count() <= most);
    assert_eq!(Foreign::line(&line).at_most(most).to_string(), line);
    let block = Foreign::block(&text, "").at_most(most).to_string();
    assert!(!block.chars().any(|c| acts(c) && !matches!(c, '\n' | '\t')), "{block:?}");
    assert!(block.chars().count() <= most);
    assert_eq!(Foreign::block(&block, "").at_most(most).to_string(), block);
    assert!(Foreign::block(&text, "| ").to_string().split('\n').all(|line| line.starts_with("| ")));
    let whole = serde_json::to_string(&text).expect("JSON");
    let safe = json(&whole);
    assert!(!safe.chars().any(acts), "{safe:?}");
    assert_eq!(serde_json::from_str::<String>(&safe).expect("JSON"), text);
});
