//! Routes whose secret no handshake has brought yet, or ever will.

use towpath_config::Learned;
use towpath_config::route::Route;
use towpath_config::secrets::variable;
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

/// Tells the operator that no handshake brings the secret of a route.
pub(crate) fn not_learnable(route: &Route, learned: &Learned) {
    let secret = learned.name();
    let cure = format!(
        "unset {} and restart, to learn the secret from the sender; keep it if you chose the secret there yourself",
        variable(secret)
    );
    warn!(
        event = "secret-given",
        route = route.path,
        secret,
        cure,
        "secret is set in the environment, no handshake brings it"
    );
}
