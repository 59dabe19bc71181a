//! Routes whose secret no handshake has brought yet.

use towpath_config::Learned;
use towpath_config::route::Route;
use tracing::warn;

/// Tells the operator how the secret of a route is learned.
pub(crate) fn not_learned(route: &Route, learned: &Learned) {
    let secret = learned.name();
    let cure = format!("run `towpath secret arm {secret}`, then create the webhook at the sender");
    warn!(
        event = "secret-not-learned",
        route = route.path,
        secret,
        cure,
        "no secret learned yet, every webhook is answered 401"
    );
}
