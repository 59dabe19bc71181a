//! Puts a host together.

mod registry;

pub use registry::registry;
