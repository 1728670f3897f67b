//! What is shown to others: the proof bundle of a certificate, and the lease proof.
//!
//! A bundle holds a certificate, the attestation document of its enclave, and promises that name it; with the
//! manifest it proves offline who was elected in which term (DESIGN §5, *live and later*). A lease proof holds
//! promises of one renewal; with a verifier's own nonce under its challenge it proves who leads now (§3.4).

use serde::{Deserialize, Serialize};

use crate::attestation::{AttestationError, VerifiedEnclave, When};
use crate::certificate::{CertificateError, PromiseFault, SignedCertificate, VerifiedCertificate};
use crate::codec::{self, DecodeError};
use crate::crypto::Crypto;
use crate::electorate::Electorate;
use crate::ids::{CertificateDigest, Challenge, Generation, NodeId, Nonce, Term};
use crate::limits::{DOCUMENT_MAX, NONCES_MAX, VOTERS_MAX};
use crate::promise::Promise;
use crate::statement::Signed;
use crate::time::Wall;

/// A certificate with what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The certificate.
    pub certificate: SignedCertificate,
    /// The attestation document of the enclave that signed it.
    #[serde(with = "serde_bytes")]
    pub document: Vec<u8>,
    /// Promises that name it, of one renewal, sorted by voter; none before the first renewal.
    pub promises: Vec<Signed<Promise>>,
}

/// Why a bundle is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A part exceeds its bound.
    #[error(transparent)]
    Bound(#[from] DecodeError),
    /// The enclave is not accepted.
    #[error("attestation: {0}")]
    Attestation(#[from] AttestationError),
    /// The certificate is not believed.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Bundle {
    /// Checks sizes before anything else is looked at.
    pub fn check_bounds(&self) -> Result<(), DecodeError> {
        codec::bound("bundle.document", self.document.len(), DOCUMENT_MAX)?;
        codec::bound("bundle.promises", self.promises.len(), VOTERS_MAX)
    }

    /// Verifies everything: live if the document still can be at `now`, else by the voters' promises.
    ///
    /// Promises that are there must be right in either case.
    pub fn verify(
        &self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
        now: Wall,
    ) -> Result<VerifiedCertificate, BundleError> {
        self.check_bounds()?;
        match self.enclave(crypto, electorate, When::Live { now }) {
            Ok(enclave) => {
                let verified = self.certificate.clone().verify_live(crypto, electorate, &enclave)?;
                verified.check_promises(crypto, electorate, &self.promises)?;
                Ok(verified)
            }
            Err(error) if error.is_expiry() => {
                let enclave = self.enclave(crypto, electorate, When::Later)?;
                Ok(self.certificate.clone().verify_vouched(crypto, electorate, &enclave, &self.promises)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Verifies what this node itself adopted before: every check but dates, and no promises needed.
    pub fn verify_own(
        &self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
    ) -> Result<VerifiedCertificate, BundleError> {
        self.check_bounds()?;
        let enclave = self.enclave(crypto, electorate, When::Later)?;
        Ok(self.certificate.clone().verify_own(crypto, electorate, &enclave)?)
    }

    fn enclave(
        &self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
        when: When,
    ) -> Result<VerifiedEnclave, AttestationError> {
        let claimed = self.certificate.peek().ok().map(|certificate| certificate.enclave);
        crypto.verify_enclave(&self.document, &electorate.trust, claimed, when)
    }
}

/// Promises of one renewal and the nonces under their challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseProof {
    /// The term that is led.
    pub term: Term,
    /// The certificate of that term.
    pub certificate: CertificateDigest,
    /// q promises of one renewal, sorted by voter.
    pub promises: Vec<Signed<Promise>>,
    /// The nonces that the renewal's challenge covers, sorted.
    pub nonces: Vec<Nonce>,
}

/// Why a lease proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseProofError {
    /// A part exceeds its bound.
    #[error(transparent)]
    Bound(#[from] DecodeError),
    /// It belongs to another certificate.
    #[error("the lease proof is for certificate {found:?}, expected {expected:?}")]
    OtherCertificate {
        /// The hash it names.
        found: CertificateDigest,
        /// The certificate at hand.
        expected: CertificateDigest,
    },
    /// One of its promises is not right.
    #[error(transparent)]
    Promises(#[from] CertificateError),
    /// Fewer promises than the quorum.
    #[error("{found} promises are fewer than the quorum of {quorum}")]
    NoQuorum {
        /// Distinct voters that promised.
        found: usize,
        /// The electorate's quorum.
        quorum: usize,
    },
    /// The nonces are not those under the challenge.
    #[error("the nonces do not give the challenge that the voters signed")]
    Challenge,
    /// The verifier's own nonce is not among them.
    #[error("the verifier's own nonce is not under the challenge: the proof may be old")]
    NotMyNonce,
}

/// A quorum's word that one process leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedLeaseProof {
    /// The term it leads in.
    pub term: Term,
    /// The leader.
    pub leader: NodeId,
    /// Its life.
    pub generation: Generation,
    /// The renewal that was answered.
    pub seq: u64,
    /// The smallest `signed_at` of its promises: a lease later, by synchronised clocks, it is over. Advice.
    pub signed_at: Wall,
    nonces: Vec<Nonce>,
}

impl LeaseProof {
    /// Checks the promises against the certificate, the quorum, that they answer one renewal, and the challenge.
    pub fn verify(
        &self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
        certificate: &VerifiedCertificate,
    ) -> Result<VerifiedLeaseProof, LeaseProofError> {
        codec::bound("lease_proof.nonces", self.nonces.len(), NONCES_MAX)?;
        if self.certificate != certificate.digest() {
            let expected = certificate.digest();
            return Err(LeaseProofError::OtherCertificate { found: self.certificate, expected });
        }
        let promises = certificate.check_promises(crypto, electorate, &self.promises)?;
        let quorum = electorate.quorum();
        let first = promises.first().filter(|_| promises.len() >= quorum);
        let first = first.ok_or(LeaseProofError::NoQuorum { found: promises.len(), quorum })?;
        let renewal = |promise: &Promise| (promise.seq, promise.challenge);
        if let Some(index) = promises.iter().position(|promise| renewal(promise) != renewal(first)) {
            return Err(CertificateError::Promise { index, fault: PromiseFault::OtherRenewal }.into());
        }
        if !self.nonces.is_sorted_by(|a, b| a < b) || Challenge::of(&self.nonces) != first.challenge {
            return Err(LeaseProofError::Challenge);
        }
        let signed_at = promises.iter().map(|promise| promise.signed_at).min().unwrap_or_default();
        let (term, leader) = (first.term, first.leader);
        let (generation, seq) = (first.generation, first.seq);
        Ok(VerifiedLeaseProof { term, leader, generation, seq, signed_at, nonces: self.nonces.clone() })
    }
}

impl VerifiedLeaseProof {
    /// Whether the verifier's own nonce was answered: then the proof holds until a lease less margin after the
    /// nonce was drawn, on the verifier's clock.
    pub fn answers(&self, nonce: &Nonce) -> Result<(), LeaseProofError> {
        self.nonces.binary_search(nonce).map(|_| ()).map_err(|_| LeaseProofError::NotMyNonce)
    }
}
