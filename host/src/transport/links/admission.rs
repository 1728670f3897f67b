//! Who is let in. A key outside the policy gets no frame read, and voters always find a place: observers are
//! counted apart from them.

use super::config::Class;
use nitro_elect_protocol::ids::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Whose connections are welcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The voters; each has a reserved place.
    pub voters: BTreeSet<NodeId>,
    /// Everybody else.
    pub others: Others,
}

/// Which nodes that do not vote are let in. In an open cluster, nobody is a voter to the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Others {
    /// None.
    Off,
    /// Those with these keys.
    Listed(BTreeSet<NodeId>),
    /// Any, up to this many at once.
    Open(usize),
}

/// Why a peer is not let in; it is told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Unwelcome {
    /// It has the very key of the node it dialled: the node itself, or a copy of its state.
    #[error("this is the key of the node itself")]
    SameKey,
    /// Its key is not in the policy.
    #[error("the key is not admitted: it is not in this node's manifest")]
    NotAdmitted,
    /// All places for nodes that do not vote are taken.
    #[error("all places for nodes that do not vote are taken")]
    Full,
}

impl Admission {
    /// Whether `key` may connect to the node `own`, when `others` nodes that do not vote, other than itself, are
    /// connected.
    pub fn judge(&self, own: &NodeId, key: &NodeId, others: usize) -> Result<Class, Unwelcome> {
        if key == own {
            return Err(Unwelcome::SameKey);
        }
        if self.voters.contains(key) {
            return Ok(Class::Voter);
        }
        match &self.others {
            Others::Listed(listed) if listed.contains(key) => Ok(Class::Other),
            Others::Open(max) if others < *max => Ok(Class::Other),
            Others::Open(_) => Err(Unwelcome::Full),
            Others::Off | Others::Listed(_) => Err(Unwelcome::NotAdmitted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId([1; 32]);
    const VOTER: NodeId = NodeId([2; 32]);
    const OBSERVER: NodeId = NodeId([3; 32]);
    const STRANGER: NodeId = NodeId([4; 32]);

    fn admission(others: Others) -> Admission {
        Admission { voters: BTreeSet::from([OWN, VOTER]), others }
    }

    #[test]
    fn a_voter_is_admitted_however_many_others_are_there() {
        for others in [Others::Off, Others::Listed(BTreeSet::new()), Others::Open(0)] {
            assert_eq!(admission(others).judge(&OWN, &VOTER, 1_000_000), Ok(Class::Voter));
        }
    }

    #[test]
    fn others_are_admitted_as_the_policy_says() {
        assert_eq!(admission(Others::Off).judge(&OWN, &OBSERVER, 0), Err(Unwelcome::NotAdmitted));
        let listed = admission(Others::Listed(BTreeSet::from([OBSERVER])));
        assert_eq!(listed.judge(&OWN, &OBSERVER, 0), Ok(Class::Other));
        assert_eq!(listed.judge(&OWN, &STRANGER, 0), Err(Unwelcome::NotAdmitted));
        let open = admission(Others::Open(2));
        assert_eq!(open.judge(&OWN, &STRANGER, 1), Ok(Class::Other));
        assert_eq!(open.judge(&OWN, &STRANGER, 2), Err(Unwelcome::Full));
    }

    #[test]
    fn nobody_comes_in_with_the_nodes_own_key() {
        assert_eq!(admission(Others::Open(9)).judge(&OWN, &OWN, 0), Err(Unwelcome::SameKey));
    }
}
