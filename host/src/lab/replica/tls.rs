//! A certificate of one run's own. Only a Chromium that was told its key takes it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What TLS needs, and what Chromium is told.
pub(super) struct Identity {
    pub(super) acceptor: TlsAcceptor,
    /// SHA-256 of the public key's SubjectPublicKeyInfo, in base64: for `--ignore-certificate-errors-spki-list`.
    pub(super) spki: String,
}

/// A new key, and a certificate for these names. Neither leaves the process.
pub(super) fn identity(names: Vec<String>) -> Result<Identity, String> {
    let failed = |error: &dyn std::fmt::Display| format!("no test certificate can be made: {error}");
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let mut params = CertificateParams::new(names).map_err(|error| failed(&error))?;
    params.distinguished_name.push(DnType::CommonName, "webai2api adapter test");
    let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
    let spki = STANDARD.encode(Sha256::digest(key.subject_public_key_info()));
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // Named, because a process in which two are linked has no default.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private));
    let mut config = config.map_err(|error| failed(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)), spki })
}
