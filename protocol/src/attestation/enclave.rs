//! Checks 17 to 19: the document is an election service's, and which one's.

use super::binding::{BindingError, EnclaveBinding, check_signing_key};
use super::check::{Check, Checked, Outcome};
use super::error::AttestationError;
use super::limits::NONCE_MIN;
use super::pcr::{Measurements, Pcrs};
use super::verify::{DocumentPolicy, VerifiedDocument, verify_document};
use super::when::{Freshness, NonceCheck, When};
use crate::assurance::Assurance;
use crate::ids::{EnclaveId, HpkeKey};
use crate::time::Wall;
use crate::trust::Trust;

/// An election service whose keys an NSM vouched for, running accepted code.
///
/// Only [`verify_enclave`] makes one. Look at [`VerifiedEnclave::freshness`] before sealing anything to it:
/// only a live one is known to be good now, and no longer than [`VerifiedEnclave::good_until`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEnclave {
    id: EnclaveId,
    signing_key: Vec<u8>,
    binding: EnclaveBinding,
    document: VerifiedDocument,
}

/// Checks an election service's document against the trust section: checks 1 to 19 of `docs/ATTESTATION.md`.
///
/// `claimed` is the enclave id that the document came with, if it came with one.
pub fn verify_enclave(
    document: &[u8],
    trust: &Trust,
    claimed: Option<EnclaveId>,
    nonce: NonceCheck<'_>,
    when: When,
) -> Result<VerifiedEnclave, AttestationError> {
    if let Some(fault) = trust.faults().into_iter().next() {
        return Err(fault.into());
    }
    if let NonceCheck::Sent(sent) = nonce
        && sent.len() < NONCE_MIN
    {
        return Err(AttestationError::NonceTooShort { found: sent.len(), min: NONCE_MIN });
    }
    let accepted = trust.accepted.iter().map(Measurements::try_from).collect::<Result<Vec<_>, _>>()?;
    let policy = DocumentPolicy {
        root: &trust.root,
        accepted: &accepted,
        allow_debug: trust.allow_debug,
        max_age: Some(trust.max_age()),
        nonce,
        when,
    };
    bind(verify_document(document, &policy)?, claimed)
}

/// Checks 17 to 19.
fn bind(
    mut document: VerifiedDocument,
    claimed: Option<EnclaveId>,
) -> Result<VerifiedEnclave, AttestationError> {
    let signing_key = check_signing_key(document.public_key())?.to_vec();
    document.note(Check::SigningKey, Outcome::Passed);
    let binding = EnclaveBinding::decode(document.user_data().ok_or(BindingError::Missing)?)?;
    document.note(Check::Binding, Outcome::Passed);
    let id = EnclaveId::of(&signing_key, &binding.hpke_public_key());
    match claimed {
        Some(claimed) if claimed != id => return Err(AttestationError::OtherEnclave { claimed, found: id }),
        Some(_) => document.note(Check::EnclaveId, Outcome::Passed),
        None => document.note(Check::EnclaveId, Outcome::NotAsked),
    }
    Ok(VerifiedEnclave { id, signing_key, binding, document })
}

impl VerifiedEnclave {
    /// The hash of both its keys: fresh at every boot.
    pub fn id(&self) -> EnclaveId {
        self.id
    }

    /// The RSA key that certificates are signed with: SubjectPublicKeyInfo, DER.
    pub fn signing_key(&self) -> &[u8] {
        &self.signing_key
    }

    /// The key that views are sealed to.
    pub fn hpke_key(&self) -> HpkeKey {
        self.binding.hpke_public_key()
    }

    /// How it signs certificates.
    pub fn signature_algorithm(&self) -> &str {
        self.binding.signature_algorithm()
    }

    /// What it says of its own version.
    pub fn service_version(&self) -> &str {
        self.binding.service_version()
    }

    /// Its registers.
    pub fn pcrs(&self) -> &Pcrs {
        self.document.pcrs()
    }

    /// What its word is worth.
    pub fn assurance(&self) -> Assurance {
        self.document.assurance()
    }

    /// How the dates were checked.
    pub fn freshness(&self) -> Freshness {
        self.document.freshness()
    }

    /// When the document was made, by the NSM's clock.
    pub fn timestamp(&self) -> Wall {
        self.document.timestamp()
    }

    /// The last moment at which the document passes live.
    pub fn good_until(&self) -> Wall {
        self.document.good_until()
    }

    /// Every check by its number, and what became of it.
    pub fn checks(&self) -> &[Checked] {
        self.document.checks()
    }

    /// The document itself.
    pub fn document(&self) -> &VerifiedDocument {
        &self.document
    }
}
