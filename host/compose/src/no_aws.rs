//! A build without AWS: it is smaller and sooner done. What needs AWS says so.

#![allow(missing_docs, reason = "aws.rs says what each of them is")]

use std::path::Path;

use anyhow::bail;
use towpath_config::Config;
use towpath_deliver::AwsCredentials;

pub const CURE: &str = "this towpath was built without AWS: build it with `cargo install --path host/cli`";

pub async fn credentials() -> anyhow::Result<AwsCredentials> {
    bail!(CURE)
}

pub async fn config_with_secrets(_: &Path) -> anyhow::Result<Config> {
    bail!(CURE)
}
