//! Step 0: would a call have a chance? (DESIGN §3.2.) A hopeless call destroys what it cannot replace: it moves
//! voters above the old leader's term.

use nitro_elect_protocol::enclave_api::Request;
use nitro_elect_protocol::ids::{Generation, NodeId};
use nitro_elect_protocol::peer::{PeerMessage, PreVote, PreVoteAnswer, Refusal};
use nitro_elect_protocol::time::{Boot, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use super::Phase;
use crate::core::Core;
use crate::core::enclaves::Purpose;
use crate::core::event::{CallFailure, Drop, EnclaveIndex};
use crate::core::voter::Asker;

/// A pre-vote under way.
#[derive(Clone, Debug)]
pub struct PreVoting {
    /// Names it.
    round: u64,
    /// When it ends, come what may.
    pub deadline: Boot,
    enclave: EnclaveIndex,
    /// Enclaves that were tried in vain before this one.
    tried: usize,
    /// Who would vote, and whether it would lead.
    yes: BTreeMap<NodeId, bool>,
    refusals: BTreeMap<NodeId, Refusal>,
    closed: BTreeSet<NodeId>,
    /// A leader under its live lease needs the enclave's answer alone.
    under_lease: bool,
}

/// Without its number.
impl Hash for PreVoting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.deadline, self.enclave, self.tried, self.under_lease).hash(state);
        (&self.yes, &self.refusals, &self.closed).hash(state);
    }
}

impl Core {
    /// Asks all voters and an enclave.
    pub(super) fn start_prevote(&mut self, now: Now) {
        self.start_prevote_after(0, now);
    }

    fn start_prevote_after(&mut self, tried: usize, now: Now) {
        let under_lease = self.holds_lease(now.boot).is_some();
        self.campaign.round += 1;
        self.campaign.lacked_connections = false;
        self.campaign.freed = false;
        let (round, enclave) = (self.campaign.round, self.chosen_enclave());
        let mut phase = PreVoting {
            round,
            deadline: now.boot + self.timing.step(),
            enclave,
            tried,
            yes: BTreeMap::new(),
            refusals: BTreeMap::new(),
            closed: self.unconnected_voters(),
            under_lease,
        };
        match self.would_vote(self.me, self.generation, now.boot) {
            Some(refusal) => phase.refusals.insert(self.me, refusal).map_or((), drop),
            None => phase.yes.insert(self.me, self.eligible()).map_or((), drop),
        }
        if phase.refusals.contains_key(&self.me) {
            let refusals = phase.refusals;
            return self.wait_after_refusals(1, &refusals, now.boot);
        }
        self.campaign.phase = Phase::PreVote(phase);
        self.ask(enclave, Purpose::Health, Request::Health);
        if !under_lease {
            self.ask_prevotes(round);
        }
        self.advance_prevote(now);
    }

    fn ask_prevotes(&mut self, round: u64) {
        let message = self.prevote(round);
        let voters: Vec<NodeId> = self.voting_peers().collect();
        for voter in voters {
            self.send(voter, PeerMessage::PreVote(Box::new(message.clone())));
        }
    }

    fn prevote(&self, round: u64) -> PreVote {
        PreVote {
            electorate: self.digest,
            generation: self.generation,
            round,
            certificate: self.current_bundle(),
            resign: self.resigned_leader().map(|resign| resign.signed().clone()),
        }
    }

    /// Whether this voter would sign a believable term for this caller now.
    pub(in crate::core) fn would_vote(
        &self,
        caller: NodeId,
        generation: Generation,
        now: Boot,
    ) -> Option<Refusal> {
        if !self.is_voter() || !self.electorate.contains(&caller) {
            return Some(Refusal::NotAVoter);
        }
        self.voter.refuses_view(Asker { node: caller, generation, leads: self.leads(&caller) }, now)
    }

    /// Whether a node leads the highest certificate, in any life, and has not resigned from it: else it could keep
    /// voters that took its calls from everybody else, for as long as it likes.
    pub(super) fn leads(&self, node: &NodeId) -> bool {
        self.accepted().is_some_and(|held| held.verified.leader == *node) && self.resigned_leader().is_none()
    }

    /// Answers a pre-vote. It binds nobody.
    pub(in crate::core) fn on_prevote(&mut self, from: NodeId, message: PreVote, now: Now) {
        let refusal = if message.electorate == self.digest {
            self.learn(from, message.certificate.clone(), message.resign, now);
            self.would_vote(from, message.generation, now.boot)
        } else {
            Some(Refusal::OtherElectorate(self.digest))
        };
        let known = message.certificate.and_then(|bundle| bundle.certificate.peek().ok());
        let known = known.map(|certificate| certificate.term).unwrap_or_default();
        let answer = PreVoteAnswer {
            round: message.round,
            refusal,
            record_term: self.voter.term(),
            eligible: self.eligible(),
            certificate: self.bundle_above(known),
        };
        self.send(from, PeerMessage::PreVoteAnswer(Box::new(answer)));
    }

    /// Takes in an answer to the pre-vote under way.
    pub(in crate::core) fn on_prevote_answer(&mut self, from: NodeId, answer: PreVoteAnswer, now: Now) {
        if !self.electorate.contains(&from) {
            return self.dropped(from, Drop::Stranger);
        }
        if let Some(bundle) = answer.certificate {
            self.consider(from, bundle, now);
        }
        self.hear_term(from, answer.record_term);
        self.recover_from(from, answer.record_term);
        let Phase::PreVote(phase) = &mut self.campaign.phase else { return };
        if phase.round != answer.round {
            return;
        }
        match answer.refusal {
            None => phase.yes.insert(from, answer.eligible).map_or((), drop),
            Some(refusal) => phase.refusals.insert(from, refusal).map_or((), drop),
        }
    }

    pub(in crate::core) fn prevote_sees_closed(&mut self, peer: NodeId) {
        if let Phase::PreVote(phase) = &mut self.campaign.phase {
            phase.closed.insert(peer);
        }
    }

    /// A voter can be reached again: it is asked, too.
    pub(in crate::core) fn prevote_sees_up(&mut self, peer: NodeId) {
        let Phase::PreVote(phase) = &mut self.campaign.phase else { return };
        let asked = !phase.under_lease && phase.closed.remove(&peer);
        let round = phase.round;
        if asked {
            let message = self.prevote(round);
            self.send(peer, PeerMessage::PreVote(Box::new(message)));
        }
    }

    /// Goes on, waits, turns to another enclave, or gives up.
    pub(super) fn advance_prevote(&mut self, now: Now) {
        let quorum = self.electorate.quorum();
        let Phase::PreVote(phase) = &self.campaign.phase else { return };
        let enough = phase.under_lease || phase.yes.len() >= quorum;
        let late = now.boot >= phase.deadline;
        let (enclave, tried) = (phase.enclave, phase.tried);
        if enough && self.enclaves.ready(enclave, self.timing.step(), now).is_some() {
            return self.end_prevote(now);
        }
        let silent = self.electorate.voters.iter().filter(|voter| {
            let key = &voter.key;
            !phase.yes.contains_key(key) && !phase.refusals.contains_key(key) && !phase.closed.contains(key)
        });
        let hopeless = !phase.under_lease && phase.yes.len() + silent.count() < quorum;
        if hopeless || (late && !enough) {
            self.too_few_prevotes(now);
        } else if late {
            self.try_another_enclave(tried + 1, now);
        }
    }

    fn end_prevote(&mut self, now: Now) {
        let Phase::PreVote(phase) = std::mem::take(&mut self.campaign.phase) else { return };
        let somebody = phase.under_lease || phase.yes.values().any(|eligible| *eligible);
        if somebody {
            self.call(phase.enclave, now);
        } else {
            self.call_failed(None, CallFailure::NobodyEligible);
            self.wait_after_refusals(1, &phase.refusals, now.boot);
        }
    }

    fn too_few_prevotes(&mut self, now: Now) {
        let Phase::PreVote(phase) = std::mem::take(&mut self.campaign.phase) else { return };
        let (yes, needed) = (phase.yes.len(), self.electorate.quorum());
        self.wait_after_refusals(needed - yes, &phase.refusals, now.boot);
        self.campaign.lacked_connections = phase.closed.len() > self.electorate.n() - needed;
        let refusals = phase.refusals.into_iter().collect();
        self.call_failed(None, CallFailure::PreVote { yes, needed, refusals });
    }

    fn try_another_enclave(&mut self, tried: usize, now: Now) {
        self.campaign.phase = Phase::Idle;
        self.turn_enclave();
        if tried < self.enclaves.slots().len() {
            return self.start_prevote_after(tried, now);
        }
        self.call_failed(None, CallFailure::NoEnclave);
        self.wait_after_refusals(1, &BTreeMap::new(), now.boot);
    }
}
