//! The contents of PEM texts.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Whether a text contains certificates: at least one, and none that is malformed.
pub fn has_certificates(pem: &str) -> bool {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    certificates.is_ok_and(|certificates| !certificates.is_empty())
}

/// Whether a text contains a certificate chain and its private key.
pub fn is_identity(pem: &str) -> bool {
    has_certificates(pem) && PrivateKeyDer::from_pem_slice(pem.as_bytes()).is_ok()
}
