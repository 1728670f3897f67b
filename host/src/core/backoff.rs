//! Back-off: a caller that had a voter's promise and made nothing of it waits (DESIGN §3.2, step 2).
//!
//! Without it a coordinator that withholds results, nominates others, or signs and resigns at once could keep
//! honest voters busy for ever.

use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::time::Boot;
use std::collections::BTreeMap;
use std::time::Duration;

use super::timing::Timing;

/// Holds without fruit that count, at most: 2^6 times the hold.
const HOLDS_MAX: u32 = 6;

/// Who waits until when at one voter. At most one entry a voter of the electorate.
#[derive(Clone, Debug, Default, Hash)]
pub struct BackOff {
    nodes: BTreeMap<NodeId, Waiting>,
}

#[derive(Clone, Debug, Default, Hash)]
struct Waiting {
    holds: u32,
    until: Boot,
}

impl BackOff {
    /// A promise to `node` ended after `held` with neither a promise given in it nor a leader elected by it.
    pub fn fruitless(&mut self, node: NodeId, held: Duration, ended: Boot, timing: Timing) {
        let waiting = self.nodes.entry(node).or_default();
        waiting.holds = (waiting.holds + 1).min(HOLDS_MAX);
        let span = (held * (1 << waiting.holds)).max(timing.lease / 40).min(timing.lease * 8);
        waiting.until = waiting.until.max(ended + span);
    }

    /// `node` called an election that elected it: what was held against it is forgotten.
    pub fn elected(&mut self, node: &NodeId) {
        self.nodes.remove(node);
    }

    /// How much longer nothing is signed for `node`.
    pub fn left(&self, node: &NodeId, now: Boot) -> Option<Duration> {
        let until = self.nodes.get(node)?.until;
        (until > now).then(|| until.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { lease: Duration::from_secs(1) };
    const NODE: NodeId = NodeId([1; 32]);

    fn left_after(holds: u32, held_ms: u64) -> Duration {
        let mut backoff = BackOff::default();
        for _ in 0..holds {
            backoff.fruitless(NODE, Duration::from_millis(held_ms), Boot(0), TIMING);
        }
        backoff.left(&NODE, Boot(0)).expect("in back-off")
    }

    #[test]
    fn it_doubles_with_each_fruitless_hold_between_a_fortieth_and_eight_leases() {
        assert_eq!(left_after(1, 1), Duration::from_millis(25));
        assert_eq!(left_after(1, 100), Duration::from_millis(200));
        assert_eq!(left_after(3, 100), Duration::from_millis(800));
        assert_eq!(left_after(6, 30), Duration::from_millis(1920));
        assert_eq!(left_after(60, 30), Duration::from_millis(1920));
        assert_eq!(left_after(6, 1000), Duration::from_secs(8));
    }

    #[test]
    fn it_ends_by_time_and_by_an_election_won() {
        let mut backoff = BackOff::default();
        backoff.fruitless(NODE, Duration::from_millis(100), Boot(0), TIMING);
        assert_eq!(backoff.left(&NODE, Boot(200_000_000)), None);
        backoff.elected(&NODE);
        backoff.fruitless(NODE, Duration::from_millis(100), Boot(0), TIMING);
        assert_eq!(backoff.left(&NODE, Boot(0)), Some(Duration::from_millis(200)));
    }
}
