//! What a node is started with.

use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::ids::NodeId;
use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::change_file::Shown;
use crate::core::config::{Membership, Observers};
use crate::supervisor::Link;
use crate::transport::endpoint::{Endpoint, HostPort};
use crate::transport::links::{Admission, Class, Others, Peer};
use nitro_elect_protocol::limits::OPEN_MEMBERS_MAX;

/// Everything that [`Node::start`](super::Node::start) needs.
#[derive(Debug)]
pub struct NodeConfig {
    /// What people call the node.
    pub name: String,
    /// Its place in the network.
    pub reach: Reach,
    /// Who votes. Sound: whoever made it has looked at its faults.
    pub membership: Membership,
    /// Its key. It stays in this process's memory, which [`keep_memory`](crate::secrecy::keep_memory) keeps from dumps.
    pub key: NodeKey,
    /// Its state directory, born with the key.
    pub state: PathBuf,
    /// Whether it goes on though the votes of its key are lost (DESIGN §3.6).
    pub danger_forget_votes: bool,
    /// What it is shown about changes of voters, to move to its manifest from the one before.
    pub shown: Shown,
    /// The enclaves it may ask, in order of preference.
    pub enclaves: Vec<Endpoint>,
    /// Peers that each round of gossip goes to.
    pub fanout: usize,
    /// The line to the process that outlives the node and sends its last will; none for a node inside a program.
    pub supervisor: Option<Link>,
}

/// Where a node listens and whom it dials from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Where it listens.
    pub bind: HostPort,
    /// Where others reach it, `host:port`; what its heartbeats say.
    pub address: String,
    /// Addresses of peers whose keys are learnt (open clusters).
    pub peers: Vec<HostPort>,
}

impl NodeConfig {
    /// The node that it is for: its public key.
    pub fn id(&self) -> NodeId {
        self.key.id()
    }

    /// Who is let in.
    pub(super) fn admission(&self) -> Admission {
        match &self.membership {
            Membership::Manifest { electorate, observers } => Admission {
                voters: electorate.voters.iter().map(|voter| voter.key).collect(),
                others: match observers {
                    Observers::Off => Others::Off,
                    Observers::Listed(keys) => Others::Listed(keys.clone()),
                    Observers::Open(most) => Others::Open(*most),
                },
            },
            Membership::Open { .. } => {
                Admission { voters: BTreeSet::new(), others: Others::Open(OPEN_MEMBERS_MAX) }
            }
        }
    }

    /// Whom to dial from the start: every other voter, or the addresses that people gave.
    pub(super) fn peers(&self, own: NodeId) -> Vec<Peer> {
        match &self.membership {
            Membership::Manifest { electorate, .. } => {
                let others = electorate.voters.iter().filter(|voter| voter.key != own);
                others.filter_map(|voter| peer(Some(voter.key), &voter.address)).collect()
            }
            Membership::Open { .. } => {
                let given = self.reach.peers.iter();
                given
                    .map(|address| Peer { key: None, address: address.clone(), class: Class::Voter })
                    .collect()
            }
        }
    }
}

/// A peer to dial as often as a voter, if its address can be dialled at all.
pub(super) fn peer(key: Option<NodeId>, address: &str) -> Option<Peer> {
    let address = address.parse::<HostPort>().ok().filter(|address| address.port() > 0)?;
    Some(Peer { key, address, class: Class::Voter })
}
