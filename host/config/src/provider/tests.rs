mod expansion;

use std::collections::BTreeSet;
use std::path::Path;

use toml::Value;

use super::*;
use crate::collect::Mistakes;
use crate::value;
use crate::{Config, Secrets};

fn files() -> impl Iterator<Item = Provider> {
    FILES.iter().map(|(name, text)| Provider::read(name, text).unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Every text in a value with its key.
fn texts(key: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => found.push((key.to_owned(), text.clone())),
        Value::Array(list) => list.iter().for_each(|inner| texts(key, inner, found)),
        Value::Table(table) => table.iter().for_each(|(key, inner)| texts(key, inner, found)),
        _ => {}
    }
}

#[test]
fn every_file_says_what_an_operator_needs() {
    assert!(files().count() > 200);
    for provider in files() {
        let Provider { name, title, doc, setup, notes, .. } = &provider;
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        assert!(!title.is_empty() && doc.starts_with("https://") && !setup.is_empty(), "{name}");
        for sentence in setup.iter().chain(notes).chain(&provider.unsupported) {
            assert!(sentence.ends_with('.'), "{name}: {sentence}");
        }
        assert!(!provider.proof().is_empty(), "{name}");
    }
}

#[test]
fn every_parameter_is_declared_and_used() {
    for provider in files() {
        let mut found = Vec::new();
        texts("", &Value::Table(provider.route.clone()), &mut found);
        let used: BTreeSet<String> =
            found.iter().filter_map(|(_, text)| text.strip_prefix('$').map(str::to_owned)).collect();
        let declared: BTreeSet<String> = provider.parameters().into_iter().map(|parameter| parameter.name).collect();
        assert_eq!(used, declared, "{}", provider.name);
    }
}

#[test]
fn every_key_outside_verify_is_known_and_its_text_parses() {
    let is_value = |name: &str, text: &str| {
        text.parse::<value::Value>().unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    let is_template = |name: &str, value: &Value| {
        let mut found = Vec::new();
        texts("", value, &mut found);
        for (_, text) in found {
            text.parse::<value::Template>().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    };
    for provider in files() {
        let name = provider.name;
        for (key, own) in &provider.route {
            match (key.as_str(), own) {
                ("order" | "dedup" | "unwrap", Value::String(text)) => is_value(name, text),
                ("ack", Value::Table(ack)) => {
                    assert!(
                        ack.keys().all(|key| ["status", "headers", "body", "json"].contains(&key.as_str())),
                        "{name}"
                    );
                    is_template(name, own);
                }
                ("answer", Value::Array(answers)) => {
                    for answer in answers.iter().map(|answer| answer.as_table().expect(name)) {
                        for (key, value) in answer {
                            match (key.as_str(), value) {
                                ("token" | "keep", Value::String(text)) => is_value(name, text),
                                ("status", Value::Integer(_)) | ("verified", Value::Boolean(_)) => {}
                                ("headers" | "body" | "json", value) => is_template(name, value),
                                ("when" | "call", Value::Table(_)) | ("secret", Value::String(_)) => {}
                                _ => panic!("{name}: {key} of an answer"),
                            }
                        }
                    }
                }
                ("split", Value::String(pointer)) => assert!(pointer.is_empty() || pointer.starts_with('/'), "{name}"),
                ("verify" | "methods", _) => {}
                _ => panic!("{name}: {key}"),
            }
        }
    }
}

#[test]
fn every_example_is_the_route_that_the_provider_stands_for() {
    for provider in files() {
        let name = provider.name;
        let example: Table = provider.example().parse().unwrap_or_else(|error| panic!("{name}: {error}"));
        let given = example.get("route").and_then(|routes| routes.get(0)).and_then(Value::as_table).expect(name);
        assert_eq!((given.get("path"), given.contains_key("verify")), (Some(&Value::from(name)), false));
        let mut found = Mistakes::default();
        let mut expanded = given.clone();
        expand::expand(&mut expanded, "route[0]", &mut found);
        assert_eq!(found.located(), [], "{name}");
        let stands_for: Table = format!("[[route]]\n{}", provider.keys()).parse().expect(name);
        let mut stands_for =
            stands_for.get("route").and_then(|routes| routes.get(0)).and_then(Value::as_table).expect(name).clone();
        let order = stands_for
            .remove("order")
            .map_or(format!("{name}/all"), |order| format!("{name}/{{{}}}", order.as_str().expect(name)));
        assert_eq!(expanded.remove("group"), Some(order.into()), "{name}");
        expanded.retain(|key, _| key != "path" && key != "plugin");
        assert_eq!(expanded, stands_for, "{name}");
    }
}

/// A text for a parameter that needs one.
fn placeholder(provider: &Provider, parameter: &str) -> String {
    let algorithm = provider.ways().find_map(|way| {
        let jwt = way.get("algorithms").and_then(|list| list.get(0));
        way.get("algorithm").or(jwt).and_then(Value::as_str)
    });
    // A point, a sequence in DER, and 32 bytes are enough of a key for a check of the config.
    match (parameter, algorithm.unwrap_or_default()) {
        ("public_key", "ed25519") => "0".repeat(64),
        ("public_key", algorithm) if algorithm.starts_with("ecdsa") || algorithm == "ES256" => {
            format!("04{}", "0".repeat(128))
        }
        ("public_key", _) => format!("30{}", "0".repeat(600)),
        ("url" | "jwks_url" | "topic", _) => "https://hooks.example.com/hooks/a".to_owned(),
        _ => "text".to_owned(),
    }
}

#[test]
fn every_provider_expands_to_a_route_without_mistakes() {
    let mut wrong = Vec::new();
    for provider in files() {
        let texts = provider.parameters().into_iter().filter(|parameter| parameter.secret.is_none());
        let texts: Vec<String> =
            texts.map(|Parameter { name, .. }| format!(", {name} = {:?}", placeholder(&provider, &name))).collect();
        let text = format!(
            "[[route]]\npath = \"a\"\nplugin = \"a\"\nprovider = {{ name = {:?}{} }}\n[plugin.a]\npath = \"a\"\n",
            provider.name,
            texts.concat()
        );
        let draft = Config::draft(&text, Path::new("towpath.toml"), &Secrets::placeholders()).expect("TOML");
        wrong.extend(draft.mistakes.iter().map(|mistake| format!("{}: {}", provider.name, mistake.problem)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
