//! Certificates of both ends of a connection between a worker and its coordinator.

use std::path::Path;

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

use crate::config::resolved::Certificates;
use crate::error::{Context, Error, Result};

/// The coordinator's end: whoever connects must show a certificate that the authority signed.
///
/// # Errors
/// Configuration, for a file that cannot be read.
pub fn server(certificates: &Certificates) -> Result<ServerTlsConfig> {
    choose_cryptography();
    Ok(ServerTlsConfig::new()
        .identity(identity(certificates)?)
        .client_ca_root(Certificate::from_pem(read(&certificates.ca)?)))
}

/// A worker's end: the coordinator must show a certificate for `host` that the authority signed.
///
/// # Errors
/// Configuration, for a file that cannot be read.
pub fn client(certificates: &Certificates, host: &str) -> Result<ClientTlsConfig> {
    choose_cryptography();
    Ok(ClientTlsConfig::new()
        .identity(identity(certificates)?)
        .ca_certificate(Certificate::from_pem(read(&certificates.ca)?))
        .domain_name(host))
}

/// Two implementations are linked in, and rustls asks for a choice before the first connection.
fn choose_cryptography() {
    // It was made before; the choice stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn identity(certificates: &Certificates) -> Result<Identity> {
    Ok(Identity::from_pem(read(&certificates.cert)?, read(&certificates.key)?))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).context(|| {
        Error::configuration(format!("cannot read `{}`", file.display())).hint(
            "`ca`, `cert` and `key` of `[cluster]`, or --ca, --cert and --key of a worker, name files in PEM form",
        )
    })
}
