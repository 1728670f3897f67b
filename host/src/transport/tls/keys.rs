//! Node keys as TLS carries them, and the two verifiers that take the place of certificate checks.
//!
//! A verifier accepts exactly one form of key, byte for byte, so that one node has one encoding; and the signature
//! of the handshake is checked against that very key.

use super::ExpectedKey;
use nitro_elect_protocol::ids::NodeId;
use ring::signature::{ED25519, UnparsedPublicKey};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use std::sync::Arc;

/// What an Ed25519 SubjectPublicKeyInfo begins with (RFC 8410 §4); the 32 bytes of the key follow.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The node whose SubjectPublicKeyInfo this is.
pub(super) fn node_of(spki: &CertificateDer<'_>) -> Option<NodeId> {
    let key = spki.strip_prefix(SPKI_PREFIX.as_slice())?;
    key.try_into().ok().map(NodeId)
}

/// The SubjectPublicKeyInfo of a node, where TLS has a certificate.
pub(super) fn spki_of(node: &NodeId) -> CertificateDer<'static> {
    CertificateDer::from([SPKI_PREFIX.as_slice(), &node.0].concat())
}

/// The node in a handshake, as a verifier sees it: one key and nothing else.
fn shown(end_entity: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<NodeId, rustls::Error> {
    let node = node_of(end_entity).filter(|_| others.is_empty());
    node.ok_or(rustls::Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// Verifies that the other side holds its key's private half.
fn proven(
    message: &[u8],
    key: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let bad = || rustls::Error::InvalidCertificate(CertificateError::BadSignature);
    let node = node_of(key).filter(|_| signed.scheme == SignatureScheme::ED25519).ok_or_else(bad)?;
    let verified = UnparsedPublicKey::new(&ED25519, node.0).verify(message, signed.signature());
    verified.map(|()| HandshakeSignatureValid::assertion()).map_err(|_| bad())
}

/// TLS 1.2 is not compiled in; should a signature of it arrive, it is refused.
fn not_tls12() -> rustls::Error {
    rustls::Error::PeerIncompatible(rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig)
}

/// Carries the two keys out of the TLS library.
#[derive(Debug, thiserror::Error)]
#[error("expected {expected:?}, found {shown:?}")]
pub(super) struct WrongKey {
    pub(super) expected: NodeId,
    pub(super) shown: NodeId,
}

/// Accepts the expected server, if it holds its key.
#[derive(Debug)]
pub(super) struct ServerKeyVerifier(pub(super) ExpectedKey);

impl ServerCertVerifier for ServerKeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = shown(end_entity, intermediates)?;
        match self.0 {
            ExpectedKey::Exactly(expected) if expected != shown => {
                let cause = OtherError(Arc::new(WrongKey { expected, shown }));
                Err(rustls::Error::InvalidCertificate(CertificateError::Other(cause)))
            }
            ExpectedKey::Exactly(_) | ExpectedKey::Any => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(not_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        proven(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Accepts every client that holds an Ed25519 key; admission is decided after the handshake.
#[derive(Debug)]
pub(super) struct ClientKeyVerifier;

impl ClientCertVerifier for ClientKeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        shown(end_entity, intermediates).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(not_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        proven(message, key, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
