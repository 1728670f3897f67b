//! A broken invariant.

use std::fmt;

use super::clock::At;

/// The invariants of DESIGN §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// At most one certificate per electorate and term, over all enclave instances.
    I1,
    /// A term has one leader.
    I2,
    /// Later elections have higher terms, and no node accepts a lower one than it has seen.
    I3,
    /// At any real instant at most one honest node holds the lease; later leases of others have no lower term.
    I4,
    /// A leader signed a view in its own election, and more than half of the counted views saw it alive.
    I5,
    /// No honest voter signs two different views for one term, across crashes.
    I6,
    /// No certificate is adopted that an accepted enclave did not sign over the node's own electorate.
    I7,
    /// Without faults a lease is held within the stated number of leases.
    I8,
    /// Without faults all honest nodes agree on active list, leader and term within the stated number of leases.
    I9,
    /// A leader keeps its lease while every enclave and proxy is down.
    I10,
    /// Nothing that is sent makes a node or the enclave panic, hang, halt or grow without bound.
    I11,
    /// At any real instant leader-only work runs on one honest node at most, and later work of another has a higher term.
    I12,
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When, in true time.
    pub at: At,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} violated at {}: {}", self.invariant, self.at, self.what)
    }
}
