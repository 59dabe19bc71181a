//! The command line of Towpath. `main` parses the arguments, calls [`run`] and exits.

pub mod args;
mod case;
mod commands;
mod hints;
mod junit;
mod lambda;
mod output;
mod rate;
mod reading;
mod reload;
mod sss;
pub mod toolchain;
mod watch;

pub use commands::run;
pub use output::{Exit, Output};
