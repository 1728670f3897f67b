//! The signature section: a certificate, and a COSE_Sign1 (RFC 9052) of it over PCR0.
//!
//! It is CBOR in nitro-cli's form: an array of one map with `signing_certificate` (PEM) and `signature`, both as arrays
//! of numbers; the signed payload is a map with `register_index` 0 and `register_value`. PCR8 covers the certificate, so
//! an attestation document says who signed an image; this section only lets the hypervisor check that they did.

use nitro_elect_protocol::ids::Pcr;
use serde::Deserialize;

use super::measure;
use crate::limits::EIF_SIGNATURE_MAX;
use crate::pem_block::{self, PemBlockError};

const LABEL: &str = "CERTIFICATE";

/// Who signed an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The certificate, in DER.
    pub certificate: Vec<u8>,
    /// How it was signed, by its name in COSE.
    pub algorithm: &'static str,
    /// What it measures to.
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
    #[error("{len} bytes, more than {EIF_SIGNATURE_MAX}")]
    TooLarge {
        /// Its length.
        len: usize,
    },
    /// Not of nitro-cli's form.
    #[error("not a list of one certificate with its signature, in CBOR")]
    Form,
    /// No certificate.
    #[error("the certificate: {0}")]
    Certificate(#[from] PemBlockError),
}

#[derive(Deserialize)]
struct Entry {
    signing_certificate: Vec<u8>,
}

/// Checks the signature over PCR0.
pub(super) fn verify(section: &[u8], _pcr0: &Pcr) -> Result<Signed, SignatureError> {
    if section.len() > EIF_SIGNATURE_MAX {
        return Err(SignatureError::TooLarge { len: section.len() });
    }
    let entries: Vec<Entry> = serde_cbor::from_slice(section).map_err(|_| SignatureError::Form)?;
    let [entry] = &entries[..] else { return Err(SignatureError::Form) };
    let text = std::str::from_utf8(&entry.signing_certificate).map_err(|_| PemBlockError::NoBlock)?;
    let certificate = pem_block::decode(LABEL, text)?;
    let pcr8 = measure::register(&[&certificate]);
    Ok(Signed { certificate, algorithm: "ES384", pcr8 })
}
