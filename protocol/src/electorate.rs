//! The electorate: the fixed list of voters plus everything two nodes must agree on (DESIGN §1).
//!
//! Its digest is in every view, promise and certificate, so whoever disagrees about anything here neither
//! supports nor believes the other. Voters are sorted by key: nothing depends on the order in a file.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::codec;
use crate::hash;
use crate::ids::{ClusterId, ElectorateDigest, NodeId};
use crate::limits::{ADDRESS_MAX, LEASE_MAX, LEASE_MIN, NAME_MAX, OPEN_MEMBERS_MAX, VOTERS_MAX};
use crate::policy::Policy;
use crate::quorum;
use crate::trust::{Trust, TrustFault};

/// The version of manifests, messages and certificates that this code speaks.
pub const VERSION: u32 = 1;

/// One voter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Voter {
    /// Who it is.
    pub key: NodeId,
    /// What people call it.
    pub name: String,
    /// Where it listens, `host:port`, resolved at each dial.
    pub address: String,
    /// Its weight under the policy `priority`; higher leads.
    pub weight: u32,
}

/// The voters and what they agree on. Its fields are in the order of their encoding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Electorate {
    /// [`VERSION`].
    pub version: u32,
    /// 128 random bits, kept across manifests; [`ClusterId::OPEN`] for an open cluster.
    pub cluster: ClusterId,
    /// What people call the cluster.
    pub name: String,
    /// Counts the manifests of a cluster.
    pub epoch: u64,
    /// The digest of the manifest before this one.
    pub previous: Option<ElectorateDigest>,
    /// Byzantine voters tolerated.
    pub f: u32,
    /// Who leads.
    pub policy: Policy,
    /// How long a leader may act on one round of support, in milliseconds.
    pub lease_ms: u64,
    /// Which enclaves are accepted.
    pub trust: Trust,
    /// The voters, sorted by key.
    pub voters: Vec<Voter>,
}

/// What is wrong with an electorate, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElectorateFault {
    /// Another format.
    #[error("version {0} is not known here; this program reads version {VERSION}")]
    Version(u32),
    /// Nobody votes.
    #[error("there are no voters; name at least one")]
    NoVoters,
    /// More than the bound.
    #[error("{found} voters are more than {max}")]
    TooManyVoters {
        /// How many there are.
        found: usize,
        /// How many there may be.
        max: usize,
    },
    /// Too many faults to tolerate for too few voters.
    #[error("f = {f} needs at least {} voters (3f + 1), but there are {n}", 3 * u64::from(*f) + 1)]
    TooFewForF {
        /// The voters.
        n: usize,
        /// The Byzantine voters to tolerate.
        f: u32,
    },
    /// The open cluster's parameters are fixed.
    #[error("an open cluster has f = 0, epoch 0 and no predecessor")]
    OpenParameters,
    /// A lease out of range.
    #[error("a lease of {found_ms} ms is outside {} ms to {} ms", LEASE_MIN.as_millis(), LEASE_MAX.as_millis())]
    Lease {
        /// The lease.
        found_ms: u64,
    },
    /// A name that is empty, too long or has control characters.
    #[error("the name {name:?} of {of} must have 1 to {NAME_MAX} printable characters")]
    Name {
        /// Whose name.
        of: String,
        /// The name, cut.
        name: String,
    },
    /// An address that is not host:port.
    #[error("voter {voter}: {address:?} is not an address HOST:PORT")]
    Address {
        /// The voter's name.
        voter: String,
        /// The address, cut.
        address: String,
    },
    /// Two voters share a key: the same machine would vote twice.
    #[error("voters {first} and {second} have the same public key")]
    DoubledKey {
        /// One voter's name.
        first: String,
        /// The other's.
        second: String,
    },
    /// Two voters share an address.
    #[error("voters {first} and {second} have the same address {address}")]
    DoubledAddress {
        /// One voter's name.
        first: String,
        /// The other's.
        second: String,
        /// The address.
        address: String,
    },
    /// Two voters share a name.
    #[error("two voters are named {0}")]
    DoubledName(String),
    /// The list is not in its one order.
    #[error("voters are not sorted by key")]
    Unsorted,
    /// The trust section is unusable.
    #[error("trust: {0}")]
    Trust(#[from] TrustFault),
}

impl Electorate {
    /// Puts the voters into their one order.
    pub fn sort(&mut self) {
        self.voters.sort_by_key(|voter| voter.key);
    }

    /// SHA-256 over the domain and the canonical encoding.
    pub fn digest(&self) -> ElectorateDigest {
        ElectorateDigest(hash::framed("nitro-elect/v1/electorate", &[&codec::encode(self)]))
    }

    /// How many voters there are.
    pub fn n(&self) -> usize {
        self.voters.len()
    }

    /// How many Byzantine voters are tolerated.
    pub fn f(&self) -> usize {
        self.f as usize
    }

    /// The quorum: floor((n + f) / 2) + 1, or all of an open cluster.
    pub fn quorum(&self) -> usize {
        if self.is_open() { self.n() } else { quorum::quorum(self.n(), self.f()) }
    }

    /// Whether this is an open cluster's list (DESIGN §3.7).
    pub fn is_open(&self) -> bool {
        self.cluster.is_open()
    }

    /// The lease.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    /// The voter with this key.
    pub fn voter(&self, key: &NodeId) -> Option<&Voter> {
        self.voters.binary_search_by_key(key, |voter| voter.key).ok().map(|index| &self.voters[index])
    }

    /// Whether this key votes.
    pub fn contains(&self, key: &NodeId) -> bool {
        self.voter(key).is_some()
    }

    /// All that is wrong with it; empty if it may be used.
    pub fn faults(&self) -> Vec<ElectorateFault> {
        let mut faults = self.parameter_faults();
        faults.extend(self.voters.iter().flat_map(voter_faults));
        faults.extend(self.doubled());
        if !self.voters.is_sorted_by_key(|voter| voter.key) {
            faults.push(ElectorateFault::Unsorted);
        }
        faults.extend(self.trust.faults().into_iter().map(ElectorateFault::Trust));
        faults
    }

    fn parameter_faults(&self) -> Vec<ElectorateFault> {
        let mut faults = Vec::new();
        let n = self.n();
        let max = if self.is_open() { OPEN_MEMBERS_MAX } else { VOTERS_MAX };
        if self.version != VERSION {
            faults.push(ElectorateFault::Version(self.version));
        }
        if n == 0 {
            faults.push(ElectorateFault::NoVoters);
        } else if !quorum::tolerates(n, self.f()) {
            faults.push(ElectorateFault::TooFewForF { n, f: self.f });
        }
        if n > max {
            faults.push(ElectorateFault::TooManyVoters { found: n, max });
        }
        if self.is_open() && (self.f, self.epoch, self.previous) != (0, 0, None) {
            faults.push(ElectorateFault::OpenParameters);
        }
        if !(LEASE_MIN..=LEASE_MAX).contains(&self.lease()) {
            faults.push(ElectorateFault::Lease { found_ms: self.lease_ms });
        }
        if !is_name(&self.name) {
            faults.push(ElectorateFault::Name { of: "the cluster".into(), name: cut(&self.name) });
        }
        faults
    }

    fn doubled(&self) -> Vec<ElectorateFault> {
        let (mut keys, mut addresses, mut names) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut faults = Vec::new();
        for voter in &self.voters {
            let second = voter.name.clone();
            if let Some(first) = keys.insert(voter.key, voter.name.clone()) {
                faults.push(ElectorateFault::DoubledKey { first, second: second.clone() });
            }
            if let Some(first) = addresses.insert(&voter.address, voter.name.clone()) {
                faults.push(ElectorateFault::DoubledAddress {
                    first,
                    second,
                    address: voter.address.clone(),
                });
            }
            if names.insert(&voter.name, ()).is_some() {
                faults.push(ElectorateFault::DoubledName(voter.name.clone()));
            }
        }
        faults
    }
}

fn voter_faults(voter: &Voter) -> Vec<ElectorateFault> {
    let mut faults = Vec::new();
    if !is_name(&voter.name) {
        faults.push(ElectorateFault::Name { of: "a voter".into(), name: cut(&voter.name) });
    }
    if !is_address(&voter.address) {
        faults.push(ElectorateFault::Address { voter: cut(&voter.name), address: cut(&voter.address) });
    }
    faults
}

/// Whether a text can be a name: 1 to 63 bytes, printable.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether a text has the shape `host:port` with a port from 1 on.
pub fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_is_plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    let brackets =
        host.starts_with('[') == host.ends_with(']') && (host.starts_with('[') || !host.contains(':'));
    text.len() <= ADDRESS_MAX && host_is_plain && brackets && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
