//! What a build without AWS says when AWS is needed.

/// This build has no AWS. Such a build is smaller and compiles sooner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this towpath was built without AWS: build it with `cargo install --path host/cli`")]
pub struct WithoutAws;
