//! Encryption of connections to stores: what libpq's modes mean, by rustls.

use super::address::Tls;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// Checks less of a certificate than rustls does by itself.
#[derive(Debug)]
struct Lenient {
    /// Checks the chain; none where nobody is checked.
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end, between, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(path) => {
            let unreadable = |error: &dyn std::fmt::Display| {
                format!("the root certificates in `{}` cannot be read: {error}", path.display())
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // What the system trusts and rustls can't read can vouch for nobody.
                let _ = roots.add(certificate);
            }
        }
    }
    if roots.is_empty() {
        return Err(
            "no root certificate is known to check the server by; name a file with `sslrootcert`".to_owned()
        );
    }
    Ok(roots)
}

/// How rustls is to connect in a mode. `root_certificate`: a file with certificates; those of the system without one.
///
/// # Errors
/// Certificates that can't be read, in words.
pub(super) fn client(mode: Tls, root_certificate: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let chain = || {
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots(root_certificate)?), Arc::clone(&provider))
            .build()
            .map_err(|error| error.to_string())
    };
    let lenient = match mode {
        Tls::VerifyFull => {
            return Ok(builder.with_root_certificates(roots(root_certificate)?).with_no_client_auth());
        }
        Tls::VerifyCa => Lenient { chain: Some(chain()?), provider },
        // As libpq: a root certificate that is given is used.
        Tls::Require if root_certificate.is_some() => Lenient { chain: Some(chain()?), provider },
        Tls::Require | Tls::Prefer | Tls::Disable => Lenient { chain: None, provider },
    };
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(lenient)).with_no_client_auth())
}
