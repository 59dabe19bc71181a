//! Which routes of a config use which provider, as written: afterwards a route is only what its provider stands for.

use std::path::Path;

use toml::Value;

use crate::{ConfigError, table};

/// A `[[route]]` with a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Use {
    /// Its number: mistakes of the route are at `route[number]`.
    pub number: usize,
    pub path: String,
    /// The name of its provider.
    pub provider: Option<String>,
}

/// The routes in the text of a config file. Whatever has another shape is left out, since the check of the config tells it.
pub fn uses(text: &str, file: &Path) -> Result<Vec<Use>, ConfigError> {
    let table = table(text, file)?;
    let routes = table.get("route").and_then(Value::as_array).into_iter().flatten().enumerate();
    let found = routes.filter_map(|(number, route)| {
        let provider = route.get("provider");
        let name = provider.and_then(|provider| provider.get("name").unwrap_or(provider).as_str());
        Some(Use { number, path: route.get("path")?.as_str()?.to_owned(), provider: name.map(str::to_owned) })
    });
    Ok(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_found_by_what_is_written() {
        let text = "[[route]]\npath = \"a\"\nprovider = \"github\"\n[[route]]\npath = \"b\"\n[[route]]\n[[route]]\npath = \"c\"\n\
                    provider = { name = \"twilio\", url = \"x\" }\n";
        let found = uses(text, Path::new("towpath.toml")).expect("TOML");
        let short: Vec<_> = found.iter().map(|own| (own.number, own.path.as_str(), own.provider.as_deref())).collect();
        assert_eq!(short, [(0, "a", Some("github")), (1, "b", None), (3, "c", Some("twilio"))]);
        let json = r#"{"route": [{"path": "a", "provider": "github"}]}"#;
        assert_eq!(uses(json, Path::new("towpath.json")).expect("JSON").len(), 1);
        assert!(uses("[[route", Path::new("towpath.toml")).is_err());
    }
}
