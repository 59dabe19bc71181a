//! HTTP clients for endpoints outside: no redirects, no private addresses unless the config allows them, and connections
//! of a maximum age.

mod guard;
mod pool;

pub use pool::{ClientError, Pool, client};

/// An error and its root cause, without the URL, whose query may hold personal data.
pub fn describe(error: &reqwest::Error) -> String {
    let intro = match error {
        error if error.is_connect() => "cannot connect",
        error if error.is_body() || error.is_decode() => "the answer broke off",
        _ => "the exchange failed",
    };
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| intro.to_owned(), |cause| format!("{intro}: {cause}"))
}
