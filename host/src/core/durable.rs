//! What a node must not forget: the record of the last support it gave, and its generation (DESIGN §3.6).

use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest, Generation, NodeId, Term};
use serde::{Deserialize, Serialize};

/// Whom a voter last supported, by view or by promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Support {
    /// The term.
    pub term: Term,
    /// The node that was supported.
    pub holder: NodeId,
    /// The life of that node.
    pub generation: Generation,
    /// The electorate it was given under.
    pub electorate: ElectorateDigest,
    /// The lease it was given for, in milliseconds.
    pub lease_ms: u64,
}

/// The durable state of one node, rewritten as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Whose state it is.
    pub node: NodeId,
    /// The cluster it votes in, once it has.
    pub cluster: Option<ClusterId>,
    /// The node's present life.
    pub generation: Generation,
    /// Its last support, if it ever gave any.
    pub support: Option<Support>,
    /// Whether earlier votes are lost: then it counts as one of the f until it gets a new key.
    pub forgot_votes: bool,
}
