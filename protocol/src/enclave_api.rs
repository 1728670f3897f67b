//! What the enclave's election service is asked, and answers (DESIGN §6).

use serde::{Deserialize, Serialize};

use crate::certificate::{SignedCertificate, Skipped};
use crate::electorate::Electorate;
use crate::evidence::Evidence;
use crate::ids::{ElectorateDigest, EnclaveId, Generation, NodeId, Term};
use crate::seal::SealedView;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Request {
    /// An attestation document, over this nonce, or the one at hand.
    Attest {
        /// Up to [`crate::limits::ATTEST_NONCE_MAX`] bytes.
        nonce: Option<serde_bytes::ByteBuf>,
    },
    /// Count these views.
    Elect(Box<Elect>),
    /// The last certificate made for an electorate.
    Latest {
        /// The electorate.
        electorate: ElectorateDigest,
    },
    /// Whether the service works.
    Health,
}

/// One election.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elect {
    /// The voters, from a host that nobody need believe: every view carries the digest its signer trusts.
    pub electorate: Electorate,
    /// The term that was called.
    pub term: Term,
    /// Who called.
    pub coordinator: NodeId,
    /// Its life.
    pub generation: Generation,
    /// The sealed views.
    pub views: Vec<SealedView>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Response {
    /// A COSE_Sign1 attestation document.
    Attestation {
        /// The document as the NSM gave it.
        #[serde(with = "serde_bytes")]
        document: Vec<u8>,
    },
    /// The election's result.
    Elected {
        /// The certificate.
        certificate: SignedCertificate,
        /// Voters seen to sign twice.
        evidence: Vec<Evidence>,
    },
    /// The last certificate made for the electorate asked about.
    Latest {
        /// The certificate.
        certificate: SignedCertificate,
    },
    /// The service works.
    Health(Health),
    /// It did not do what was asked, and why; nothing changed.
    Refused(EnclaveRefusal),
}

/// What the service says of itself. Only an attestation document proves any of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// This boot's id.
    pub enclave: EnclaveId,
    /// The version of the service.
    pub service_version: String,
}

/// Why a request was refused: a short code, no text. Nothing changed, but as [`EnclaveRefusal::Module`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum EnclaveRefusal {
    /// A message of another version.
    #[error("message version {0} is not known to the enclave")]
    UnknownVersion(u32),
    /// Not a request.
    #[error("not a request that the enclave can read")]
    Malformed,
    /// A request larger than a message may be.
    #[error("the request is longer than 1 MiB")]
    TooLong,
    /// A nonce longer than the security module takes.
    #[error("the nonce is longer than 512 bytes")]
    NonceTooLong,
    /// Too much at once; ask again later.
    #[error("the enclave is busy; ask again later")]
    Busy,
    /// The electorate breaks a rule.
    #[error("the electorate is not valid")]
    InvalidElectorate,
    /// More views than one request may carry.
    #[error("more views than one request may carry")]
    TooManyViews,
    /// The coordinator does not vote.
    #[error("the coordinator is not a voter")]
    NotAVoter,
    /// The term is outside 1 to 2^53 - 1.
    #[error("the term is out of range")]
    TermRange,
    /// The term is not above the last one certified.
    #[error("term {last} is certified already")]
    StaleTerm {
        /// The last certified term.
        last: Term,
    },
    /// Too few views counted.
    #[error("{counted} views count, {needed} are needed")]
    TooFewViews {
        /// Views that count.
        counted: u32,
        /// The quorum.
        needed: u32,
        /// The others, by place.
        skipped: Vec<Skipped>,
        /// Voters seen to sign twice.
        evidence: Vec<Evidence>,
    },
    /// Nobody that is active and signed would lead.
    #[error("no active voter that signed is eligible")]
    NoCandidate {
        /// Voters seen to sign twice.
        evidence: Vec<Evidence>,
    },
    /// No room for another electorate, ever, in this boot.
    #[error("the enclave has no room for another electorate; restart it or use another")]
    Full,
    /// No certificate was made for the electorate in this boot.
    #[error("the enclave has made no certificate for this electorate")]
    NothingCertified,
    /// A certificate was made, but is no longer at hand.
    #[error("the certificate of term {term} is no longer at hand")]
    Forgotten {
        /// Its term.
        term: Term,
    },
    /// The security module or the signing key failed. A term whose certificate was to be signed is used up.
    #[error("the enclave's security module did not answer")]
    Module,
    /// (A proxy's answer.) The enclave behind it cannot be reached.
    #[error("the proxy cannot reach its enclave")]
    Unreachable,
    /// (A proxy's answer.) The electorate is none of its manifests'.
    #[error("the proxy serves other electorates only")]
    NotServed,
}
