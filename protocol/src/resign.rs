//! A resignation: its sender has stopped acting and claims nothing from terms up to a bound (DESIGN §3.4).

use serde::{Deserialize, Serialize};

use crate::codec::DecodeError;
use crate::ids::{ClusterId, Generation, NodeId, Term};
use crate::statement::Statement;

/// Frees the voters that support its signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resign {
    /// The cluster it counts in.
    pub cluster: ClusterId,
    /// The node that resigns.
    pub node: NodeId,
    /// The life of it that resigns.
    pub generation: Generation,
    /// The highest term it called or led in that life.
    pub up_to_term: Term,
    /// Whom a leader that steps down would see in its place.
    pub successor: Option<NodeId>,
}

impl Resign {
    /// Whether it ends support given to its node in this life for this term.
    pub fn covers(&self, node: NodeId, generation: Generation, term: Term) -> bool {
        self.node == node && self.generation == generation && self.up_to_term >= term
    }
}

impl Statement for Resign {
    const DOMAIN: &'static str = "nitro-elect/v1/resign";
    const BYTES_MAX: usize = 512;

    fn cluster(&self) -> ClusterId {
        self.cluster
    }

    fn signer(&self) -> NodeId {
        self.node
    }

    fn check_bounds(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}
