//! Somebody who is let in.

use sha2::{Digest as _, Sha256};

/// What somebody may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Look.
    Viewer,
    /// Look and act.
    Operator,
}

/// Somebody who has proved who they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// The name in the audit.
    pub by: String,
    /// What they may do.
    pub role: Role,
}

/// What is kept and compared of a secret: neither time nor length tells anything.
pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
