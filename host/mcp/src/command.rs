//! The command with which a person carries out a proposal, and the page of the console for it.

use url::form_urlencoded::{Serializer, byte_serialize};

use crate::asked::is_visible;

/// A command of `towpath`, as a shell takes it.
pub(crate) struct Command {
    text: String,
    is_visible: bool,
}

impl Command {
    /// A command with these words, which are ours.
    pub(crate) fn new(words: &str) -> Command {
        Command { text: format!("towpath {words}"), is_visible: true }
    }

    /// With an option, if it has a value.
    #[must_use]
    pub(crate) fn option(mut self, name: &str, value: Option<impl AsRef<str>>) -> Command {
        if let Some(value) = value {
            self.text.push_str(&format!(" --{name}="));
            self.push(value.as_ref());
        }
        self
    }

    /// With options that are quoted already.
    #[must_use]
    pub(crate) fn quoted(mut self, options: &str) -> Command {
        self.text.push_str(options);
        self
    }

    /// With an argument, which is no option whatever it begins with.
    #[must_use]
    pub(crate) fn argument(mut self, value: &str) -> Command {
        self.text.push_str(" -- ");
        self.push(value);
        self
    }

    /// The text; `None` if it has characters that nobody sees, so that nobody can tell what they run.
    pub(crate) fn shown(self) -> Option<String> {
        self.is_visible.then_some(self.text)
    }

    fn push(&mut self, value: &str) {
        match shlex::try_quote(value) {
            Ok(quoted) if is_visible(value) => self.text.push_str(&quoted),
            _ => self.is_visible = false,
        }
    }
}

/// A page of the console.
pub(crate) fn page(console: &str, path: &str) -> String {
    format!("{}{path}", console.trim_end_matches('/'))
}

/// A path with a query.
pub(crate) fn with_query<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_leaves_its_word() {
        for value in ["crm/42", "--all", "", "a b", "'; rm -rf ~ #", "$(id)`id`", "a\\'b!^", "ä=*?[{~"] {
            let command = Command::new("group retry").option("note", Some(value)).quoted(" --store x").argument(value);
            let text = command.shown().expect("visible");
            let words = shlex::split(&text).expect("words");
            let note = format!("--note={value}");
            assert_eq!(words, ["towpath", "group", "retry", &note, "--store", "x", "--", value], "{text}");
        }
    }

    #[test]
    fn a_command_that_nobody_can_read_is_not_shown() {
        for value in ["a\nb", "a\u{1b}[2Jb", "a\u{202e}b", "a\0b"] {
            assert_eq!(Command::new("hold").argument(value).shown(), None, "{value:?}");
        }
    }

    #[test]
    fn a_page_has_what_it_is_about_as_text() {
        let pairs = [("group", "<script>&x=1".to_owned()), ("reason", "a b".to_owned())];
        let path = with_query("/letters", pairs);
        let shown = "http://127.0.0.1:8082/letters?group=%3Cscript%3E%26x%3D1&reason=a+b";
        assert_eq!(page("http://127.0.0.1:8082/", &path), shown);
        assert_eq!(with_query("/letters", []), "/letters");
        assert_eq!(format!("/groups/{}", segment("a/b c?")), "/groups/a%2Fb%20c%3F");
    }
}
