//! The primitives that statements and certificates rest on, as two small traits, and their real implementation.
//!
//! [`Ring`] is what every product binary uses. The traits exist so that long simulations can stand in something
//! cheaper behind the same types; they carry no policy: which key, which bytes and which domain is decided by
//! [`crate::statement`] and [`crate::certificate`].

use rand_core::CryptoRng;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};

use crate::attestation::{self, AttestationError, NonceCheck, VerifiedEnclave, When};
use crate::ids::{EnclaveId, HpkeKey, NodeId, Signature};
use crate::seal::{self, SealError, SealedView};
use crate::trust::Trust;

/// A signature that does not fit its key and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Verifies and seals.
pub trait Crypto: Send + Sync {
    /// Verifies an enclave's attestation document against a trust section (DESIGN §5). Only a memory of earlier
    /// results may take the place of this implementation: nothing else can make the witness.
    fn verify_enclave(
        &self,
        document: &[u8],
        trust: &Trust,
        claimed: Option<EnclaveId>,
        when: When,
    ) -> Result<VerifiedEnclave, AttestationError> {
        attestation::verify_enclave(document, trust, claimed, NonceCheck::NotAsked, when)
    }

    /// Verifies a node's Ed25519 signature (RFC 8032).
    fn verify(&self, signer: &NodeId, input: &[u8], signature: &Signature) -> Result<(), BadSignature>;

    /// Verifies an enclave's RSASSA-PSS signature with SHA-256 (RFC 8017); the key is a SubjectPublicKeyInfo.
    fn verify_enclave_signature(
        &self,
        spki: &[u8],
        input: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature>;

    /// Seals a signed view to an enclave (RFC 9180, base mode).
    fn seal(
        &self,
        to: &HpkeKey,
        context: &[u8],
        view: &[u8],
        randomness: &mut dyn CryptoRng,
    ) -> Result<SealedView, SealError>;
}

/// Signs as one node.
pub trait Signer: Send + Sync {
    /// The node that signs.
    fn id(&self) -> NodeId;

    /// Signs the input, which already carries its domain.
    fn sign(&self, input: &[u8]) -> Signature;
}

/// The real primitives: ring for signatures, the `hpke` crate for sealing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ring;

impl Crypto for Ring {
    fn verify(&self, signer: &NodeId, input: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let key = UnparsedPublicKey::new(&ED25519, signer.0);
        key.verify(input, &signature.0).map_err(|_| BadSignature)
    }

    fn verify_enclave_signature(
        &self,
        spki: &[u8],
        input: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let pkcs1 = rsa_public_key(spki).ok_or(BadSignature)?;
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, pkcs1);
        key.verify(input, signature).map_err(|_| BadSignature)
    }

    fn seal(
        &self,
        to: &HpkeKey,
        context: &[u8],
        view: &[u8],
        randomness: &mut dyn CryptoRng,
    ) -> Result<SealedView, SealError> {
        seal::seal(to, context, view, randomness)
    }
}

/// A node's Ed25519 key pair.
pub struct NodeKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl NodeKey {
    /// The key pair of a 32-byte seed (RFC 8032 §5.1.5), which must be secret and random.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("every 32 bytes are an Ed25519 seed");
        NodeKey { seed, pair }
    }

    /// The secret seed, for storage and for TLS. Never logged.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

impl Signer for NodeKey {
    fn id(&self) -> NodeId {
        NodeId(self.pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes"))
    }

    fn sign(&self, input: &[u8]) -> Signature {
        Signature(self.pair.sign(input).as_ref().try_into().expect("an Ed25519 signature has 64 bytes"))
    }
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "NodeKey({})", self.id().short())
    }
}

/// The PKCS#1 public key inside an RSA SubjectPublicKeyInfo (RFC 8017, RFC 5280), or nothing if it is not one.
fn rsa_public_key(spki: &[u8]) -> Option<&[u8]> {
    const RSA_ENCRYPTION: &[u8] =
        &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let body = der_value(0x30, spki)?;
    let bits = der_value(0x03, body.strip_prefix(RSA_ENCRYPTION)?)?;
    bits.strip_prefix(&[0])
}

/// The contents of a DER value with this tag that fills all of `input`.
fn der_value(tag: u8, input: &[u8]) -> Option<&[u8]> {
    let (length, rest) = match input.strip_prefix(&[tag])? {
        [short @ 0..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [0x81, length @ 0x80..=0xff, rest @ ..] => (usize::from(*length), rest),
        [0x82, high @ 1..=0xff, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return None,
    };
    (rest.len() == length).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_verifies_only_for_its_key_and_bytes() {
        let key = NodeKey::from_seed([1; 32]);
        let signature = key.sign(b"hello");
        assert_eq!(Ring.verify(&key.id(), b"hello", &signature), Ok(()));
        assert_eq!(Ring.verify(&key.id(), b"hellp", &signature), Err(BadSignature));
        assert_eq!(Ring.verify(&NodeKey::from_seed([2; 32]).id(), b"hello", &signature), Err(BadSignature));
    }

    #[test]
    fn a_key_prints_no_secret() {
        let text = format!("{:?}", NodeKey::from_seed([0x5a; 32]));
        assert!(!text.contains("5a5a"));
    }

    #[test]
    fn only_an_exact_rsa_spki_yields_a_key() {
        assert_eq!(rsa_public_key(&[]), None);
        assert_eq!(rsa_public_key(&[0x30, 0x81, 0x05, 0, 0, 0, 0, 0]), None);
        assert_eq!(der_value(0x30, &[0x30, 1, 9]), Some(&[9][..]));
        assert_eq!(der_value(0x30, &[0x30, 1, 9, 9]), None);
    }
}
