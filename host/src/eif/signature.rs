//! The signature section: a certificate, and a COSE_Sign1 (RFC 9052) of its key over PCR0.
//!
//! It is CBOR in nitro-cli's form: an array of one map with `signing_certificate` (PEM) and `signature`, both as arrays
//! of numbers; the signed payload is a map with `register_index` 0 and `register_value`. PCR8 covers the certificate, so
//! an attestation document says who signed an image; the section lets everybody else check that they did.
//!
//! Keys on P-384 and P-256 are known, which are those that nitro-cli's own walk-through and KMS make.

use nitro_elect_protocol::ids::Pcr;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

use super::limits::SIGNATURE_MAX;
use super::{der, measure};
use crate::pem_block::{self, PemBlockError};

/// What a certificate is called in PEM.
const LABEL: &str = "CERTIFICATE";
/// The CBOR tag of a COSE_Sign1, which nitro-cli writes.
const COSE_SIGN1: &[u8] = &[0xd2];
/// A way to sign.
struct Algorithm {
    name: &'static str,
    /// The protected header that names it: `{1: algorithm}`.
    protected: &'static [u8],
    /// A SubjectPublicKeyInfo (RFC 5480) up to the point on the curve.
    key_info: &'static [u8],
    verifier: &'static dyn VerificationAlgorithm,
}

static ALGORITHMS: [Algorithm; 2] = [
    Algorithm {
        name: "ES384",
        protected: &[0xa1, 0x01, 0x38, 0x22],
        key_info: &[
            0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
            0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
        ],
        verifier: &ECDSA_P384_SHA384_FIXED,
    },
    Algorithm {
        name: "ES256",
        protected: &[0xa1, 0x01, 0x26],
        key_info: &[
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ],
        verifier: &ECDSA_P256_SHA256_FIXED,
    },
];

/// Who signed an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The certificate, in DER.
    pub certificate: Vec<u8>,
    /// How it was signed, by its name in COSE.
    pub algorithm: &'static str,
    /// What the certificate measures to.
    pub pcr8: Pcr,
}

impl Signed {
    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        pem_block::encode(LABEL, &self.certificate)
    }
}

/// Why a signature section does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Larger than any.
    #[error("{len} bytes, more than {SIGNATURE_MAX}")]
    TooLarge {
        /// Its length.
        len: usize,
    },
    /// Not of nitro-cli's form.
    #[error("not a list of one certificate with its signature, in CBOR")]
    Form,
    /// No certificate in PEM.
    #[error("the certificate: {0}")]
    Pem(#[from] PemBlockError),
    /// A certificate without a key that could have signed.
    #[error("the certificate has no key on P-384 or P-256")]
    Key,
    /// The signature is no COSE_Sign1 with a payload.
    #[error("the signature is no COSE_Sign1 by the certificate's kind of key")]
    Envelope,
    /// Something else was signed.
    #[error("what was signed is not this image's PCR0")]
    OtherImage,
    /// The signature is wrong.
    #[error("the certificate's key did not sign it")]
    Forged,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    signing_certificate: Vec<u8>,
    signature: Vec<u8>,
}

/// Protected header, unprotected header, payload, signature.
#[derive(Deserialize)]
struct Envelope(ByteBuf, BTreeMap<i64, i64>, ByteBuf, ByteBuf);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    register_index: u8,
    register_value: Vec<u8>,
}

/// `Sig_structure` of RFC 9052 §4.4.
#[derive(Serialize)]
struct SignedBytes<'a>(&'static str, &'a ByteBuf, ByteBuf, &'a ByteBuf);

/// Checks the signature over PCR0.
pub(super) fn verify(section: &[u8], pcr0: &Pcr) -> Result<Signed, SignatureError> {
    if section.len() > SIGNATURE_MAX {
        return Err(SignatureError::TooLarge { len: section.len() });
    }
    let entries: Vec<Entry> = serde_cbor::from_slice(section).map_err(|_| SignatureError::Form)?;
    let [entry] = &entries[..] else { return Err(SignatureError::Form) };
    let text = std::str::from_utf8(&entry.signing_certificate).map_err(|_| PemBlockError::NoBlock)?;
    let certificate = pem_block::decode(LABEL, text)?;
    let (algorithm, point) = key(&certificate).ok_or(SignatureError::Key)?;
    verify_envelope(&entry.signature, pcr0, algorithm, point)?;
    let pcr8 = measure::register(&[&certificate]);
    Ok(Signed { algorithm: algorithm.name, pcr8, certificate })
}

fn verify_envelope(
    envelope: &[u8],
    pcr0: &Pcr,
    algorithm: &Algorithm,
    point: &[u8],
) -> Result<(), SignatureError> {
    let untagged = envelope.strip_prefix(COSE_SIGN1).unwrap_or(envelope);
    let Envelope(protected, unprotected, payload, signature) =
        serde_cbor::from_slice(untagged).map_err(|_| SignatureError::Envelope)?;
    if protected != algorithm.protected || !unprotected.is_empty() {
        return Err(SignatureError::Envelope);
    }
    let what: Payload = serde_cbor::from_slice(&payload).map_err(|_| SignatureError::Envelope)?;
    if what.register_index != 0 || what.register_value != pcr0.0 {
        return Err(SignatureError::OtherImage);
    }
    let signed = SignedBytes("Signature1", &protected, ByteBuf::new(), &payload);
    let signed = serde_cbor::to_vec(&signed).expect("texts and byte strings make CBOR");
    let key = UnparsedPublicKey::new(algorithm.verifier, point);
    key.verify(&signed, &signature).map_err(|_| SignatureError::Forged)
}

/// The kind of a certificate's key, and its point on the curve. Whoever signs an image signs for themselves: who may do
/// so is said by PCR8, not by the certificate's dates or issuer.
fn key(certificate: &[u8]) -> Option<(&'static Algorithm, &[u8])> {
    let info = der::public_key_info(certificate)?;
    ALGORITHMS.iter().find_map(|algorithm| Some((algorithm, info.strip_prefix(algorithm.key_info)?)))
}
