//! What rooms need of the process they run in: leases, named tasks, time, and the TLS provider.

pub mod health;
pub mod lease;
pub mod tasks;
pub mod time;

/// Makes ring the process's cryptography for TLS. Once is enough, more is no harm.
pub fn install_crypto() {
    // An error says that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
