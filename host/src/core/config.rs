//! What a node's core is started with.

use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::proof::Bundle;
use std::collections::BTreeSet;
use std::time::Duration;

use super::durable::Record;

/// How the voters are known.
#[derive(Clone, Debug)]
pub enum Membership {
    /// By a manifest.
    Manifest {
        /// The voters, and what they agree on. Valid: the caller has looked at its faults.
        electorate: Box<Electorate>,
        /// Who may follow without voting.
        observers: Observers,
    },
    /// An open cluster: the voters are whoever is active (DESIGN §3.7).
    Open {
        /// Everything of the electorate but its voters.
        template: Box<Electorate>,
        /// Whether to lead a list of this node alone.
        alone: bool,
    },
}

/// The manifest before the present one (DESIGN §3.8): what was certified under it still counts as accepted.
#[derive(Clone, Debug)]
pub struct Predecessor {
    /// Its electorate.
    pub electorate: Box<Electorate>,
    /// Whether the node moved from it in this very start: then it supports nobody new for the longer of the two leases.
    pub just_left: bool,
}

impl Predecessor {
    /// Its lease, if it was left in this start.
    pub(super) fn left(&self) -> Option<Duration> {
        self.just_left.then(|| self.electorate.lease())
    }
}

/// Who may follow without voting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Observers {
    /// Nobody.
    #[default]
    Off,
    /// These keys.
    Listed(BTreeSet<NodeId>),
    /// Anybody, up to this many at once.
    Open(usize),
}

/// What a core is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// What people call this node.
    pub name: String,
    /// Where it listens, `host:port`, as others can reach it.
    pub address: String,
    /// Who votes.
    pub membership: Membership,
    /// The manifest before that, if there was one.
    pub predecessor: Option<Predecessor>,
    /// How many enclave endpoints the driver can ask.
    pub enclaves: usize,
    /// Peers that each round of gossip goes to.
    pub fanout: usize,
    /// The durable state, with the generation of this life already in it and synced.
    pub record: Record,
    /// The certificate of the highest term in the log, if any.
    pub newest: Option<Bundle>,
    /// Proof of dishonest voters that was kept.
    pub evidence: Vec<Evidence>,
    /// Randomness for jitter, gossip and sealing: secret and never used before.
    pub seed: [u8; 32],
}

/// The fan-out when nothing else is said.
pub const FANOUT_DEFAULT: usize = 3;
