//! A build without AWS: it is smaller and sooner done. What needs AWS says so.

use std::sync::Arc;

use anyhow::bail;
use towpath_core::config::S3Url;
use towpath_core::holds::Holds;
use towpath_core::queue::Queue;

use crate::place::Waiting;

const CURE: &str = "this towpath was built without AWS: build it with `cargo install --path host/cli`";

pub(crate) async fn queue(_: &str) -> anyhow::Result<Arc<dyn Queue>> {
    bail!(CURE)
}

pub(crate) async fn waiting(_: &str) -> anyhow::Result<Waiting> {
    bail!(CURE)
}

pub(crate) async fn holds(_: S3Url) -> anyhow::Result<Arc<dyn Holds>> {
    bail!(CURE)
}
