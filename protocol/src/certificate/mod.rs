//! The certificate: the enclave's signed result of one election (DESIGN §3.2), and the witness of its checks.

mod error;

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

use crate::assurance::Assurance;
use crate::attestation::{Freshness, VerifiedEnclave};
use crate::codec::{self, DecodeError};
use crate::crypto::Crypto;
use crate::electorate::{Electorate, VERSION};
use crate::hash;
use crate::ids::{CertificateDigest, ClusterId, ElectorateDigest, EnclaveId, Generation, NodeId, Term};
use crate::limits::{RSA_SIGNATURE_MAX, VOTERS_MAX};
use crate::policy::Rule;
use crate::promise::Promise;
use crate::statement::{Signed, signing_input};
use crate::time::Wall;
use crate::view::Accepted;

pub use error::{CertificateError, PromiseFault};

/// The domain of certificate signatures.
pub const DOMAIN: &str = "nitro-elect/v1/certificate";
/// The largest certificate, in bytes: three lists of 128 keys, 256 skipped views and 1 KiB of other fields.
pub const BYTES_MAX: usize = 24 << 10;
/// Views that one request may carry, and so at most be skipped: one of each voter and one to spare.
pub const VIEWS_MAX: usize = 2 * VOTERS_MAX;

/// Why the leader was chosen (DESIGN §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The leader before it named it when it resigned.
    Successor,
    /// It led already, and the policy is sticky.
    Incumbent,
    /// The policy picked it.
    Policy(Rule),
}

/// Why a view did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SkipCode {
    /// It was not sealed to this enclave, electorate and term.
    NotOpened,
    /// What was sealed is no view.
    Malformed,
    /// It was not signed by the voter it names.
    BadSignature,
    /// Its signer is not in the electorate.
    NotAVoter,
    /// It is for another electorate, enclave, term, or call.
    OtherElection,
    /// The same view again.
    Repeated,
    /// Its signer signed different views for this term; none of them counts.
    Equivocated,
}

/// A view that did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// Its place in the request, from 0.
    pub index: u32,
    /// Why.
    pub code: SkipCode,
}

/// The result of an election, as the enclave signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`VERSION`].
    pub version: u32,
    /// The cluster it counts in.
    pub cluster: ClusterId,
    /// The electorate that voted.
    pub electorate: ElectorateDigest,
    /// The enclave that counted.
    pub enclave: EnclaveId,
    /// The number of the election, and the leader's fencing token.
    pub term: Term,
    /// The voter that called.
    pub coordinator: NodeId,
    /// The life of the coordinator that called.
    pub coordinator_generation: Generation,
    /// The leader.
    pub leader: NodeId,
    /// The life of the leader that was elected: no other leads in this term.
    pub leader_generation: Generation,
    /// Voters that more than half of the counted views saw alive, sorted.
    pub active: Vec<NodeId>,
    /// Active voters whose own view counted and who would lead, sorted.
    pub candidates: Vec<NodeId>,
    /// Voters whose views counted, sorted.
    pub signers: Vec<NodeId>,
    /// Views that did not count, by place.
    pub skipped: Vec<Skipped>,
    /// Why this leader.
    pub reason: Reason,
    /// The certificate before it, as at least f + 1 counted views carried it.
    pub previous: Option<Accepted>,
    /// Advice for third parties with synchronised clocks: when the leader's first lease is over.
    pub not_after: Wall,
}

/// A certificate's bytes and signature, not yet believed.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCertificate {
    /// The exact bytes under the signature, without the domain.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// RSASSA-PSS with SHA-256, by the enclave's signing key.
    #[serde(with = "serde_bytes")]
    pub signature: Vec<u8>,
}

/// What stands behind the enclave of a certificate, beside its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouching {
    /// Every check passed at the present time (or at a time that the caller stated).
    Live,
    /// f + 1 voters promised under it: one is honest and verified it live.
    Voters,
    /// This node verified it itself before.
    OwnDisk,
}

impl SignedCertificate {
    /// SHA-256 of the signed bytes.
    pub fn digest(&self) -> CertificateDigest {
        CertificateDigest(hash::sha256(&self.bytes))
    }

    /// Reads the certificate without believing it.
    pub fn peek(&self) -> Result<Certificate, DecodeError> {
        codec::bound("certificate", self.bytes.len(), BYTES_MAX)?;
        codec::bound("certificate.signature", self.signature.len(), RSA_SIGNATURE_MAX)?;
        codec::decode(&self.bytes)
    }

    /// Checks the certificate against the electorate and an enclave that was verified live.
    pub fn verify_live(
        self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
        enclave: &VerifiedEnclave,
    ) -> Result<VerifiedCertificate, CertificateError> {
        if enclave.freshness() == Freshness::Later {
            return Err(CertificateError::NotVouchedFor { found: 0, needed: electorate.f() + 1 });
        }
        self.verify(crypto, electorate, enclave, Vouching::Live)
    }

    /// Checks it when the enclave's document has expired: f + 1 promises of distinct voters must name it.
    pub fn verify_vouched(
        self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
        enclave: &VerifiedEnclave,
        promises: &[Signed<Promise>],
    ) -> Result<VerifiedCertificate, CertificateError> {
        let verified = self.verify(crypto, electorate, enclave, Vouching::Voters)?;
        let found = verified.check_promises(crypto, electorate, promises)?.len();
        let needed = electorate.f() + 1;
        if found < needed {
            return Err(CertificateError::NotVouchedFor { found, needed });
        }
        Ok(verified)
    }

    /// Checks what this node verified itself before and kept on its own disk.
    pub fn verify_own(
        self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
        enclave: &VerifiedEnclave,
    ) -> Result<VerifiedCertificate, CertificateError> {
        self.verify(crypto, electorate, enclave, Vouching::OwnDisk)
    }

    fn verify(
        self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
        enclave: &VerifiedEnclave,
        vouching: Vouching,
    ) -> Result<VerifiedCertificate, CertificateError> {
        let certificate = self.peek()?;
        certificate.check_identity(electorate, enclave)?;
        let input = signing_input(DOMAIN, &self.bytes);
        crypto.verify_enclave_signature(enclave.signing_key(), &input, &self.signature)?;
        certificate.check_contents(electorate)?;
        let open = if electorate.is_open() { Assurance::Open } else { Assurance::Attested };
        let (digest, assurance) = (self.digest(), enclave.assurance().and(open));
        Ok(VerifiedCertificate { certificate, signed: self, digest, assurance, vouching })
    }
}

impl Certificate {
    fn check_identity(
        &self,
        electorate: &Electorate,
        enclave: &VerifiedEnclave,
    ) -> Result<(), CertificateError> {
        if self.version != VERSION {
            return Err(CertificateError::Version(self.version));
        }
        if self.cluster != electorate.cluster {
            return Err(CertificateError::Cluster { found: self.cluster, expected: electorate.cluster });
        }
        let expected = electorate.digest();
        if self.electorate != expected {
            return Err(CertificateError::Electorate { found: self.electorate, expected });
        }
        if self.enclave != enclave.id() {
            return Err(CertificateError::Enclave { found: self.enclave, attested: enclave.id() });
        }
        Ok(())
    }

    fn check_contents(&self, electorate: &Electorate) -> Result<(), CertificateError> {
        if self.term < Term(1) || !self.term.is_in_range() {
            return Err(CertificateError::TermRange(self.term));
        }
        codec::bound("certificate.skipped", self.skipped.len(), VIEWS_MAX)?;
        let lists = [("signers", &self.signers), ("active", &self.active), ("candidates", &self.candidates)];
        for (list, members) in lists {
            let is_set = members.is_sorted_by(|a, b| a < b);
            if !is_set || !members.iter().all(|member| electorate.contains(member)) {
                return Err(CertificateError::NotVoters { list });
            }
        }
        let (signers, quorum) = (self.signers.len(), electorate.quorum());
        if signers < quorum {
            return Err(CertificateError::NoQuorum { signers, quorum });
        }
        for (list, members) in lists {
            if members.binary_search(&self.leader).is_err() {
                return Err(CertificateError::Leader { leader: self.leader, list });
            }
        }
        if !electorate.contains(&self.coordinator) {
            return Err(CertificateError::Coordinator(self.coordinator));
        }
        Ok(())
    }
}

/// A certificate that an accepted enclave signed over the node's own electorate (I7).
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedCertificate {
    certificate: Certificate,
    signed: SignedCertificate,
    digest: CertificateDigest,
    assurance: Assurance,
    vouching: Vouching,
}

impl VerifiedCertificate {
    /// The bytes and signature, to pass on.
    pub fn signed(&self) -> &SignedCertificate {
        &self.signed
    }

    /// SHA-256 of the signed bytes.
    pub fn digest(&self) -> CertificateDigest {
        self.digest
    }

    /// What it is worth.
    pub fn assurance(&self) -> Assurance {
        self.assurance
    }

    /// What stands behind its enclave.
    pub fn vouching(&self) -> Vouching {
        self.vouching
    }

    /// The triple by which views and later certificates name it.
    pub fn accepted(&self) -> Accepted {
        Accepted { term: self.term, leader: self.leader, certificate: self.digest }
    }

    /// Checks promises that are said to name this certificate: each signed by a voter, all matching, sorted by
    /// voter, none doubled. Returns them.
    pub fn check_promises(
        &self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
        promises: &[Signed<Promise>],
    ) -> Result<Vec<Promise>, CertificateError> {
        codec::bound("promises", promises.len(), VOTERS_MAX)?;
        let (mut checked, mut voters) = (Vec::new(), BTreeSet::new());
        for (index, signed) in promises.iter().enumerate() {
            let fault = |fault| CertificateError::Promise { index, fault };
            let promise = self.check_promise(crypto, electorate, signed).map_err(fault)?;
            if voters.last().is_some_and(|last| *last >= promise.voter) {
                return Err(fault(PromiseFault::Order));
            }
            voters.insert(promise.voter);
            checked.push(promise);
        }
        Ok(checked)
    }

    fn check_promise(
        &self,
        crypto: &dyn Crypto,
        electorate: &Electorate,
        signed: &Signed<Promise>,
    ) -> Result<Promise, PromiseFault> {
        let promise = signed.clone().verify(crypto)?;
        if !electorate.contains(&promise.voter) {
            return Err(PromiseFault::NotAVoter(promise.voter));
        }
        let same = [
            ("cluster", promise.cluster == self.cluster),
            ("electorate", promise.electorate == self.electorate),
            ("term", promise.term == self.term),
            ("leader", promise.leader == self.leader),
            ("generation", promise.generation == self.leader_generation),
            ("certificate hash", promise.certificate == self.digest),
        ];
        match same.iter().find(|(_, same)| !same) {
            Some((field, _)) => Err(PromiseFault::Other(field)),
            None => Ok(promise.into_inner()),
        }
    }
}

impl Deref for VerifiedCertificate {
    type Target = Certificate;
    fn deref(&self) -> &Certificate {
        &self.certificate
    }
}

impl fmt::Debug for VerifiedCertificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "certificate of term {} for {} ({})", self.term, self.leader.short(), self.assurance)
    }
}

impl fmt::Debug for SignedCertificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SignedCertificate({} bytes)", self.bytes.len())
    }
}
