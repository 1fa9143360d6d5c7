//! TLS with a certificate from a file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject as _},
        },
    },
};

use crate::TlsConfig;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error(
        "{} cannot be used: {error}; it must be a PEM file that this user may read",
        file.display()
    )]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{} holds no certificate; it must be a PEM file with at least one", .0.display())]
    Empty(PathBuf),
    /// Certificate and key cannot be used, or not together.
    #[error("certificate and key cannot be used: {0}; does the key belong to the certificate?")]
    Pair(#[from] tokio_rustls::rustls::Error),
}

/// Speaks TLS with this certificate, and offers HTTP/2 and HTTP/1.1.
pub(crate) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, TlsError> {
    let failed = |file: &Path, error| TlsError::File { file: file.into(), error };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&config.cert)
        .map_err(|error| failed(&config.cert, error))?
        .collect();
    let chain = chain.map_err(|error| failed(&config.cert, error))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(config.cert.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key);
    let key = key.map_err(|error| failed(&config.key, error))?;
    let mut tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(tls)))
}
