//! The envelope: `COSE_Sign1` (RFC 9052 §4.2), with ES384 and nothing else.
//!
//! The protected header is compared as bytes and the signed structure is built from the bytes received, so
//! that no re-encoding can stand between what was signed and what is believed.

use ring::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};

use super::cbor::{CborError, Reader};
use super::limits::SIGNATURE_LENGTH;
use crate::limits::DOCUMENT_MAX;

/// CBOR tag of a `COSE_Sign1`; the NSM leaves it away.
const COSE_SIGN1: u64 = 18;
/// The protected header `{1: -35}`: algorithm ES384, as an integer, and nothing else.
const PROTECTED_ES384: &[u8] = &[0xa1, 0x01, 0x38, 0x22];

/// Why bytes are not an envelope that this verifier opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Check 1: more bytes than any document has.
    #[error("the document has {found} bytes, more than the {max} that one can have")]
    TooLarge {
        /// Its length.
        found: usize,
        /// The most that is read.
        max: usize,
    },
    /// Check 1: not a `COSE_Sign1` with its payload inside.
    #[error("not a COSE_Sign1 of four parts: {0}")]
    Structure(CborError),
    /// Check 1: the payload is detached.
    #[error("the payload is not inside the document")]
    Detached,
    /// Check 2: the protected header is not exactly `{1: -35}`.
    #[error("the protected header does not say ES384 and nothing else")]
    Algorithm,
    /// Check 2: the unprotected header is not empty.
    #[error("the unprotected header is not empty")]
    Unprotected,
}

impl From<CborError> for EnvelopeError {
    fn from(error: CborError) -> Self {
        EnvelopeError::Structure(error)
    }
}

/// An opened envelope: the payload as received, and its signature, not verified yet.
pub(super) struct Envelope<'a> {
    pub(super) payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Checks 1 and 2.
    pub(super) fn open(document: &'a [u8]) -> Result<Self, EnvelopeError> {
        if document.len() > DOCUMENT_MAX {
            return Err(EnvelopeError::TooLarge { found: document.len(), max: DOCUMENT_MAX });
        }
        let mut reader = Reader::new(document);
        reader.optional_tag(COSE_SIGN1, "the tag of a COSE_Sign1, or none")?;
        let mut parts = reader.array(4, 4)?;
        reader.more(&mut parts)?;
        if reader.bytes(0, DOCUMENT_MAX)? != PROTECTED_ES384 {
            return Err(EnvelopeError::Algorithm);
        }
        reader.more(&mut parts)?;
        skip_empty_map(&mut reader)?;
        reader.more(&mut parts)?;
        if reader.null()? {
            return Err(EnvelopeError::Detached);
        }
        let payload = reader.bytes(1, DOCUMENT_MAX)?;
        reader.more(&mut parts)?;
        let signature = reader.bytes(SIGNATURE_LENGTH, SIGNATURE_LENGTH)?;
        reader.more(&mut parts)?;
        reader.finish()?;
        Ok(Envelope { payload, signature })
    }

    /// Whether the signature verifies under this P-384 key (an uncompressed point). Both values of s are
    /// accepted, as the NSM produces both.
    pub(super) fn is_signed_by(&self, point: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point);
        key.verify(&self.signed_bytes(), self.signature).is_ok()
    }

    /// The `Sig_structure` of RFC 9052 §4.4: `["Signature1", protected, h'', payload]`.
    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x84, 0x6a];
        bytes.extend(b"Signature1");
        bytes.push(0x44);
        bytes.extend(PROTECTED_ES384);
        bytes.push(0x40);
        bytes.extend(byte_string_head(self.payload.len()));
        bytes.extend(self.payload);
        bytes
    }
}

/// The head of a byte string, in its shortest form as RFC 9052 §9 asks, for lengths up to `DOCUMENT_MAX`.
fn byte_string_head(length: usize) -> Vec<u8> {
    const { assert!(DOCUMENT_MAX <= 0xffff) };
    match length.to_be_bytes() {
        [.., 0, short @ 0..24] => vec![0x40 | short],
        [.., 0, byte] => vec![0x58, byte],
        [.., high, low] => vec![0x59, high, low],
    }
}

fn skip_empty_map(reader: &mut Reader<'_>) -> Result<(), EnvelopeError> {
    let full = |error| match error {
        CborError::Length { .. } => EnvelopeError::Unprotected,
        error => EnvelopeError::Structure(error),
    };
    let mut entries = reader.map(0, 0).map_err(full)?;
    reader.more(&mut entries).map(|_| ()).map_err(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_payload_is_the_shortest_one() {
        assert_eq!(byte_string_head(0), [0x40]);
        assert_eq!(byte_string_head(23), [0x57]);
        assert_eq!(byte_string_head(24), [0x58, 24]);
        assert_eq!(byte_string_head(255), [0x58, 255]);
        assert_eq!(byte_string_head(256), [0x59, 1, 0]);
        assert_eq!(byte_string_head(DOCUMENT_MAX), [0x59, 0x40, 0]);
    }
}
