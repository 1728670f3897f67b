//! Evidence that a voter is not honest, verified offline: two views that it signed for one term.

use nitro_elect_protocol::crypto::Ring;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::evidence::{Evidence, EvidenceError, VerifiedEvidence};
use nitro_elect_protocol::ids::{ClusterId, NodeId};

/// Why a piece of evidence proves nothing to whoever holds this manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Acquittal {
    /// It does not prove equivocation at all.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// Another cluster's terms.
    #[error("it is of cluster {found}, the manifest describes {expected}")]
    Cluster {
        /// Its cluster.
        found: ClusterId,
        /// The manifest's.
        expected: ClusterId,
    },
    /// Somebody without a vote.
    #[error("{0} is no voter of the manifest")]
    NotAVoter(NodeId),
}

/// What a piece proves of a voter of this electorate.
pub fn convict(piece: &Evidence, electorate: &Electorate) -> Result<VerifiedEvidence, Acquittal> {
    let verified = piece.verify(&Ring)?;
    let (found, expected) = (verified.cluster, electorate.cluster);
    if found != expected {
        return Err(Acquittal::Cluster { found, expected });
    }
    if !electorate.contains(&verified.voter) {
        return Err(Acquittal::NotAVoter(verified.voter));
    }
    Ok(verified)
}
