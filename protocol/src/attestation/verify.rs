//! Checks 1 to 16: any enclave's document, ours or not.
//!
//! There is one way to accept a document: name a root and measurements that fix an image. What was accepted
//! is a [`VerifiedDocument`], which nothing else can make.

use std::time::Duration;

use super::certificate::CertificateSummary;
use super::chain::VerifiedChain;
use super::check::{Check, Checked, Outcome};
use super::cose::Envelope;
use super::document::UntrustedDocument;
use super::error::AttestationError;
use super::pcr::{Measurements, MeasurementsError, Mismatch, Pcrs, is_debug};
use super::root::Root;
use super::when::{Freshness, NonceCheck, When};
use crate::assurance::Assurance;
use crate::hash::sha256;
use crate::limits::FUTURE_MAX;
use crate::time::Wall;

/// What a document must be to be believed.
#[derive(Clone, Copy, Debug)]
pub struct DocumentPolicy<'a> {
    /// The pinned root.
    pub root: &'a Root,
    /// The accepted sets of measurements, at least one; the document must meet one of them entirely.
    pub accepted: &'a [Measurements],
    /// Whether an enclave in debug mode passes, as such and whatever it measured.
    pub allow_debug: bool,
    /// How old the document may be; without it, the certificates' dates are the only bound.
    pub max_age: Option<Duration>,
    /// Whether a nonce was sent.
    pub nonce: NonceCheck<'a>,
    /// When dates are checked.
    pub when: When,
}

/// A document that passed the checks of its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDocument {
    digest: [u8; 32],
    module_id: String,
    timestamp: Wall,
    pcrs: Pcrs,
    public_key: Option<Vec<u8>>,
    user_data: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
    certificates: Vec<CertificateSummary>,
    good_until: Wall,
    assurance: Assurance,
    freshness: Freshness,
    checks: Vec<Checked>,
}

/// Checks a document against a policy: checks 1 to 16 of `docs/ATTESTATION.md`, in order.
pub fn verify_document(
    document: &[u8],
    policy: &DocumentPolicy<'_>,
) -> Result<VerifiedDocument, AttestationError> {
    if policy.accepted.is_empty() {
        return Err(MeasurementsError::Empty.into());
    }
    let envelope = Envelope::open(document)?;
    let contents = UntrustedDocument::parse(envelope.payload)?;
    let chain = VerifiedChain::verify(&contents, policy.root, policy.when)?;
    if !envelope.is_signed_by(chain.leaf_point) {
        return Err(AttestationError::Signature);
    }
    let is_debug = check_measurements(&contents.pcrs, policy)?;
    check_timestamp(contents.timestamp, policy)?;
    check_nonce(contents.nonce, policy.nonce)?;
    let oldest = policy.max_age.map_or(Wall(u64::MAX), |max_age| contents.timestamp + max_age);
    Ok(VerifiedDocument {
        digest: sha256(document),
        module_id: contents.module_id.to_owned(),
        timestamp: contents.timestamp,
        pcrs: contents.pcrs,
        public_key: contents.public_key.map(<[u8]>::to_vec),
        user_data: contents.user_data.map(<[u8]>::to_vec),
        nonce: contents.nonce.map(<[u8]>::to_vec),
        certificates: chain.certificates,
        good_until: oldest.min(chain.not_after),
        assurance: policy.root.assurance().and(if is_debug { Assurance::Debug } else { Assurance::Attested }),
        freshness: policy.when.freshness(),
        checks: outcomes(policy, is_debug),
    })
}

/// Checks 12 and 13; whether the enclave is in debug mode, and allowed to be.
fn check_measurements(pcrs: &Pcrs, policy: &DocumentPolicy<'_>) -> Result<bool, AttestationError> {
    if is_debug(pcrs) {
        return if policy.allow_debug { Ok(true) } else { Err(AttestationError::DebugMode) };
    }
    let mismatches: Option<Vec<Mismatch>> = policy.accepted.iter().map(|set| set.mismatch(pcrs)).collect();
    match mismatches {
        None => Ok(false),
        Some(mismatches) => {
            let nearest =
                mismatches.iter().max_by_key(|mismatch| mismatch.index).ok_or(MeasurementsError::Empty)?;
            Err(AttestationError::Measurements { sets: mismatches.len(), nearest: *nearest })
        }
    }
}

/// Checks 14 and 15, unless the document is verified later.
fn check_timestamp(timestamp: Wall, policy: &DocumentPolicy<'_>) -> Result<(), AttestationError> {
    let Some(now) = policy.when.instant() else { return Ok(()) };
    let ahead = timestamp.since(now);
    if ahead > FUTURE_MAX {
        return Err(AttestationError::Future { ahead, max: FUTURE_MAX });
    }
    let age = now.since(timestamp);
    match policy.max_age {
        Some(max) if age > max => Err(AttestationError::Stale { age, max }),
        _ => Ok(()),
    }
}

/// Check 16.
fn check_nonce(found: Option<&[u8]>, check: NonceCheck<'_>) -> Result<(), AttestationError> {
    match (check, found) {
        (NonceCheck::NotAsked, _) => Ok(()),
        (NonceCheck::Sent([]), _) => Err(AttestationError::NonceTooShort { found: 0, min: 1 }),
        (NonceCheck::Sent(_), None) => Err(AttestationError::NonceMissing),
        (NonceCheck::Sent(sent), Some(found)) if sent == found => Ok(()),
        (NonceCheck::Sent(_), Some(_)) => Err(AttestationError::NonceDiffers),
    }
}

/// What became of checks 1 to 16 of a document that passed.
fn outcomes(policy: &DocumentPolicy<'_>, is_debug: bool) -> Vec<Checked> {
    let is_later = policy.when == When::Later;
    let outcome = |check| match check {
        Check::Dates | Check::Future | Check::Age if is_later => Outcome::Later,
        Check::Age if policy.max_age.is_none() => Outcome::NotAsked,
        Check::DebugMode | Check::Measurements if is_debug => Outcome::DebugAllowed,
        Check::Nonce if policy.nonce == NonceCheck::NotAsked => Outcome::NotAsked,
        _ => Outcome::Passed,
    };
    Check::ALL
        .into_iter()
        .filter(|check| *check <= Check::Nonce)
        .map(|check| Checked { check, outcome: outcome(check) })
        .collect()
}

impl VerifiedDocument {
    /// SHA-256 of the document's bytes.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The Nitro hypervisor module that issued it.
    pub fn module_id(&self) -> &str {
        &self.module_id
    }

    /// When it was made, by the NSM's clock.
    pub fn timestamp(&self) -> Wall {
        self.timestamp
    }

    /// The locked registers.
    pub fn pcrs(&self) -> &Pcrs {
        &self.pcrs
    }

    /// The key that the enclave had vouched for.
    pub fn public_key(&self) -> Option<&[u8]> {
        self.public_key.as_deref()
    }

    /// What else the enclave had vouched for.
    pub fn user_data(&self) -> Option<&[u8]> {
        self.user_data.as_deref()
    }

    /// The nonce in it; compared with anything only if [`NonceCheck::Sent`] was asked for.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// What each certificate says, from the root to the leaf.
    pub fn certificates(&self) -> &[CertificateSummary] {
        &self.certificates
    }

    /// The last moment at which the document passes live: `max_age` after its timestamp, or the end of the
    /// first certificate to expire, which is the leaf of any NSM.
    pub fn good_until(&self) -> Wall {
        self.good_until
    }

    /// What it is worth.
    pub fn assurance(&self) -> Assurance {
        self.assurance
    }

    /// How its dates were checked.
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// Every check by its number, and what became of it.
    pub fn checks(&self) -> &[Checked] {
        &self.checks
    }

    /// Notes the outcome of a further check.
    pub(super) fn note(&mut self, check: Check, outcome: Outcome) {
        self.checks.push(Checked { check, outcome });
    }
}
