//! Giving up: own resignations, those of others, and stepping down in favour of somebody (DESIGN §3.4).

use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::limits::TERM_MAX;
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::statement::{Signed, Verified};
use nitro_elect_protocol::time::{Boot, Now};

use super::Core;
use super::event::{CannotStepDown, Drop, LeaseLoss};
use super::voter::whole_ms;

impl Core {
    /// The resignation by which the lease of the highest certificate has ended, if it has.
    pub(super) fn resigned_leader(&self) -> Option<&Verified<Resign>> {
        let certificate = &self.accepted()?.verified;
        self.voter.resigns.covering(certificate.leader, certificate.leader_generation, certificate.term)
    }

    /// Until when a lease is known to run: this voter's live promise, what followers are told, or the newest
    /// certificate's first lease; the last two end with its leader's `Resign`.
    pub(super) fn lease_known_until(&self, now: Boot) -> Boot {
        let promised = self.voter.live(now).map(|hold| hold.until);
        let resigned = self.resigned_leader().is_some();
        let certified = self.current().and_then(|held| held.adopted_at).map(|at| at + self.timing.lease);
        let followed = self.followed_until();
        let discovery = self.open.as_ref().map(|_| self.started + self.timing.lease);
        let told = [certified, followed].into_iter().flatten().filter(|_| !resigned);
        told.chain(promised).chain(discovery).max().unwrap_or(self.started)
    }

    /// Resigns from everything this life called or led so far; later, if work runs under it.
    pub(super) fn resign(&mut self, successor: Option<NodeId>, now: Now) {
        if self.work_holds_back() {
            return;
        }
        let led = self.current().map(|held| &held.verified).filter(|certificate| {
            certificate.leader == self.me && certificate.leader_generation == self.generation
        });
        let led = led.map_or(Term(0), |certificate| certificate.term);
        let up_to_term = led.max(self.campaign.highest_called).max(self.resigned_up_to);
        if up_to_term == Term(0) {
            return;
        }
        self.resigned_up_to = up_to_term;
        let (cluster, node, generation) = (self.electorate.cluster, self.me, self.generation);
        let resign = Verified::sign(Resign { cluster, node, generation, up_to_term, successor }, &*self.key);
        self.stop_leading(LeaseLoss::SteppedDown);
        self.apply_resign(&resign, now);
        self.broadcast(PeerMessage::Resign(resign.into_signed()));
    }

    /// The resignation that ends every lease of this life, whichever comes: for a supervisor, to be sent once nothing
    /// of this life can act any more. None before [`Core::will_due`].
    pub fn last_will(&self) -> Option<Signed<Resign>> {
        if self.work.left_until().is_some() {
            return None;
        }
        let (cluster, node, generation) = (self.electorate.cluster, self.me, self.generation);
        let will = Resign { cluster, node, generation, up_to_term: Term(TERM_MAX), successor: None };
        Some(Verified::sign(will, &*self.key).into_signed())
    }

    /// When this life may leave its will. No supervisor of this life knows of what an earlier one left at work, and the
    /// promises that keep others away from that may be to this life by now: they would end with its will.
    pub fn will_due(&self) -> Boot {
        self.work.left_until().unwrap_or(self.started)
    }

    /// The other voters, and where they are reached: those to whom a last will goes.
    pub fn other_voters(&self) -> Vec<(NodeId, String)> {
        let others = self.electorate.voters.iter().filter(|voter| voter.key != self.me);
        others.map(|voter| (voter.key, voter.address.clone())).collect()
    }

    /// Somebody resigned, or is said to have.
    pub(super) fn on_resign(&mut self, from: NodeId, signed: Signed<Resign>, now: Now) {
        let Ok(resign) = signed.peek() else { return self.dropped(from, Drop::Bound) };
        if resign.cluster != self.electorate.cluster {
            return self.dropped(from, Drop::OtherCluster);
        }
        if resign.node == self.me {
            return;
        }
        if !self.electorate.contains(&resign.node) && !self.members.admits(&resign.node) {
            return self.dropped(from, Drop::Stranger);
        }
        let known = self.voter.resigns.of(&resign.node).map(|known| (known.generation, known.up_to_term));
        if known >= Some((resign.generation, resign.up_to_term)) {
            return;
        }
        if !self.heartbeat_budget.spend(from, now.boot) {
            return self.dropped(from, Drop::TooMuch);
        }
        match signed.verify(&*self.crypto) {
            Ok(resign) => {
                self.apply_resign(&resign, now);
                if self.electorate.contains(&resign.node) {
                    self.campaign_sees_freed(resign.up_to_term, now.boot);
                }
            }
            Err(_) => self.dropped(from, Drop::Signature),
        }
    }

    fn apply_resign(&mut self, resign: &Verified<Resign>, now: Now) {
        let (before, held) = (self.resigned_leader().is_some(), self.voter.live(now.boot).is_some());
        self.voter.resigned(resign, now.boot);
        if !before && self.resigned_leader().is_some() {
            self.forget_waits();
        }
        let is_free = held && self.voter.live(now.boot).is_none();
        let has_lease = self.holds_lease(now.boot).is_some();
        if let Some(lead) = self.lead.as_mut().filter(|_| is_free && !has_lease) {
            // Whoever elected this node has freed its voters too: they refused its first renewal, or would have.
            lead.next_round = now.boot;
        }
    }

    /// What a message of an election brings along: a certificate first, then how its lease ended.
    pub(super) fn learn(
        &mut self,
        from: NodeId,
        bundle: Option<Bundle>,
        resign: Option<Signed<Resign>>,
        now: Now,
    ) {
        if let Some(bundle) = bundle {
            self.consider(from, bundle, now);
        }
        if let Some(resign) = resign {
            self.on_resign(from, resign, now);
        }
    }

    /// Steps down if somebody can take over; else nothing is given up.
    pub(super) fn step_down(&mut self, to: Option<NodeId>, now: Now) -> Result<(), CannotStepDown> {
        self.may_step_down(to, now)?;
        self.stepped_down = Some(now.boot + self.timing.lease);
        self.resign(to, now);
        self.emit_heartbeat(now);
        Ok(())
    }

    /// Whether stepping down would leave somebody to lead.
    pub(super) fn may_step_down(&self, to: Option<NodeId>, now: Now) -> Result<(), CannotStepDown> {
        if self.holds_lease(now.boot).is_none() {
            return Err(CannotStepDown::NotLeading);
        }
        match to {
            Some(node) if !self.could_take_over(&node) => Err(CannotStepDown::NotASuccessor(node)),
            Some(node) => match self.lead.as_ref().and_then(|lead| lead.bound_for(&node, now.boot)) {
                Some(left) => Err(CannotStepDown::Bound { node, ms: whole_ms(left) }),
                None => Ok(()),
            },
            None if !self.somebody_else_eligible() => Err(CannotStepDown::NobodyElse),
            _ => Ok(()),
        }
    }

    fn could_take_over(&self, node: &NodeId) -> bool {
        let eligible = self.members.get(node).is_some_and(|member| member.flags().eligible());
        *node != self.me && self.electorate.contains(node) && self.members.is_active(node) && eligible
    }

    /// Whether another active voter would lead.
    pub(super) fn somebody_else_eligible(&self) -> bool {
        self.electorate.voters.iter().any(|voter| self.could_take_over(&voter.key))
    }

    /// A node that stepped down is ineligible for a lease, or until nobody else is eligible.
    pub(super) fn settle_eligibility(&mut self, now: Boot) {
        if self.stepped_down.is_some_and(|until| until <= now) || !self.somebody_else_eligible() {
            self.stepped_down = None;
        }
        self.flags.stepped_down = self.stepped_down.is_some();
    }
}
