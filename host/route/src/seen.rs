//! What is seen of a webhook: unpacked, unwrapped, without the secret that was sent along. What is stored, and what proves
//! the sender, is what came.

use std::borrow::Cow;

use towpath_config::route::Route;
use towpath_config::value::Value;
use towpath_select::{Scope, TooLarge, hide, hide_text, unpacked};
use towpath_types::envelope::Webhook;

/// The webhook as keys read it.
pub fn opened<'a>(route: &Route, webhook: &'a Webhook) -> Result<Cow<'a, Webhook>, TooLarge> {
    Ok(unwrapped(route, unpacked(webhook)?))
}

/// The webhook as the plugin sees it: neither the plugin nor the target may see the secret, which has served its purpose.
pub fn shown<'a>(route: &Route, webhook: &'a Webhook) -> Result<Cow<'a, Webhook>, TooLarge> {
    let mut webhook = unpacked(webhook)?;
    let is_inside = |token: &Value| route.unwrap.as_ref().is_some_and(|value| value.source == token.source);
    // A secret inside of what is unwrapped can be hidden only there.
    let (inside, outside): (Vec<_>, Vec<_>) = route.tokens().into_iter().partition(is_inside);
    let texts = inside.iter().filter_map(|token| Scope::of(&webhook).value(token).ok().map(Cow::into_owned));
    let texts: Vec<Vec<u8>> = texts.collect();
    for token in outside {
        hide(webhook.to_mut(), &token);
    }
    let mut webhook = unwrapped(route, webhook);
    for text in texts {
        hide_text(webhook.to_mut(), &text);
    }
    Ok(webhook)
}

/// A body without the value stays as it came: the plugin judges it.
fn unwrapped<'a>(route: &Route, webhook: Cow<'a, Webhook>) -> Cow<'a, Webhook> {
    let Some(value) = &route.unwrap else { return webhook };
    let Ok(body) = Scope::of(&webhook).value(value).map(Cow::into_owned) else { return webhook };
    Cow::Owned(Webhook { body, ..webhook.into_owned() })
}
