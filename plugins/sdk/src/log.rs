//! The log of the host. At most 64 lines of 4 KiB a call, fields included; what goes beyond is cut. Never log bodies,
//! header values or personal data.

use crate::bindings::towpath::plugin::log::{Level, write};

/// Follows every step.
pub fn trace(message: &str, fields: &[(&str, &str)]) {
    line(Level::Trace, message, fields);
}

/// Helps to find a mistake in a mapping.
pub fn debug(message: &str, fields: &[(&str, &str)]) {
    line(Level::Debug, message, fields);
}

/// Is worth knowing of a message that went well.
pub fn info(message: &str, fields: &[(&str, &str)]) {
    line(Level::Info, message, fields);
}

/// May become trouble.
pub fn warn(message: &str, fields: &[(&str, &str)]) {
    line(Level::Warn, message, fields);
}

/// Somebody must act.
pub fn error(message: &str, fields: &[(&str, &str)]) {
    line(Level::Error, message, fields);
}

fn line(level: Level, message: &str, fields: &[(&str, &str)]) {
    let fields: Vec<_> = fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    write(level, message, &fields);
}
