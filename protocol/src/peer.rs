//! What nodes say to each other (DESIGN §3), each message in a versioned envelope.
//!
//! Messages are one-way: an answer is a message of its own that names what it answers. The channel authenticates
//! the sender; what must hold towards third parties is signed besides.

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::evidence::Evidence;
use crate::heartbeat::Heartbeat;
use crate::ids::{Challenge, ElectorateDigest, EnclaveId, Generation, NodeId, Nonce, Term};
use crate::limits::{DIGEST_ENTRIES_MAX, HEARTBEATS_MAX, NONCES_MAX, VOTERS_MAX};
use crate::promise::Promise;
use crate::proof::{Bundle, LeaseProof};
use crate::resign::Resign;
use crate::seal::SealedView;
use crate::statement::Signed;

/// The version of the messages in this module and in [`crate::enclave_api`].
pub const MESSAGE_VERSION: u32 = 1;

/// What every frame carries: a version that any later program can read, and a message of that version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// [`MESSAGE_VERSION`].
    pub v: u32,
    /// The canonical encoding of the message.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// Why a frame holds no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not an envelope, or its body not a message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// An envelope of another version.
    #[error("message version {0} is not known here")]
    Version(u32),
}

/// Encodes a message in its envelope.
pub fn seal_envelope<T: Serialize>(message: &T) -> Vec<u8> {
    codec::encode(&Envelope { v: MESSAGE_VERSION, body: codec::encode(message) })
}

/// Reads a message out of its envelope. The caller has capped the bytes.
pub fn open_envelope<T: Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, EnvelopeError> {
    let envelope: Envelope = codec::decode(bytes)?;
    if envelope.v != MESSAGE_VERSION {
        return Err(EnvelopeError::Version(envelope.v));
    }
    Ok(codec::decode(&envelope.body)?)
}

/// A message from one node to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Which heartbeats the sender has.
    Digest(Vec<DigestEntry>),
    /// Heartbeats that the receiver lacks, and those that the sender lacks.
    Delta(Delta),
    /// Whether the receiver would sign a view for the sender now.
    PreVote(Box<PreVote>),
    /// The answer to a pre-vote: it binds nobody.
    PreVoteAnswer(Box<PreVoteAnswer>),
    /// Asks for a view.
    Call(Box<CallForViews>),
    /// The answer to a call.
    CallAnswer(Box<CallAnswer>),
    /// Asks for a promise.
    Renew(Renew),
    /// The answer to a renewal.
    RenewAnswer(Box<RenewAnswer>),
    /// Asks for the receiver's highest certificate, if it is above this term.
    WantCertificate {
        /// The sender's highest term.
        above: Term,
    },
    /// A certificate with its proof.
    Certificate(Box<Bundle>),
    /// A resignation, the sender's or one that it remembers.
    Resign(Signed<Resign>),
    /// The newest lease proof that the sender knows.
    Lease(Box<LeaseProof>),
    /// Asks the leader to put these nonces under the challenge of its next renewal.
    Nonces(Vec<Nonce>),
    /// Proof that a voter is not honest.
    Evidence(Box<Evidence>),
    /// The receiver's last message was of a version that the sender does not know.
    UnknownVersion {
        /// The version that was sent.
        v: u32,
    },
}

/// Which heartbeat of a node somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestEntry {
    /// The node.
    pub node: NodeId,
    /// The heartbeat's generation.
    pub generation: Generation,
    /// The heartbeat's sequence.
    pub seq: u64,
}

/// The second half of an exchange of heartbeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delta {
    /// Heartbeats that are newer than what the receiver said it has.
    pub heartbeats: Vec<Signed<Heartbeat>>,
    /// Nodes of whom the receiver has something newer.
    pub wanted: Vec<NodeId>,
}

/// Step 0 of an election (DESIGN §3.2). It carries no term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreVote {
    /// The sender's electorate.
    pub electorate: ElectorateDigest,
    /// The sender's life.
    pub generation: Generation,
    /// Tells this round's answers from those of others.
    pub round: u64,
    /// The sender's highest certificate.
    pub certificate: Option<Bundle>,
    /// How the sender knows that the lease of that certificate has ended early.
    pub resign: Option<Signed<Resign>>,
}

/// The answer to a pre-vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreVoteAnswer {
    /// The round that is answered.
    pub round: u64,
    /// Why not, or nothing for yes.
    pub refusal: Option<Refusal>,
    /// The term of the sender's record.
    pub record_term: Term,
    /// Whether the sender would lead.
    pub eligible: bool,
    /// The sender's highest certificate, if it is above the asker's.
    pub certificate: Option<Bundle>,
}

/// Step 1 of an election.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallForViews {
    /// The sender's electorate.
    pub electorate: ElectorateDigest,
    /// The term.
    pub term: Term,
    /// The enclave that is to count.
    pub enclave: EnclaveId,
    /// Its attestation document.
    #[serde(with = "serde_bytes")]
    pub document: Vec<u8>,
    /// The sender's life.
    pub generation: Generation,
    /// The sender's highest certificate.
    pub certificate: Option<Bundle>,
    /// How the sender knows that the lease of that certificate has ended early.
    pub resign: Option<Signed<Resign>>,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallAnswer {
    /// The term that was called.
    pub term: Term,
    /// The sealed view, or why not.
    pub outcome: Result<SealedView, Refusal>,
    /// The sender's highest certificate, with a refusal, if it is above the caller's.
    pub certificate: Option<Bundle>,
}

/// Asks for a promise (DESIGN §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// The sender's electorate.
    pub electorate: ElectorateDigest,
    /// The term it leads in.
    pub term: Term,
    /// Its life.
    pub generation: Generation,
    /// Rises with every renewal of a term.
    pub seq: u64,
    /// What verifiers asked to see signed.
    pub challenge: Challenge,
}

/// The answer to a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewAnswer {
    /// The term that was to be renewed.
    pub term: Term,
    /// The renewal that is answered.
    pub seq: u64,
    /// The promise, or why not.
    pub outcome: Result<Signed<Promise>, Refusal>,
    /// The sender's highest certificate, with a refusal, if it is above the term.
    pub certificate: Option<Bundle>,
}

/// Why a voter does not support a node now, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// It has another electorate.
    #[error("it has another electorate ({0:?})")]
    OtherElectorate(ElectorateDigest),
    /// It does not vote, or the asker does not.
    #[error("one of the two is not a voter")]
    NotAVoter,
    /// It has promised somebody else.
    #[error("it has promised another node for {ms} ms more")]
    Promised {
        /// What is left of that promise.
        ms: u64,
    },
    /// It has supported this term or a later one.
    #[error("it has supported term {last} already")]
    StaleTerm {
        /// The term of its record.
        last: Term,
    },
    /// The term is beyond what it believes.
    #[error("the term is above {max}, the highest it believes now")]
    TermTooHigh {
        /// The highest believable term.
        max: Term,
    },
    /// The asker called too often without a leader to show for it.
    #[error("it answers this node again in {ms} ms")]
    BackOff {
        /// What is left of the back-off.
        ms: u64,
    },
    /// The asker's life is an earlier one than that it promised.
    #[error("it has promised a later life of this node")]
    EarlierGeneration,
    /// The asker resigned from this.
    #[error("this node has resigned from it")]
    Resigned,
    /// It has no certificate of the term that was to be renewed.
    #[error("it has no certificate of that term")]
    NoCertificate,
    /// The asker does not lead its highest certificate, in this life.
    #[error("its highest certificate names another leader, life or term")]
    NotLeader,
    /// It does not accept the enclave (the number of the check that failed, DESIGN §5).
    #[error("it does not accept the enclave (check {check})")]
    Enclave {
        /// The number of the failed check in docs/ATTESTATION.md.
        check: u8,
    },
    /// It has been shown too many documents lately.
    #[error("it has been shown too many attestation documents lately")]
    TooManyDocuments,
    /// It cannot keep its word: its state cannot be written, or its past votes are lost.
    #[error("it cannot sign now: its state is not safe")]
    NotSigning,
}

impl PeerMessage {
    /// Checks the sizes that decoding alone leaves open.
    pub fn check_bounds(&self) -> Result<(), DecodeError> {
        match self {
            PeerMessage::Digest(entries) => codec::bound("digest", entries.len(), DIGEST_ENTRIES_MAX),
            PeerMessage::Delta(delta) => {
                codec::bound("delta.heartbeats", delta.heartbeats.len(), HEARTBEATS_MAX)?;
                codec::bound("delta.wanted", delta.wanted.len(), DIGEST_ENTRIES_MAX)
            }
            PeerMessage::Nonces(nonces) => codec::bound("nonces", nonces.len(), NONCES_MAX),
            PeerMessage::Lease(proof) => {
                codec::bound("lease.promises", proof.promises.len(), VOTERS_MAX)?;
                codec::bound("lease.nonces", proof.nonces.len(), NONCES_MAX)
            }
            PeerMessage::Certificate(bundle) => bundle.check_bounds(),
            _ => self.carried_bundle().map_or(Ok(()), Bundle::check_bounds),
        }
    }

    /// The certificate that a message of an election carries along.
    pub fn carried_bundle(&self) -> Option<&Bundle> {
        match self {
            PeerMessage::PreVote(message) => message.certificate.as_ref(),
            PeerMessage::PreVoteAnswer(message) => message.certificate.as_ref(),
            PeerMessage::Call(message) => message.certificate.as_ref(),
            PeerMessage::CallAnswer(message) => message.certificate.as_ref(),
            PeerMessage::RenewAnswer(message) => message.certificate.as_ref(),
            PeerMessage::Certificate(bundle) => Some(bundle),
            _ => None,
        }
    }
}
