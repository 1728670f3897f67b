//! What voters sign about a successor of their electorate: endorsements and approvals (DESIGN §3.8).

use serde::{Deserialize, Serialize};

use crate::codec::DecodeError;
use crate::electorate::Electorate;
use crate::ids::{ClusterId, ElectorateDigest, NodeId};
use crate::limits::ATTEMPT_MAX;
use crate::statement::Statement;

/// From which electorate to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The cluster.
    pub cluster: ClusterId,
    /// The electorate whose voters have the say.
    pub from: ElectorateDigest,
    /// Its successor.
    pub to: ElectorateDigest,
}

impl Change {
    /// The change between two electorates, safe or not.
    pub fn between(old: &Electorate, new: &Electorate) -> Self {
        Change { cluster: old.cluster, from: old.digest(), to: new.digest() }
    }
}

/// A voter would have this successor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endorse {
    /// The cluster it counts in.
    pub cluster: ClusterId,
    /// The electorate that is to be succeeded.
    pub from: ElectorateDigest,
    /// The successor.
    pub to: ElectorateDigest,
    /// Counts the tries to agree; a voter endorses once in each.
    pub attempt: u64,
    /// The voter that signs.
    pub voter: NodeId,
}

/// A voter has seen a quorum of endorsements of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The cluster it counts in.
    pub cluster: ClusterId,
    /// The electorate that is to be succeeded.
    pub from: ElectorateDigest,
    /// The successor.
    pub to: ElectorateDigest,
    /// The attempt whose endorsements were seen.
    pub attempt: u64,
    /// The voter that signs.
    pub voter: NodeId,
}

/// A signed word about a change: what endorsements and approvals have in common.
pub trait Word: Statement + Clone {
    /// What people call several of them.
    const PLURAL: &'static str;

    /// The word of this voter.
    fn word(change: Change, attempt: u64, voter: NodeId) -> Self;
    /// The change it is about.
    fn change(&self) -> Change;
    /// The attempt it belongs to.
    fn attempt(&self) -> u64;
}

macro_rules! word {
    ($name:ident, $domain:literal, $plural:literal) => {
        impl Statement for $name {
            const DOMAIN: &'static str = $domain;
            const BYTES_MAX: usize = 512;

            fn cluster(&self) -> ClusterId {
                self.cluster
            }

            fn signer(&self) -> NodeId {
                self.voter
            }

            fn check_bounds(&self) -> Result<(), DecodeError> {
                if self.attempt > ATTEMPT_MAX {
                    let (field, found, max) = ("attempt", self.attempt, ATTEMPT_MAX);
                    return Err(DecodeError::Bound { field, found, max });
                }
                Ok(())
            }
        }

        impl Word for $name {
            const PLURAL: &'static str = $plural;

            fn word(Change { cluster, from, to }: Change, attempt: u64, voter: NodeId) -> Self {
                $name { cluster, from, to, attempt, voter }
            }

            fn change(&self) -> Change {
                Change { cluster: self.cluster, from: self.from, to: self.to }
            }

            fn attempt(&self) -> u64 {
                self.attempt
            }
        }
    };
}

word!(Endorse, "nitro-elect/v1/endorse", "endorsements");
word!(Approve, "nitro-elect/v1/approve", "approvals");
