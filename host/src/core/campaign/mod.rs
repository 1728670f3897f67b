//! Who calls an election, and when (DESIGN §3.5): the state of a voter that wants one, and its waits.
//!
//! The phases follow DESIGN §3.2: pre-vote ([`prevote`]), call and collection of views ([`call`]), tally
//! ([`tally`]). A voter is in one phase of one election at a time.

mod call;
mod prevote;
mod tally;

use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::peer::Refusal;
use nitro_elect_protocol::time::{Boot, Now};
use rand::Rng;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::Core;
use super::event::{Action, CallFailure, EnclaveIndex, Notice};
use call::Collect;
use prevote::PreVoting;
use tally::Tallying;

/// Own calls remembered: their t0 counts if a certificate of theirs surfaces.
const CALLS_KEPT: usize = 16;

/// Where an election of this node's stands.
#[derive(Clone, Debug, Default, Hash)]
pub enum Phase {
    /// None is under way.
    #[default]
    Idle,
    /// Asking whether a call has a chance.
    PreVote(PreVoting),
    /// Collecting views.
    Collect(Box<Collect>),
    /// The enclave counts.
    Tally(Tallying),
}

/// A voter's wish to have a leader.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// Where it stands.
    pub phase: Phase,
    /// Not before this: what refusals told to wait out.
    pub not_before: Boot,
    /// Since when no lease is known; none while one is.
    pub leaderless_since: Option<Boot>,
    /// Whether the last pre-vote came to nothing because too few voters were connected.
    lacked_connections: bool,
    /// Whether somebody that others had promised freed them since the last pre-vote began.
    freed: bool,
    /// Jitter of the next call, in 65536ths of its largest value.
    jitter: u16,
    /// Terms that voters told, believable or not yet.
    told: BTreeMap<NodeId, Term>,
    /// The enclave that is asked next.
    turn: usize,
    /// Pre-votes so far.
    round: u64,
    /// When this life called which term.
    calls: BTreeMap<Term, Boot>,
    /// The highest term this life called.
    pub highest_called: Term,
    /// The last election that came to nothing, since the newest certificate: for people.
    pub last_failure: Option<(Boot, CallFailure)>,
}

/// Without the number of pre-votes, which tells answers apart alone, and without what is told to people.
impl Hash for Campaign {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.phase, self.not_before, self.leaderless_since, self.jitter).hash(state);
        (&self.told, self.turn, &self.calls, self.highest_called, self.freed).hash(state);
    }
}

impl Campaign {
    /// When this very life called this term.
    pub fn called_at(&self, term: Term) -> Option<Boot> {
        self.calls.get(&term).copied()
    }

    fn note_call(&mut self, term: Term, t0: Boot) {
        self.highest_called = self.highest_called.max(term);
        self.calls.insert(term, t0);
        while self.calls.len() > CALLS_KEPT {
            self.calls.pop_first();
        }
    }

    /// The next thing that happens by time in an election under way.
    fn deadline(&self) -> Option<Boot> {
        match &self.phase {
            Phase::Idle => None,
            Phase::PreVote(phase) => Some(phase.deadline),
            Phase::Collect(phase) => Some(phase.next_deadline()),
            Phase::Tally(phase) => Some(phase.deadline),
        }
    }
}

impl Core {
    /// Looks at the time: calls when it is due, and ends phases that took too long.
    pub(super) fn advance_campaign(&mut self, now: Now) {
        self.note_leaderless(now.boot);
        match &self.campaign.phase {
            Phase::Idle => {
                if self.call_due(now.boot).is_some_and(|due| due <= now.boot) {
                    self.start_prevote(now);
                }
            }
            Phase::PreVote(_) => self.advance_prevote(now),
            Phase::Collect(_) => self.advance_collect(now),
            Phase::Tally(_) => self.advance_tally(now),
        }
    }

    /// The next time at which [`Core::advance_campaign`] has something to do.
    pub(super) fn campaign_wake(&self, now: Boot) -> Option<Boot> {
        let lease_end = Some(self.lease_known_until(now)).filter(|end| *end > now);
        let due = match self.campaign.phase {
            Phase::Idle => self.call_due(now),
            _ => self.campaign.deadline(),
        };
        [lease_end, due].into_iter().flatten().min()
    }

    /// Notes when a lease that was known has ended, and draws the jitter of the call that may follow.
    fn note_leaderless(&mut self, now: Boot) {
        let end = self.lease_known_until(now);
        if end > now {
            self.campaign.leaderless_since = None;
        } else if self.campaign.leaderless_since.is_none() {
            self.campaign.leaderless_since = Some(now);
            self.campaign.jitter = self.rng.next_u32() as u16;
        }
    }

    /// How long no lease has been known here.
    pub(super) fn leaderless_for(&self, now: Boot) -> Duration {
        self.campaign.leaderless_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// When this node is to call, as things stand; never, for one that does not vote.
    fn call_due(&self, now: Boot) -> Option<Boot> {
        let may_call = self.is_voter() && !self.voter.has_lost_votes() && self.may_call_over_list(now);
        if !may_call || self.work.forbids_calls() {
            return None;
        }
        let due = if self.holds_lease(now).is_some() {
            self.wants_election_under_lease(now).then_some(now)?
        } else if self.leads_from_an_earlier_life() {
            now
        } else {
            let leaderless = self.campaign.leaderless_since.map(|since| since + self.rank_delay());
            self.leads_in_vain_from().into_iter().chain(leaderless).min()?
        };
        Some(due.max(self.campaign.not_before))
    }

    /// Whether a leader is to call under its live lease: little of it is left, or too few can renew it.
    fn wants_election_under_lease(&self, now: Boot) -> bool {
        let Some((lead, (_, until))) = self.lead.as_ref().zip(self.holds_lease(now)) else { return false };
        let renewable = lead.is_renewable(self.electorate.n(), self.electorate.quorum());
        until.since(now) < self.timing.lease / 3 || !renewable
    }

    /// From when on this node, without a lease, leads in vain: then it calls, and lets the promises of those that still
    /// support it run out, or they would be kept from everybody else for ever.
    fn leads_in_vain_from(&self) -> Option<Boot> {
        let (n, quorum) = (self.electorate.n(), self.electorate.quorum());
        self.lead.as_ref()?.vain_from(n, quorum, self.timing)
    }

    /// Whether the highest certificate names this node in an earlier life: its voters' promises are to it.
    fn leads_from_an_earlier_life(&self) -> bool {
        self.accepted().is_some_and(|held| {
            held.verified.leader == self.me
                && held.verified.leader_generation < self.generation
                && self.resigned_leader().is_none()
        })
    }

    /// Rank × step, and the jitter: none for rank 0 after a `Resign`.
    fn rank_delay(&self) -> Duration {
        let rank = self.rank();
        let jitter = if rank == 0 && self.resigned_leader().is_some() {
            Duration::ZERO
        } else {
            self.timing.step() / 2 * u32::from(self.campaign.jitter) / 65_536
        };
        self.timing.step() * rank + jitter
    }

    /// This node's place in the succession: a named successor first, the leader that resigned last.
    pub(super) fn rank(&self) -> u32 {
        let active: Vec<_> =
            self.electorate.voters.iter().filter(|voter| self.members.is_active(&voter.key)).collect();
        let mut order = self.electorate.policy.succession(&active, self.certificates.highest_term());
        if let Some(resign) = self.resigned_leader() {
            let (leader, successor) = (resign.node, resign.successor);
            if let Some(place) = order.iter().position(|node| *node == leader) {
                let last = order.remove(place);
                order.push(last);
            }
            if let Some(place) = order.iter().position(|node| Some(*node) == successor) {
                let first = order.remove(place);
                order.insert(0, first);
            }
        }
        let place = order.iter().position(|node| *node == self.me).unwrap_or(order.len());
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// Waits before the next try: the (missing)-th shortest of the times told, rank × step / 2, and jitter.
    ///
    /// `own` is this node's own refusal to itself, which no other vote replaces.
    fn wait_after_refusals(&mut self, missing: usize, refusals: &BTreeMap<NodeId, Refusal>, now: Boot) {
        let longest = self.timing.lease * 8;
        let span = |refusal: &Refusal| told_span(refusal).map(|span| span.min(longest));
        let mut spans: Vec<Duration> = refusals.values().filter_map(span).collect();
        spans.sort_unstable();
        let told = missing.checked_sub(1).and_then(|index| spans.get(index)).copied();
        let own = refusals.get(&self.me).and_then(span);
        let wait = match self.campaign.freed {
            true => Duration::ZERO,
            false => told.unwrap_or(self.timing.step()).max(own.unwrap_or_default()),
        };
        self.campaign.not_before = now + wait + self.pause();
    }

    /// Rank × step / 2, and a jitter of up to a step: what parts those that would try again at the same time.
    fn pause(&mut self) -> Duration {
        let jitter = self.timing.step() * u32::from(self.rng.next_u32() as u16) / 65_536;
        self.timing.step() / 2 * self.rank() + jitter
    }

    /// Another voter freed whoever supports it in a term above the newest certificate's: what was told of such promises
    /// counts no more. Once a pre-vote, or a voter that resigns for ever would take all jitter away.
    pub(super) fn campaign_sees_freed(&mut self, up_to: Term, now: Boot) {
        if up_to > self.certificates.highest_term() && !std::mem::replace(&mut self.campaign.freed, true) {
            self.campaign.not_before = self.campaign.not_before.min(now + self.pause());
        }
    }

    /// A voter can be reached again: a pre-vote that only lacked connections is held anew once there are enough.
    pub(super) fn campaign_sees_up(&mut self) {
        let enough = self.unconnected_voters().len() <= self.electorate.n() - self.electorate.quorum();
        if self.campaign.lacked_connections && enough {
            self.campaign.lacked_connections = false;
            self.forget_waits();
        }
    }

    /// A `Resign` ended the lease: nothing that was told before counts any more.
    pub(super) fn forget_waits(&mut self) {
        self.campaign.not_before = Boot(0);
    }

    /// Keeps the term of a voter's record; one beyond belief is tried again when the bound has reached it.
    fn hear_term(&mut self, voter: NodeId, term: Term) {
        self.campaign.told.insert(voter, term);
    }

    /// A term above this node's record, its highest certificate and every believable term it was told of.
    fn next_term(&self, now: Now) -> Term {
        let believable = self.believable(now);
        let told = self.campaign.told.values().copied().filter(|term| *term < believable).max();
        let known = self.voter.term().max(self.certificates.highest_term());
        known.max(told.unwrap_or_default()).next()
    }

    /// A voter said what it supported last.
    pub(super) fn campaign_hears_term(&mut self, voter: NodeId, term: Term) {
        self.hear_term(voter, term);
    }

    /// This node's own view did not reach the disk: its call has not left.
    pub(super) fn campaign_not_persisted(&mut self, now: Now) {
        if matches!(self.campaign.phase, Phase::Collect(_)) {
            self.campaign.phase = Phase::Idle;
            self.campaign.not_before = now.boot + self.timing.lease;
        }
    }

    fn call_failed(&mut self, term: Option<Term>, why: CallFailure) {
        self.campaign.last_failure = Some((self.seen, why.clone()));
        self.out.push(Action::Notice(Notice::CallFailed { term, why }));
    }

    /// Turns to the next enclave.
    fn turn_enclave(&mut self) {
        self.campaign.turn = self.campaign.turn.wrapping_add(1);
    }

    fn chosen_enclave(&self) -> EnclaveIndex {
        EnclaveIndex(self.campaign.turn % self.enclaves.slots().len().max(1))
    }

    /// A new certificate counts: an election under way for its term or a lower one is over.
    pub(super) fn campaign_sees_certificate(&mut self, certificate: &VerifiedCertificate, now: Now) {
        self.campaign.told.retain(|_, term| *term > certificate.term);
        self.campaign.last_failure = None;
        let called = match &self.campaign.phase {
            Phase::Idle => return,
            Phase::PreVote(_) => None,
            Phase::Collect(phase) => Some(phase.term),
            Phase::Tally(phase) => Some(phase.term),
        };
        if called.is_some_and(|term| term > certificate.term) {
            return;
        }
        self.campaign.phase = Phase::Idle;
        let own = certificate.coordinator == self.me && certificate.coordinator_generation == self.generation;
        if let Some(term) = called.filter(|term| !own || *term != certificate.term) {
            self.call_failed(Some(term), CallFailure::Overtaken);
            self.resign_after_call(now);
        }
    }

    /// Ends an election that came to nothing: frees its voters, unless a lease is held that is worth more.
    fn give_up(&mut self, term: Term, why: CallFailure, now: Now) {
        self.campaign.phase = Phase::Idle;
        self.call_failed(Some(term), why);
        self.resign_after_call(now);
    }

    fn resign_after_call(&mut self, now: Now) {
        if self.holds_lease(now.boot).is_none() {
            self.resign(None, now);
        }
    }
}

/// How long a refusal says to wait.
fn told_span(refusal: &Refusal) -> Option<Duration> {
    match refusal {
        Refusal::Promised { ms } | Refusal::BackOff { ms } => Some(Duration::from_millis(*ms)),
        _ => None,
    }
}
