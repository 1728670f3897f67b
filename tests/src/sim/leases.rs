//! Leases as nodes believe them, and what dead ones left at work under theirs.

use nitro_elect_protocol::ids::{NodeId, Term};
use std::collections::BTreeSet;

use super::clock::At;

/// A lease as one honest node believes it.
#[derive(Clone, Copy, Debug)]
pub struct Belief {
    /// Its term.
    pub term: Term,
    /// When it ends, in true time.
    pub until: At,
}

/// Work under the lease of a process that ended.
#[derive(Debug)]
pub struct Remains {
    /// When the process ended.
    pub died: At,
    /// What it still goes by.
    pub belief: Belief,
    /// Over which list.
    pub list: List,
}

/// Leases of one term that a node held.
#[derive(Debug)]
pub struct Led {
    /// The term.
    pub term: Term,
    /// Over which list.
    pub list: List,
}

/// Over which list of nodes a lease is held: of an open cluster's only, elsewhere there is but one.
pub type List = Option<BTreeSet<NodeId>>;

/// Whether two lists have a node in common; where there is but one list, they do.
pub fn intersect(one: &List, other: &List) -> bool {
    one.as_ref().zip(other.as_ref()).is_none_or(|(one, other)| !one.is_disjoint(other))
}
