//! The command line of Towpath: what each command does. `main` parses, calls [`run`] and exits.

pub mod args;
mod audit;
#[cfg(feature = "aws")]
mod aws;
#[cfg(not(feature = "aws"))]
#[path = "no_aws.rs"]
mod aws;
mod case;
mod commands;
mod compose;
mod event;
mod junit;
mod known;
mod lambda;
mod letters;
mod monitor;
mod note_keys;
mod output;
mod place;
mod pointers;
mod rate;
mod redact;
mod reload;
mod secret_headers;
mod server;
mod set;
mod signals;
mod sss;
mod story;
mod supervisor;
pub mod toolchain;
mod upkeep;
mod watch;

pub use commands::run;
pub use output::{Exit, Output};
