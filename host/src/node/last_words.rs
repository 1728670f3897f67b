//! What a node leaves with its supervisor: the last will, and who is to have it (DESIGN §3.4).

use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::peer::{PeerMessage, seal_envelope};
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::statement::Signed;

use crate::help::Help;
use crate::supervisor::message::{Voter, WillBytes};
use crate::supervisor::{Link, Unsupervised};

/// The way to the supervisor, and the key that the will is delivered with.
pub struct LastWords {
    link: Link,
    seed: [u8; 32],
    said: bool,
}

impl LastWords {
    pub fn new(link: Link, seed: &[u8; 32]) -> Self {
        LastWords { link, seed: *seed, said: false }
    }

    /// Whether the will was left.
    pub fn are_said(&self) -> bool {
        self.said
    }

    /// Leaves the will of this life.
    pub fn bequeath(&mut self, will: Signed<Resign>) {
        self.said = true;
        let frame = seal_envelope(&PeerMessage::Resign(will));
        told(self.link.bequeath(WillBytes { seed: &self.seed, frame: &frame }));
    }

    /// Says who is to have it, in place of those said before.
    pub fn to(&self, voters: Vec<(NodeId, String)>) {
        let voters = voters.into_iter().map(|(key, address)| Voter { key, address });
        told(self.link.voters(voters.collect()));
    }

    /// Takes it back for good.
    pub fn revoke(&self) {
        told(self.link.revoke());
    }
}

/// Without its will a node works as well; only what comes after it takes longer.
fn told(report: Result<(), Unsupervised>) {
    if let Err(error) = report {
        tracing::warn!("{error}: {}", error.help());
    }
}
