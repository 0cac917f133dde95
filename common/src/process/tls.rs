//! TLS settings of both ends of a connection between a worker and its coordinator.

use std::path::Path;

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::config::resolved::Certificates;
use crate::error::{Context, Error, Result};

/// Returns the coordinator's settings. A worker must present a certificate from the configured
/// certificate authority.
///
/// # Errors
/// A configuration error, if a file cannot be read.
pub fn server(certificates: &Certificates) -> Result<ServerTlsConfig> {
    choose_cryptography();
    Ok(ServerTlsConfig::new()
        .identity(identity(certificates)?)
        .client_ca_root(Certificate::from_pem(read(&certificates.ca)?)))
}

/// Returns a worker's settings. The coordinator must present a certificate for `host` from the
/// configured certificate authority.
///
/// # Errors
/// A configuration error, if a file cannot be read.
pub fn client(certificates: &Certificates, host: &str) -> Result<ClientTlsConfig> {
    choose_cryptography();
    Ok(ClientTlsConfig::new()
        .identity(identity(certificates)?)
        .ca_certificate(Certificate::from_pem(read(&certificates.ca)?))
        .domain_name(host))
}

/// Selects a cryptography provider for rustls. Two providers are linked into the program, so rustls
/// requires a choice before the first connection.
fn choose_cryptography() {
    // Ignore the error, which means that a provider was already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn identity(certificates: &Certificates) -> Result<Identity> {
    Ok(Identity::from_pem(read(&certificates.cert)?, read(&certificates.key)?))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).context(|| {
        Error::configuration(format!("cannot read `{}`", file.display())).hint(
            "`ca`, `cert` and `key` of `[cluster]`, or --ca, --cert and --key of a worker, are paths of files in PEM form",
        )
    })
}
