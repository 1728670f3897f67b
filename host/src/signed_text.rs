//! A signed statement inside JSON: its exact bytes and its signature, both in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nitro_elect_protocol::ids::Signature;
use nitro_elect_protocol::statement::{Signed, Statement};
use serde::{Deserialize, Serialize};

/// Why a text is no signed statement. Names the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedTextError {
    /// A field that is not base64.
    #[error("{0} is not base64")]
    Base64(&'static str),
    /// A signature of another length than Ed25519's.
    #[error("a signature has {0} bytes, not 64")]
    SignatureLength(usize),
}

/// The two parts as JSON holds them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedText {
    pub bytes: String,
    pub signature: String,
}

impl SignedText {
    /// Writes bytes and their signature.
    pub fn new(bytes: &[u8], signature: &[u8]) -> Self {
        SignedText { bytes: STANDARD.encode(bytes), signature: STANDARD.encode(signature) }
    }

    /// Writes a signed statement.
    pub fn of<T: Statement>(signed: &Signed<T>) -> Self {
        Self::new(signed.bytes(), &signed.signature().0)
    }

    /// Reads a signed statement; nothing of it is verified.
    pub fn read<T: Statement>(&self) -> Result<Signed<T>, SignedTextError> {
        let signature = decode("signature", &self.signature)?;
        let length = signature.len();
        let signature = signature.try_into().map_err(|_| SignedTextError::SignatureLength(length))?;
        Ok(Signed::from_parts(decode("bytes", &self.bytes)?, Signature(signature)))
    }
}

/// Writes base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads base64.
pub(crate) fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, SignedTextError> {
    STANDARD.decode(text).map_err(|_| SignedTextError::Base64(field))
}

/// Where a text begins to differ from the one way to write what it says.
pub(crate) fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (common < a.len().max(b.len())).then_some(common)
}
