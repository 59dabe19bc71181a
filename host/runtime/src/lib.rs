//! What rooms need from the process they run in: leases, supervised tasks, clocks, and the TLS provider.

pub mod health;
pub mod lease;
pub mod tasks;
pub mod time;
pub mod without_aws;

/// Installs ring as the process-wide TLS crypto provider. Calling it again does nothing.
pub fn install_crypto() {
    // An error means that a provider is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
