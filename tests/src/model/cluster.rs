//! What does not change while a search runs: voters, enclaves, bounds, and what is to be trusted.

use nitro_elect::core::Core;
use nitro_elect::core::config::{Config, FANOUT_DEFAULT, Membership, Observers};
use nitro_elect::core::durable::Record;
use nitro_elect_protocol::crypto::Crypto;
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest, Generation, NodeId};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::time::{Boot, Now, Wall};
use std::sync::Arc;
use std::time::Duration;

use super::bounds::Bounds;
use crate::sim::clock::EPOCH;
use crate::sim::identities::{Identity, Primitives, Shared};
use crate::sim::standin::StandInKey;

/// The lease of the model.
pub const LEASE: Duration = Duration::from_secs(1);
/// The distance between two points in time: longer than every wait within an election and than all ranks and
/// jitter, short enough that a leader has the last third of its lease to call in.
pub const TICK: Duration = Duration::from_millis(350);
/// Enclave instances.
pub const ENCLAVES: usize = 2;

/// The parts of a model that a test may replace by worse ones.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// Voters.
    pub n: usize,
    /// Byzantine voters tolerated.
    pub f: usize,
    /// Byzantine voters there are: the last ones.
    pub byzantine: usize,
    /// What is on a disk that held the first record after the second was written and synced.
    pub disk: fn(Record, Record) -> Record,
    /// How many of its elections an enclave remembers.
    pub memory: fn(usize) -> usize,
}

impl Default for Parts {
    fn default() -> Self {
        Parts { n: 4, f: 1, byzantine: 1, disk: |_, written| written, memory: |elections| elections }
    }
}

/// Everything that stays as it is.
pub struct Cluster {
    /// How far the search looks.
    pub bounds: Bounds,
    /// What it is made of.
    pub parts: Parts,
    /// The voters.
    pub electorate: Electorate,
    /// Their digest.
    pub digest: ElectorateDigest,
    /// The enclaves' identities.
    pub enclaves: Vec<Arc<Identity>>,
    crypto: Arc<dyn Crypto>,
}

impl Cluster {
    /// A cluster of these parts.
    pub fn new(bounds: Bounds, parts: Parts) -> Self {
        let shared = Shared::get();
        let voter = |index: usize| Voter {
            key: id(index),
            name: format!("n{}", index + 1),
            address: address(index),
            weight: (parts.n - index) as u32,
        };
        let mut electorate = Electorate {
            version: VERSION,
            cluster: ClusterId([9; 16]),
            name: "model".into(),
            epoch: 0,
            previous: None,
            f: parts.f as u32,
            policy: Policy::of(Rule::Priority),
            lease_ms: LEASE.as_millis() as u64,
            trust: shared.trust(),
            voters: (0..parts.n).map(voter).collect(),
        };
        electorate.sort();
        let digest = electorate.digest();
        let enclaves = (0..ENCLAVES).map(|boot| shared.identity(boot)).collect();
        Cluster { bounds, parts, electorate, digest, enclaves, crypto: shared.crypto(Primitives::StandIn) }
    }

    /// The honest voters.
    pub fn honest(&self) -> std::ops::Range<usize> {
        0..self.parts.n - self.parts.byzantine
    }

    /// The Byzantine voters.
    pub fn byzantine(&self) -> std::ops::Range<usize> {
        self.honest().end..self.parts.n
    }

    /// The number of a voter.
    pub fn number(&self, node: &NodeId) -> Option<usize> {
        (0..self.parts.n).find(|index| id(*index) == *node)
    }

    /// A record of nothing.
    pub fn first_record(&self, node: usize) -> Record {
        let generation = Generation(1);
        Record { node: id(node), cluster: None, generation, support: None, forgot_votes: false }
    }

    /// A node's core at the start of a life.
    pub fn start(&self, node: usize, record: Record, newest: Option<Bundle>, tick: u32) -> Core {
        let config = Config {
            name: format!("n{}", node + 1),
            address: address(node),
            predecessor: None,
            membership: Membership::Manifest {
                electorate: Box::new(self.electorate.clone()),
                observers: Observers::Off,
            },
            enclaves: ENCLAVES,
            fanout: FANOUT_DEFAULT,
            record,
            newest,
            evidence: Vec::new(),
            seed: [0; 32],
        };
        Core::new(config, Box::new(StandInKey(id(node))), self.crypto.clone(), now(tick))
    }

    /// The enclave behind a node's endpoint: each node begins with another one.
    pub fn behind(&self, node: usize, endpoint: usize) -> usize {
        (node + endpoint) % ENCLAVES
    }

    /// The enclave of this id.
    pub fn enclave(&self, id: &nitro_elect_protocol::ids::EnclaveId) -> Option<usize> {
        self.enclaves.iter().position(|enclave| enclave.keys.enclave() == *id)
    }
}

/// The key of a voter.
pub fn id(node: usize) -> NodeId {
    NodeId([node as u8 + 1; 32])
}

fn address(node: usize) -> String {
    format!("10.0.0.{}:5000", node + 1)
}

/// All clocks, after so many ticks: they agree.
pub fn now(tick: u32) -> Now {
    let passed = TICK * tick;
    Now { boot: Boot(10_000_000_000) + passed, wall: Wall(EPOCH.0 + passed.as_millis() as u64) }
}
