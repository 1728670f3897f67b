//! How much a peer may bring: token buckets on the node's own clock.

use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::time::Boot;
use std::collections::BTreeMap;
use std::time::Duration;

/// Buckets of one kind, one a peer. Peers are admitted before they can spend, so the map stays bounded.
#[derive(Clone, Debug)]
pub struct Budget {
    per_second: u32,
    peers: BTreeMap<NodeId, Bucket>,
}

#[derive(Clone, Debug)]
struct Bucket {
    /// Tokens in thousandths.
    milli: u64,
    filled: Boot,
}

impl Budget {
    /// `per_second` tokens a second, and at most that many at once.
    pub fn new(per_second: u32) -> Self {
        Budget { per_second, peers: BTreeMap::new() }
    }

    /// Spends one token of the peer's; false if it has none left.
    pub fn spend(&mut self, peer: NodeId, now: Boot) -> bool {
        let full = u64::from(self.per_second) * 1000;
        let bucket = self.peers.entry(peer).or_insert(Bucket { milli: full, filled: now });
        let gained = milliseconds(now.since(bucket.filled)).saturating_mul(u64::from(self.per_second));
        if gained > 0 {
            bucket.milli = bucket.milli.saturating_add(gained).min(full);
            bucket.filled = now;
        }
        let enough = bucket.milli >= 1000;
        if enough {
            bucket.milli -= 1000;
        }
        enough
    }

    /// Forgets a peer that left.
    pub fn forget(&mut self, peer: &NodeId) {
        self.peers.remove(peer);
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_spends_its_own_tokens_and_gets_them_back_with_time() {
        let (mut budget, a, b) = (Budget::new(4), NodeId([1; 32]), NodeId([2; 32]));
        assert_eq!((0..6).filter(|_| budget.spend(a, Boot(0))).count(), 4);
        assert!(budget.spend(b, Boot(0)));
        assert!(!budget.spend(a, Boot(0) + Duration::from_millis(100)));
        assert!(budget.spend(a, Boot(0) + Duration::from_millis(300)));
        assert_eq!((0..9).filter(|_| budget.spend(a, Boot(0) + Duration::from_secs(60))).count(), 4);
    }
}
