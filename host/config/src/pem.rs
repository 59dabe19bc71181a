//! What a PEM text holds.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject as _, SectionKind};

/// Whether a text holds certificates: at least one, and none that is broken.
pub fn has_certificates(pem: &str) -> bool {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    certificates.is_ok_and(|certificates| !certificates.is_empty())
}

/// The first certificate in a text, as DER.
pub fn first_certificate(pem: &str) -> Option<Vec<u8>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| der.to_vec())
}

/// Whether a text holds a certificate chain and its private key, and nothing else that PEM has a name for: the TLS client
/// rejects such a text later.
pub fn is_identity(pem: &str) -> bool {
    let mut has_certificate = false;
    let mut has_key = false;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        match section {
            Ok((SectionKind::Certificate, _)) => has_certificate = true,
            Ok((SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, _)) => has_key = true,
            Ok(_) | Err(_) => return false,
        }
    }
    has_certificate && has_key
}

/// The private key in a text, as DER of PKCS#8.
pub fn private_key(pem: &str) -> Option<Vec<u8>> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes());
    sections.flatten().find(|(kind, _)| *kind == SectionKind::PrivateKey).map(|(_, der)| der)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(label: &str) -> String {
        format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n")
    }

    #[test]
    fn an_identity_is_certificates_and_a_key_and_nothing_that_the_tls_client_rejects() {
        let certificate = section("CERTIFICATE");
        let key = section("PRIVATE KEY");
        assert!(is_identity(&format!("{certificate}{certificate}{key}")));
        assert!(is_identity(&format!("{}{certificate}", section("EC PRIVATE KEY"))));
        assert!(is_identity(&format!("a comment\n{certificate}{key}")));
        for other in ["PUBLIC KEY", "CERTIFICATE REQUEST", "X509 CRL"] {
            assert!(!is_identity(&format!("{certificate}{key}{}", section(other))), "{other}");
        }
        for missing in [certificate, key, String::new(), "-----BEGIN CERTIFICATE-----\nAAAA".to_owned()] {
            assert!(!is_identity(&missing), "{missing:?}");
        }
    }
}
