//! What a check knows of secrets that handshakes bring.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::secrets::Learned;

#[derive(Default)]
pub(super) struct Learning {
    /// The folder of the local store.
    pub(super) store: Option<PathBuf>,
    /// Whether the route that is checked learns its secret.
    pub(super) is_on: bool,
    /// The secrets of that route.
    pub(super) own: Vec<Arc<Learned>>,
    /// The route that learns a secret, by its variable.
    pub(super) routes: BTreeMap<String, String>,
}
