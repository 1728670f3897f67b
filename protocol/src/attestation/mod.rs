//! Attestation documents (placeholder until the verifier lands).
use crate::{assurance::Assurance, ids::*, time::Wall, trust::Trust};
/// How the dates of a document were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Live.
    Live,
    /// At.
    At,
    /// Later.
    Later,
}
/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Live.
    Live {
        /// Now.
        now: Wall,
    },
    /// Later.
    Later,
    /// At.
    At {
        /// Time.
        time: Wall,
    },
}
/// Nonce.
#[derive(Clone, Copy, Debug)]
pub enum NonceCheck<'a> {
    /// Sent.
    Sent(&'a [u8]),
    /// Not.
    NotAsked,
}
/// Error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attestation")]
pub struct AttestationError;
/// Check.
#[derive(Clone, Copy, Debug)]
pub struct Check;
impl Check {
    /// Number.
    pub fn number(self) -> u8 {
        0
    }
}
impl AttestationError {
    /// Check.
    pub fn check(&self) -> Option<Check> {
        None
    }

    /// Expired.
    pub fn is_expiry(&self) -> bool {
        false
    }
}
/// Enclave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEnclave {
    id: EnclaveId,
    key: Vec<u8>,
    hpke: HpkeKey,
    assurance: Assurance,
    freshness: Freshness,
    good_until: Wall,
}
#[allow(missing_docs)]
impl VerifiedEnclave {
    pub fn id(&self) -> EnclaveId {
        self.id
    }
    pub fn signing_key(&self) -> &[u8] {
        &self.key
    }
    pub fn hpke_key(&self) -> HpkeKey {
        self.hpke
    }
    pub fn assurance(&self) -> Assurance {
        self.assurance
    }
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }
    pub fn timestamp(&self) -> Wall {
        self.good_until
    }
    pub fn good_until(&self) -> Wall {
        self.good_until
    }
}
#[allow(missing_docs)]
pub fn verify_enclave(
    _: &[u8],
    _: &Trust,
    _: Option<EnclaveId>,
    _: NonceCheck<'_>,
    _: When,
) -> Result<VerifiedEnclave, AttestationError> {
    Err(AttestationError)
}
