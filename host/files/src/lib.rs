//! Opening files safely: those that others may have created, and those that nobody else may read.

pub mod alive;
pub mod lock;
pub mod private;
pub mod regular;
