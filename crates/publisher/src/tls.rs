//! Whom the publisher trusts when the server speaks TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why a file of own certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read, or is not PEM.
    #[error(
        "{path}: {source}; give a PEM file with the certificate of the authority that signed the server's"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds nothing to trust.
    #[error("{0}: there is no certificate in this file; it starts with -----BEGIN CERTIFICATE-----")]
    NoCertificate(PathBuf),
    /// A certificate in the file is broken, or the cryptography refuses to start.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

/// The TLS configuration of a publisher's sockets: rustls with ring. It trusts what the operating
/// system trusts, Mozilla's list where the system has none, and the certificates in `own_authority`.
///
/// # Errors
/// [`TlsError`] when `own_authority` is given and cannot be used.
pub fn client_config(own_authority: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(path) = own_authority {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|source| TlsError::File { path: path.to_owned(), source })?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate(path.to_owned()));
        }
        for certificate in certificates {
            roots.add(certificate)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Fills an array from the secure source of randomness that TLS uses. None if the system has none.
pub(crate) fn secure_random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(bytes)
}
