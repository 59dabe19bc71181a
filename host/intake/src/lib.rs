//! The front door: stores the webhooks of its routes in a queue, and answers once they are stored.

mod budget;
mod handshake;
mod ingest;
mod refused;
mod reply;
mod router;

pub use budget::SenderAddress;
pub use ingest::Ingest;
pub use router::router;
