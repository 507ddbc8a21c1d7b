//! The TLS handshake, and what its failures mean.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, Error, ProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{ConnectionError, TlsStream};
use crate::address::{AddressError, ServerAddress};
use crate::track::printable;

/// Agrees on TLS with the server; with what was agreed.
pub(super) async fn handshake(
    server: &ServerAddress,
    stream: TcpStream,
    config: &Arc<ClientConfig>,
) -> Result<(TlsStream, String), ConnectionError> {
    let name = ServerName::try_from(server.host().trim_end_matches('.').to_owned())
        .map_err(|_| AddressError::Host(server.host().to_owned()))?;
    let connected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
    let stream = connected.map_err(|error| meaning(&error, server))?;
    let version = match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS",
    };
    let suite = stream.get_ref().1.negotiated_cipher_suite();
    let suite = suite.and_then(|suite| suite.suite().as_str().map(|name| format!(", {name}")));
    let detail = format!("{version}{}, certificate trusted", suite.unwrap_or_default());
    Ok((stream, detail))
}

fn meaning(error: &io::Error, server: &ServerAddress) -> ConnectionError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    let server = server.to_string();
    match cause {
        Some(Error::InvalidCertificate(error)) => of_certificate(error, server),
        Some(Error::AlertReceived(alert)) => {
            ConnectionError::TlsRefused { server, reason: format!("{alert:?}") }
        }
        Some(error @ Error::PeerIncompatible(_)) => {
            ConnectionError::TlsRefused { server, reason: error.to_string() }
        }
        // Not TLS, or a connection that ends where TLS would go on.
        Some(error) => ConnectionError::NotTls { server, reason: error.to_string() },
        None => ConnectionError::NotTls { server, reason: error.to_string() },
    }
}

fn of_certificate(error: &CertificateError, server: String) -> ConnectionError {
    use CertificateError as C;
    match error {
        // A bad signature is that of an authority which only has the name of one that is trusted.
        C::UnknownIssuer | C::BadSignature => ConnectionError::UnknownAuthority { server },
        C::Expired | C::ExpiredContext { .. } => ConnectionError::Expired { server },
        C::NotValidYet | C::NotValidYetContext { .. } => ConnectionError::NotYetValid { server },
        C::NotValidForName => ConnectionError::OtherName { server, names: "another name".to_owned() },
        C::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            ConnectionError::OtherName { server, names: printable(&names) }
        }
        error => ConnectionError::Certificate { server, reason: error.to_string() },
    }
}

/// The name in `DnsName("cam.example")` or `IpAddress(192.168.1.20)`, as the TLS library writes what a certificate has.
fn plain_name(written: &str) -> &str {
    let inner = written.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(written).trim_matches('"')
}
