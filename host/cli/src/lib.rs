//! The command line of Towpath: what each command does. `main` parses, calls [`run`] and exits.

pub mod args;
mod case;
mod commands;
mod compose;
mod event;
mod output;
mod reload;
mod signals;
mod sss;

pub use commands::run;
pub use output::{Exit, Output};
