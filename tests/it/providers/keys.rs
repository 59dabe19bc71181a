//! How many messages is the webhook, and by which keys are they stored?

use serde_json::Value;
use towpath_config::provider::Provider;
use towpath_config::value::Value as Key;
use towpath_select::{Scope, items, key};
use towpath_types::envelope::Webhook;
use towpath_types::json::Pointer;

use super::Verdict;
use super::case::Case;

pub(super) fn judge(case: &Case) -> Verdict {
    if !["items", "dedup", "order", "item_dedup", "item_order"].iter().any(|key| case.expect.contains_key(*key)) {
        return Verdict::NotRun("no keys expected");
    }
    let Some(provider) = case.provider() else { return Verdict::NotRun("no provider") };
    let found = match Found::read(&provider, &case.webhook) {
        Ok(found) => found,
        Err(why) => return Verdict::Failed(why),
    };
    let mut wrong = Vec::new();
    for (name, expected) in &case.expect {
        let actual = match name.as_str() {
            "items" => Value::from(found.dedup.len()),
            "dedup" => found.dedup.first().cloned().unwrap_or_default(),
            "order" => found.order.first().cloned().unwrap_or_default(),
            "item_dedup" => Value::from(found.dedup.clone()),
            "item_order" => Value::from(found.order.clone()),
            _ => continue,
        };
        if actual != *expected {
            wrong.push(format!("{name} is {actual}, and must be {expected}"));
        }
    }
    if wrong.is_empty() { Verdict::Passed } else { Verdict::Failed(wrong.join("; ")) }
}

/// The keys of each message; null for none.
struct Found {
    dedup: Vec<Value>,
    order: Vec<Value>,
}

impl Found {
    fn read(provider: &Provider, webhook: &Webhook) -> Result<Found, String> {
        let route = provider.route();
        let text = |name: &str| route.get(name).and_then(|value| value.as_str());
        let parsed = |name: &str| text(name).map(|text| text.parse::<Key>().unwrap());
        let mut webhook = webhook.clone();
        if let Some(unwrap) = parsed("unwrap") {
            webhook.body = Scope::of(&webhook).value(&unwrap).map_err(|why| format!("unwrap: {why}"))?.into_owned();
        }
        let split = text("split").map(|split| split.parse::<Pointer>().unwrap());
        let elements = split.as_ref().map(|split| items(&webhook.body, split).ok_or("split: no array")).transpose()?;
        let scopes: Vec<Scope<'_>> = match elements {
            Some(elements) => {
                elements.into_iter().map(|item| Scope { item: Some(item), ..Scope::of(&webhook) }).collect()
            }
            None => vec![Scope::of(&webhook)],
        };
        let read = |name: &str| -> Vec<Value> {
            let value = parsed(name);
            let of = |scope: &Scope<'_>| {
                let (bytes, _) = key(scope, value.as_ref()?).into_parts();
                bytes.map(|bytes| Value::from(String::from_utf8_lossy(&bytes).into_owned()))
            };
            scopes.iter().map(|scope| of(scope).unwrap_or_default()).collect()
        };
        Ok(Found { dedup: read("dedup"), order: read("order") })
    }
}
