//! The front door: stores the webhooks of its routes in a queue, and answers once they are stored.

mod budget;
mod handshake;
mod ingest;
mod later;
mod pace;
mod refused;
mod reply;
mod router;
mod sender;
mod split;
mod unlearned;

pub use handshake::ANOTHER_IS_SET;
pub use ingest::Ingest;
pub use reply::{Said, Unanswerable, said};
pub use router::router;
pub use sender::{Peer, sender};
