//! Spans that follow from the lease (DESIGN §1, §3.4).

use std::time::Duration;

/// The lease and what is derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// How long one round of support lasts.
    pub lease: Duration,
}

impl Timing {
    /// What a leader gives up of its lease for clocks that differ: 2 %, at least 5 ms. Clocks within 1 % of true
    /// time differ by up to 1.98 %.
    pub fn margin(&self) -> Duration {
        (self.lease / 50).max(Duration::from_millis(5))
    }

    /// How long support lasts for the leader that has it.
    pub fn usable(&self) -> Duration {
        self.lease - self.margin()
    }

    /// The time an election takes for each of its parts, and the distance between ranks.
    pub fn step(&self) -> Duration {
        self.lease / 10
    }

    /// The interval between heartbeats, and between rounds of gossip.
    pub fn heartbeat(&self) -> Duration {
        self.lease / 5
    }

    /// The interval between renewals.
    pub fn renewal(&self) -> Duration {
        self.lease / 3
    }

    /// How long a node may be silent before it counts as inactive, when heartbeats come as they should.
    pub fn detection(&self) -> Duration {
        self.heartbeat() * 3
    }
}
