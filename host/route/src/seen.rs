//! What is seen of a webhook: unpacked, unwrapped, without the secret that was sent along. What is stored, and what proves
//! the sender, is what came.

use std::borrow::Cow;

use towpath_config::route::Route;
use towpath_select::{Scope, TooLarge, hide, unpacked};
use towpath_types::envelope::Webhook;

/// The webhook as keys read it.
pub fn opened<'a>(route: &Route, webhook: &'a Webhook) -> Result<Cow<'a, Webhook>, TooLarge> {
    Ok(unwrapped(route, unpacked(webhook)?))
}

/// The webhook as the plugin sees it: neither the plugin nor the target may see the secret, which has served its purpose.
pub fn shown<'a>(route: &Route, webhook: &'a Webhook) -> Result<Cow<'a, Webhook>, TooLarge> {
    let mut webhook = unpacked(webhook)?;
    for token in route.tokens() {
        hide(webhook.to_mut(), &token);
    }
    Ok(unwrapped(route, webhook))
}

/// A body without the value stays as it came: the plugin judges it.
fn unwrapped<'a>(route: &Route, webhook: Cow<'a, Webhook>) -> Cow<'a, Webhook> {
    let Some(value) = &route.unwrap else { return webhook };
    let Ok(body) = Scope::of(&webhook).value(value).map(Cow::into_owned) else { return webhook };
    Cow::Owned(Webhook { body, ..webhook.into_owned() })
}
