//! The front door: `POST /hooks/{path}` stores a webhook in a queue and answers when it is stored.

mod refused;
mod router;

pub use router::{Ingest, router};
