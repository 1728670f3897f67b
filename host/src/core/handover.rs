//! Handing over of one's own accord: because this node would not lead, or another is preferred (DESIGN §3.3).

use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::policy::{Prefer, Rule};
use nitro_elect_protocol::time::{Boot, Now};

use super::Core;

impl Core {
    /// Hands over when this node would not lead, or the policy prefers another that has been there long enough.
    pub(super) fn hand_over(&mut self, now: Now) {
        if self.holds_lease(now.boot).is_none() {
            return;
        }
        if !self.eligible() {
            // Nobody else may be eligible: then it stays, and tries again when that changes.
            let _ = self.step_down(None, now);
        } else if let Some(preferred) = self.preferred_voter(now.boot) {
            let _ = self.step_down(Some(preferred), now);
        }
    }

    /// An eligible voter of higher weight that was seen active for ten leases, if leadership returns to it.
    fn preferred_voter(&self, now: Boot) -> Option<NodeId> {
        let policy = self.electorate.policy;
        if policy.prefer != Prefer::Return || policy.rule != Rule::Priority {
            return None;
        }
        let own = self.electorate.voter(&self.me)?.weight;
        let long = self.timing.lease * 10;
        let heavier = self.electorate.voters.iter().filter(|voter| voter.weight > own);
        let there = heavier.filter(|voter| {
            self.members.get(&voter.key).is_some_and(|member| {
                member.flags().eligible() && member.active_since.is_some_and(|since| now.since(since) >= long)
            })
        });
        let all: Vec<_> = there.collect();
        policy.pick(&all, Term(0), || [0; 16])
    }
}
