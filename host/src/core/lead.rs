//! Leading: support, and the time until which the lease is held (DESIGN §3.4).
//!
//! The lease rests on support alone: for each voter the latest t0 after which it promised in a renewal, or signed
//! in an election of this life that elected this node. It ends a lease less margin after the q-th latest of these.

mod renewal;

use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::time::{Boot, Now};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Core;
use super::event::{Action, LeaseLoss, Notice};
use super::timing::Timing;
use renewal::Round;

/// A leadership of this life. Holding it says nothing yet of the lease.
#[derive(Clone, Debug, Hash)]
pub struct Lead {
    /// The term that is claimed: that of the highest certificate, which names this life.
    pub term: Term,
    /// Since when this life has led without a break.
    pub since: Boot,
    /// Since when it claims this term.
    claimed: Boot,
    seq: u64,
    rounds: VecDeque<Round>,
    /// The latest t0 after which each voter gave support.
    support: BTreeMap<NodeId, Boot>,
    /// Voters that said they can promise nothing in this term any more.
    stale: BTreeSet<NodeId>,
    /// Voters that said they have promised another, or another life of this node, until then.
    bound: BTreeMap<NodeId, Boot>,
    /// When the next renewal is due.
    pub next_round: Boot,
    next_resend: Boot,
    /// Until when the lease was last said to be held.
    announced: Option<Boot>,
    /// Whether the first proof has gone to everybody: it lets them vouch for the certificate.
    proof_told: bool,
}

impl Lead {
    fn new(term: Term, now: Boot) -> Self {
        Lead {
            term,
            since: now,
            claimed: now,
            seq: 0,
            rounds: VecDeque::new(),
            support: BTreeMap::new(),
            stale: BTreeSet::new(),
            bound: BTreeMap::new(),
            next_round: now,
            next_resend: now,
            announced: None,
            proof_told: false,
        }
    }

    /// Until when the lease is held: the q-th latest support, a lease less margin later.
    pub fn until(&self, quorum: usize, timing: Timing) -> Option<Boot> {
        let mut support: Vec<Boot> = self.support.values().copied().collect();
        support.sort_unstable_by(|a, b| b.cmp(a));
        support.get(quorum.checked_sub(1)?).map(|t0| *t0 + timing.usable())
    }

    fn supported(&mut self, voter: NodeId, t0: Boot) {
        let latest = self.support.entry(voter).or_insert(t0);
        *latest = (*latest).max(t0);
    }

    /// This node's own support did not reach the disk: it counts neither for the lease nor in a proof.
    pub fn unsupported(&mut self, voter: &NodeId) {
        self.support.remove(voter);
        for round in &mut self.rounds {
            round.promises.remove(voter);
        }
    }

    /// When the newest renewal began.
    pub fn last_round(&self) -> Option<Boot> {
        self.rounds.back().map(|round| round.t0)
    }

    /// Whether enough voters can still promise in this term for its lease to be renewed or regained.
    pub fn is_renewable(&self, n: usize, quorum: usize) -> bool {
        n - self.stale.len() >= quorum
    }

    /// From when on it claims its term in vain, as long as no lease is held: at once if its lease is gone for good, and
    /// after a lease without one if a voter is. Every other honest voter within reach has promised by then, and is kept from
    /// everybody else; what is missing is a voter that says nothing.
    pub fn vain_from(&self, n: usize, quorum: usize, timing: Timing) -> Option<Boot> {
        let lost = self.until(quorum, timing).unwrap_or(self.claimed).max(self.claimed);
        match self.stale.is_empty() {
            true => None,
            false if self.is_renewable(n, quorum) => Some(lost + timing.lease),
            false => Some(lost),
        }
    }

    /// Voters whose support is younger than a lease.
    pub fn supporters(&self, timing: Timing, now: Boot) -> usize {
        self.support.values().filter(|t0| **t0 + timing.usable() > now).count()
    }

    /// How much longer an earlier promise binds this voter, by its own word: it could not call, nor sign for others.
    pub fn bound_for(&self, voter: &NodeId, now: Boot) -> Option<Duration> {
        self.bound.get(voter).filter(|until| **until > now).map(|until| until.since(now))
    }
}

impl Core {
    /// The term and end of the lease that this node holds now.
    pub(super) fn holds_lease(&self, now: Boot) -> Option<(Term, Boot)> {
        let lead = self.lead.as_ref()?;
        let until = lead.until(self.electorate.quorum(), self.timing)?;
        (until > now).then_some((lead.term, until))
    }

    /// A newer certificate counts: this node leads by it, or no longer leads.
    pub(super) fn follow_certificate(&mut self, certificate: &VerifiedCertificate, now: Now) {
        let mine = certificate.leader == self.me && certificate.leader_generation == self.generation;
        if !mine || certificate.term <= self.resigned_up_to {
            if self.lead.is_some() {
                self.stop_leading(LeaseLoss::Superseded);
                self.resign(None, now);
            }
            return;
        }
        self.owes_no_resignation();
        let mut lead = self.lead.take().unwrap_or_else(|| Lead::new(certificate.term, now.boot));
        lead.term = certificate.term;
        lead.claimed = now.boot;
        lead.rounds.clear();
        lead.stale.clear();
        lead.next_round = now.boot;
        lead.proof_told = false;
        let called =
            certificate.coordinator == self.me && certificate.coordinator_generation == self.generation;
        if let Some(t0) = self.campaign.called_at(certificate.term).filter(|_| called) {
            certificate.signers.iter().for_each(|signer| lead.supported(*signer, t0));
        }
        self.lead = Some(lead);
    }

    /// Gives up leading, and says so if the lease was held.
    pub(super) fn stop_leading(&mut self, why: LeaseLoss) {
        if let Some(lead) = self.lead.take()
            && lead.announced.is_some()
        {
            self.out.push(Action::Notice(Notice::LeaseLost { term: lead.term, why }));
        }
        self.work_may_go_on();
    }

    /// Renews when it is due, tells of the lease's state, and hands over to whom the policy prefers.
    pub(super) fn advance_lead(&mut self, now: Now) {
        let (quorum, timing) = (self.electorate.quorum(), self.timing);
        if self.may_renew(now.boot) {
            self.renew_when_due(now);
        }
        let Some(lead) = &mut self.lead else { return };
        let until = lead.until(quorum, timing).filter(|until| *until > now.boot);
        let (term, before) = (lead.term, std::mem::replace(&mut lead.announced, until));
        let notice = match (before, until) {
            (None, Some(until)) => Some(Notice::LeaseGained { term, until }),
            (Some(before), Some(until)) if until > before => Some(Notice::LeaseExtended { term, until }),
            (Some(_), None) => Some(Notice::LeaseLost { term, why: LeaseLoss::RanOut }),
            _ => None,
        };
        self.out.extend(notice.map(Action::Notice));
        self.hand_over(now);
    }

    /// The next time at which [`Core::advance_lead`] has something to do.
    pub(super) fn lead_wake(&self) -> Option<Boot> {
        let lead = self.lead.as_ref()?;
        let third = lead.announced.map(|until| until - self.timing.lease / 3);
        let future = third.filter(|third| *third > self.seen);
        let renewal = Some(lead.next_round.min(lead.next_resend)).filter(|_| self.may_renew(self.seen));
        [renewal, lead.announced, future].into_iter().flatten().min()
    }
}
