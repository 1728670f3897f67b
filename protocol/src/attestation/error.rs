//! Why a document is not believed: one variant for each way to fail, each belonging to one numbered check.

use std::time::Duration;

use super::binding::{BindingError, SigningKeyError};
use super::chain::ChainError;
use super::check::Check;
use super::cose::EnvelopeError;
use super::document::{DocumentError, ReadError};
use super::pcr::{MeasurementsError, Mismatch};
use crate::ids::EnclaveId;
use crate::trust::TrustFault;

/// Why an attestation document is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// Before any check: the trust section itself has a fault.
    #[error("the trust section cannot be used: {0}")]
    Trust(#[from] TrustFault),
    /// Before any check: the expected measurements leave the image open.
    #[error("the expected measurements cannot be used: {0}")]
    Expectation(#[from] MeasurementsError),
    /// Checks 1 and 2.
    #[error("the attestation document's envelope is refused: {0}")]
    Envelope(#[from] EnvelopeError),
    /// Checks 3 and 4.
    #[error("the attestation document's contents are refused: {0}")]
    Document(#[from] DocumentError),
    /// Checks 5 to 10.
    #[error("the attestation document's certificates are refused: {0}")]
    Chain(#[from] ChainError),
    /// Check 11: the leaf did not sign this.
    #[error(
        "the attestation document's signature does not verify: it was changed, or never signed by an NSM"
    )]
    Signature,
    /// Check 12: PCR0 to PCR2 are zero.
    #[error(
        "the enclave runs in debug mode, where its parent instance can read it: start it without --debug-mode"
    )]
    DebugMode,
    /// Check 13: none of the accepted sets.
    #[error("the enclave's image is none of the {sets} accepted: {nearest}; accept it only if you built it")]
    Measurements {
        /// How many sets are accepted.
        sets: usize,
        /// A register that differs from the nearest of them.
        nearest: Mismatch,
    },
    /// Check 14: the timestamp lies too far ahead.
    #[error("the attestation document is dated {ahead:?} ahead, at most {max:?} may be: compare the clocks")]
    Future {
        /// How far ahead.
        ahead: Duration,
        /// How far it may be.
        max: Duration,
    },
    /// Check 15: the document is too old.
    #[error("the attestation document is {age:?} old, at most {max:?} may be: ask the enclave for a new one")]
    Stale {
        /// How old it is.
        age: Duration,
        /// How old it may be.
        max: Duration,
    },
    /// Check 16: the nonce that was sent proves too little.
    #[error(
        "the nonce sent has {found} bytes, at least {min} are needed: draw it at random for each question"
    )]
    NonceTooShort {
        /// Its length.
        found: usize,
        /// The least that is needed.
        min: usize,
    },
    /// Check 16: a nonce was sent, and the document has none.
    #[error(
        "the attestation document carries no nonce, and one was sent: it is not an answer to this question"
    )]
    NonceMissing,
    /// Check 16: the document has another nonce than the one sent.
    #[error("the attestation document carries another nonce than the one sent: it answers somebody else")]
    NonceDiffers,
    /// Check 17: no key that the enclave signs with.
    #[error("the attestation document's public key is refused: {0}")]
    SigningKey(#[from] SigningKeyError),
    /// Check 18: the other key is not bound.
    #[error("the attestation document's user data is refused: {0}")]
    Binding(#[from] BindingError),
    /// Check 19: the document is another enclave's.
    #[error("the attestation document is that of enclave {found}, not of the claimed {claimed}")]
    OtherEnclave {
        /// The id that was claimed.
        claimed: EnclaveId,
        /// The id that its keys give.
        found: EnclaveId,
    },
}

impl AttestationError {
    /// The check that failed; none if what is accepted was itself unusable and no check was made.
    pub fn check(&self) -> Option<Check> {
        Some(match self {
            AttestationError::Trust(_) | AttestationError::Expectation(_) => return None,
            AttestationError::Envelope(error) => error.check(),
            AttestationError::Document(error) => error.check(),
            AttestationError::Chain(error) => error.check(),
            AttestationError::Signature => Check::Signature,
            AttestationError::DebugMode => Check::DebugMode,
            AttestationError::Measurements { .. } => Check::Measurements,
            AttestationError::Future { .. } => Check::Future,
            AttestationError::Stale { .. } => Check::Age,
            AttestationError::NonceTooShort { .. }
            | AttestationError::NonceMissing
            | AttestationError::NonceDiffers => Check::Nonce,
            AttestationError::SigningKey(_) => Check::SigningKey,
            AttestationError::Binding(_) => Check::Binding,
            AttestationError::OtherEnclave { .. } => Check::EnclaveId,
        })
    }

    /// Whether only the time is over: a certificate has expired, or the document is too old.
    pub fn is_expiry(&self) -> bool {
        matches!(self, AttestationError::Chain(ChainError::Expired { .. }) | AttestationError::Stale { .. })
    }
}

impl From<ReadError> for AttestationError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Envelope(error) => error.into(),
            ReadError::Document(error) => error.into(),
        }
    }
}

impl EnvelopeError {
    /// The check that failed.
    pub fn check(&self) -> Check {
        match self {
            EnvelopeError::TooLarge { .. } | EnvelopeError::Structure(_) | EnvelopeError::Detached => {
                Check::Envelope
            }
            EnvelopeError::Algorithm | EnvelopeError::Unprotected => Check::Algorithm,
        }
    }
}

impl DocumentError {
    /// The check that failed.
    pub fn check(&self) -> Check {
        match self {
            DocumentError::Structure(_)
            | DocumentError::UnknownField { .. }
            | DocumentError::DoubledField { .. }
            | DocumentError::MissingField { .. }
            | DocumentError::Field { .. }
            | DocumentError::ZeroTimestamp => Check::Fields,
            DocumentError::Digest { .. }
            | DocumentError::Register { .. }
            | DocumentError::PcrIndex { .. }
            | DocumentError::DoubledPcr { .. }
            | DocumentError::MissingPcr { .. } => Check::Registers,
        }
    }
}

impl ChainError {
    /// The check that failed.
    pub fn check(&self) -> Check {
        match self {
            ChainError::RootNotPinned { .. } => Check::Root,
            ChainError::NotACertificate { .. } | ChainError::Curve { .. } => Check::Certificates,
            ChainError::Order { .. } => Check::Order,
            ChainError::NotAnAuthority { .. }
            | ChainError::LeafIsAuthority
            | ChainError::PathLength { .. }
            | ChainError::KeyUsage { .. } => Check::Constraints,
            ChainError::SignatureAlgorithm
            | ChainError::CertificateSignature
            | ChainError::NotThePath
            | ChainError::NeverValid
            | ChainError::Path { .. } => Check::Path,
            ChainError::NotYetValid { .. } | ChainError::Expired { .. } => Check::Dates,
        }
    }
}
