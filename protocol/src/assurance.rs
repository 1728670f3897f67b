//! How much a verified thing is worth (DESIGN §5).

use serde::{Deserialize, Serialize};
use std::fmt;

/// What stands behind a verified enclave, certificate or proof, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assurance {
    /// AWS's pinned root vouches for measured code.
    Attested,
    /// AWS's root, but the enclave runs in debug mode: its parent instance can read it.
    Debug,
    /// A root that is not AWS's: a simulated module on an ordinary machine.
    Simulated,
    /// An open cluster: anybody may be a voter of it.
    Open,
}

impl Assurance {
    /// The lesser of two: a certificate is worth no more than its enclave and its electorate.
    pub fn and(self, other: Assurance) -> Assurance {
        self.max(other)
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Assurance::Attested => "attested",
            Assurance::Debug => "debug",
            Assurance::Simulated => "simulated",
            Assurance::Open => "open",
        })
    }
}
