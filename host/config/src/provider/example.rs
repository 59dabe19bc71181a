//! A route to start from.

use super::{Parameter, Provider};

impl Provider {
    /// The URL to register, with the host left open.
    pub fn url(&self) -> String {
        format!("https://HOST/hooks/{}", self.name)
    }

    /// A route to paste, with what it stands for in comments. Values to put in are in angle brackets.
    pub fn example(&self) -> String {
        let name = self.name;
        let texts = self.parameters().into_iter().filter(|parameter| parameter.secret.is_none());
        let texts: Vec<String> =
            texts.map(|text| format!(", {} = {}", text.name, quoted(&self.argument(&text)))).collect();
        let provider =
            if texts.is_empty() { quoted(name) } else { format!("{{ name = {}{} }}", quoted(name), texts.concat()) };
        let order = if self.has_order() {
            String::new()
        } else {
            "# No order key is known. All events are one group and are delivered one at a time, unless you set order:\n\
             #order = \"json:/id\"\n"
                .to_owned()
        };
        let keys: String = self.keys().lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
        format!(
            "[[route]]\nprovider = {provider}\npath = {name:?}\nplugin = {name:?}\n{order}# The provider stands for:\n{keys}"
        )
    }

    /// The keys of the route as TOML, with the parameters in place of their names.
    pub fn keys(&self) -> String {
        let keys = self.text.split_once("\n[route]\n").map_or("", |(_, keys)| keys).trim_end().to_owned();
        self.parameters().iter().fold(keys, |keys, parameter| {
            keys.replace(&format!("\"${}\"", parameter.name), &quoted(&self.argument(parameter)))
        })
    }

    fn argument(&self, parameter: &Parameter) -> String {
        match (&parameter.secret, parameter.name.as_str()) {
            (Some(secret), _) => secret.clone(),
            (None, "url") => self.url(),
            (None, name) => format!("<{name}>"),
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
