//! The front door: `POST /hooks/{path}` stores a webhook in a queue and answers when it is stored.

mod budget;
mod refused;
mod router;

pub use budget::Source;
pub use router::{Ingest, router};
