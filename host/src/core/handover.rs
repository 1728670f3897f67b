//! Handing over of one's own accord: because this node would not lead, or another is preferred (DESIGN §3.3).

use nitro_elect_protocol::enclave_api::Request;
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::policy::{Prefer, Rule};
use nitro_elect_protocol::time::{Boot, Now};

use super::Core;
use super::enclaves::Purpose;
use super::event::EnclaveIndex;

impl Core {
    /// Hands over when this node would not lead, or the policy prefers another that has been there long enough.
    pub(super) fn hand_over(&mut self, now: Now) {
        if self.holds_lease(now.boot).is_none() {
            return self.work_may_go_on();
        }
        let preferred = self.preferred_voter(now.boot);
        let wished = !self.eligible() || preferred.is_some();
        if self.work_is_ending() {
            return self.hand_over_after_work(wished, now);
        }
        // Without an enclave nobody could be elected: handing over would leave the cluster without a leader.
        if wished && self.enclave_at_hand(now) {
            // Nobody else may be able to take over: then it stays, and tries again when that changes.
            let _ = self.part_with_lease(preferred.filter(|_| self.eligible()), false, now);
        }
    }

    /// Whether an enclave answered within a step; asks them all now and then if none did.
    pub(super) fn enclave_at_hand(&mut self, now: Now) -> bool {
        let step = self.timing.step();
        let all = (0..self.enclaves.slots().len()).map(EnclaveIndex);
        if all.clone().any(|enclave| self.enclaves.ready(enclave, step, now).is_some()) {
            return true;
        }
        if now.boot >= self.next_probe {
            self.next_probe = now.boot + self.timing.lease / 2;
            all.for_each(|enclave| self.ask(enclave, Purpose::Health, Request::Health));
        }
        false
    }

    /// An eligible voter of higher weight that was seen active for ten leases of this leadership, if leadership
    /// returns to it. One that does not take over when it could is thus offered the lead once in ten leases.
    fn preferred_voter(&self, now: Boot) -> Option<NodeId> {
        let policy = self.electorate.policy;
        if policy.prefer != Prefer::Return || policy.rule != Rule::Priority {
            return None;
        }
        let own = self.electorate.voter(&self.me)?.weight;
        let (long, led_since) = (self.timing.lease * 10, self.lead.as_ref()?.since);
        let heavier = self.electorate.voters.iter().filter(|voter| voter.weight > own);
        let there = heavier.filter(|voter| {
            self.members.get(&voter.key).is_some_and(|member| {
                let seen_since = member.active_since.map(|since| since.max(led_since));
                member.flags().eligible() && seen_since.is_some_and(|since| now.since(since) >= long)
            })
        });
        let all: Vec<_> = there.collect();
        policy.pick(&all, Term(0), || [0; 16])
    }
}
