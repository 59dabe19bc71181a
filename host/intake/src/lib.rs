//! The front door: `POST /hooks/{path}` stores a webhook in a queue, and answers once it is stored.

mod budget;
mod ingest;
mod refused;
mod router;

pub use budget::SenderAddress;
pub use ingest::Ingest;
pub use router::router;
