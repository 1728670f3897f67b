//! The signed heartbeat by which a node shows that it lives (DESIGN §3.1).

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::ids::{ClusterId, Generation, NodeId, Term};
use crate::limits::{ADDRESS_MAX, NAME_MAX};
use crate::statement::Statement;
use crate::time::{Boot, Wall};

/// Why a node would not lead now, as it says itself. All false: it would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flags {
    /// An operator drains it.
    pub draining: bool,
    /// What it runs is not healthy.
    pub unhealthy: bool,
    /// It stepped down a moment ago.
    pub stepped_down: bool,
}

impl Flags {
    /// Whether nothing speaks against leading.
    pub fn eligible(&self) -> bool {
        !(self.draining || self.unhealthy || self.stepped_down)
    }
}

/// One sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The cluster it counts in.
    pub cluster: ClusterId,
    /// The node that lives.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Where it says it listens, `host:port`; empty if nowhere.
    pub address: String,
    /// Its present life.
    pub generation: Generation,
    /// Rises with every heartbeat of a generation, from 1.
    pub seq: u64,
    /// Its `CLOCK_BOOTTIME` when it signed.
    pub boot: Boot,
    /// Its wall clock when it signed.
    pub wall: Wall,
    /// The highest term it holds a certificate of.
    pub highest_term: Term,
    /// What speaks against its leading.
    pub flags: Flags,
}

impl Heartbeat {
    /// Which of two heartbeats of one node is the newer: by generation, then by sequence.
    pub fn order(&self) -> (Generation, u64) {
        (self.generation, self.seq)
    }
}

impl Statement for Heartbeat {
    const DOMAIN: &'static str = "nitro-elect/v1/heartbeat";
    const BYTES_MAX: usize = 1024;

    fn cluster(&self) -> ClusterId {
        self.cluster
    }

    fn signer(&self) -> NodeId {
        self.node
    }

    fn check_bounds(&self) -> Result<(), DecodeError> {
        codec::text("heartbeat.name", &self.name, NAME_MAX)?;
        codec::text("heartbeat.address", &self.address, ADDRESS_MAX)
    }
}
