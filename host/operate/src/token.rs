//! Random keys and tokens.

/// A random token, or key, of 244 bits.
pub fn made() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}
