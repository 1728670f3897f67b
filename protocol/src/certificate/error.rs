//! Why certificates, and the promises beside them, are not believed.

use crate::codec::DecodeError;
use crate::crypto::BadSignature;
use crate::ids::{ClusterId, ElectorateDigest, EnclaveId, NodeId, Term};
use crate::statement::StatementError;

/// Why a certificate is not believed. Nothing has changed when one of these comes back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bytes are no certificate.
    #[error("certificate: {0}")]
    Decode(#[from] DecodeError),
    /// Another format.
    #[error("certificate version {0} is not known here")]
    Version(u32),
    /// It is another cluster's.
    #[error("the certificate is of cluster {found}, expected {expected}")]
    Cluster {
        /// The cluster it names.
        found: ClusterId,
        /// Ours.
        expected: ClusterId,
    },
    /// It was made over another electorate.
    #[error("the certificate is over electorate {found}, expected {expected}")]
    Electorate {
        /// The digest it names.
        found: ElectorateDigest,
        /// Ours.
        expected: ElectorateDigest,
    },
    /// Another enclave made it than the document speaks of.
    #[error("the certificate names enclave {found}, the attestation document is of {attested}")]
    Enclave {
        /// The enclave it names.
        found: EnclaveId,
        /// The enclave that was verified.
        attested: EnclaveId,
    },
    /// The enclave's key did not sign it.
    #[error("certificate: {0}")]
    Signature(#[from] BadSignature),
    /// The term is out of range.
    #[error("term {0} is outside 1 to 2^53 - 1")]
    TermRange(Term),
    /// A list is unsorted, doubled, or names somebody who does not vote.
    #[error("the certificate's {list} are not a sorted set of voters")]
    NotVoters {
        /// Which list.
        list: &'static str,
    },
    /// Fewer views counted than the quorum.
    #[error("{signers} signers are fewer than the quorum of {quorum}")]
    NoQuorum {
        /// Distinct signers.
        signers: usize,
        /// The electorate's quorum.
        quorum: usize,
    },
    /// The leader is not one that the rules allow.
    #[error("leader {leader} is not among the certificate's {list}")]
    Leader {
        /// The leader.
        leader: NodeId,
        /// The list it is missing from.
        list: &'static str,
    },
    /// The coordinator does not vote.
    #[error("coordinator {0} is not a voter")]
    Coordinator(NodeId),
    /// The document can no longer be checked live, and too few voters vouch for the certificate.
    #[error(
        "expired: not vouched for ({found} of {needed} promises by distinct voters name this certificate)"
    )]
    NotVouchedFor {
        /// Distinct voters that do.
        found: usize,
        /// f + 1.
        needed: usize,
    },
    /// A promise beside the certificate does not belong to it.
    #[error("promise {index}: {fault}")]
    Promise {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        fault: PromiseFault,
    },
}

/// Why a promise does not vouch for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromiseFault {
    /// It is no signed promise.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Its signer does not vote.
    #[error("signed by {0}, who is not a voter")]
    NotAVoter(NodeId),
    /// It names another cluster, electorate, term, leader, life or certificate.
    #[error("its {0} is not the certificate's")]
    Other(&'static str),
    /// The promises are not sorted by voter, or one voter's stands twice.
    #[error("not in the order of voters, or doubled")]
    Order,
    /// It belongs to another renewal than the first.
    #[error("it answers another renewal than the first promise")]
    OtherRenewal,
}
