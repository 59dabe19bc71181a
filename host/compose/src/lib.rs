//! Puts a host together: for Lambda, and with the feature `process` for `serve`, `dev` and `poll`, whose tasks it supervises. Prints
//! nothing.

pub mod aws;
#[cfg(feature = "aws")]
mod function;
mod parts;
pub mod pointers;
mod registry;

#[cfg(feature = "process")]
mod alerts;
#[cfg(feature = "process")]
mod archive;
#[cfg(feature = "process")]
pub mod console;
#[cfg(feature = "process")]
pub mod endpoint;
#[cfg(feature = "process")]
mod flushes;
#[cfg(feature = "process")]
mod listen;
#[cfg(feature = "process")]
pub mod monitor;
#[cfg(feature = "process")]
mod plugins;
#[cfg(feature = "process")]
mod poller;
#[cfg(feature = "process")]
pub mod server;
#[cfg(feature = "process")]
pub mod signals;
#[cfg(feature = "process")]
mod station;
#[cfg(feature = "process")]
mod supervisor;
#[cfg(feature = "process")]
mod upkeep;

#[cfg(feature = "aws")]
pub use function::function;
#[cfg(feature = "process")]
pub use listen::ListenError;
pub use parts::{Parts, load_plugins};
#[cfg(feature = "process")]
pub use plugins::{engine, load_plugin};
#[cfg(feature = "process")]
pub use poller::{Poller, Polling};
pub use registry::registry;
#[cfg(feature = "process")]
pub use registry::releases;
#[cfg(feature = "process")]
pub use station::Station;
#[cfg(feature = "process")]
pub use supervisor::Supervisor;
