//! Steps 1 and 2: the call, this node's views for its own and others' calls, and their collection.

use nitro_elect_protocol::attestation::{VerifiedEnclave, When};
use nitro_elect_protocol::ids::{EnclaveId, Generation, NodeId, Term};
use nitro_elect_protocol::peer::{CallAnswer, CallForViews, PeerMessage, Refusal};
use nitro_elect_protocol::seal::{self, SealedView};
use nitro_elect_protocol::statement::Verified;
use nitro_elect_protocol::time::{Boot, Now};
use nitro_elect_protocol::view::View;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use super::Phase;
use crate::core::durable::Support;
use crate::core::event::{Action, CallFailure, Drop, EnclaveIndex, Notice};
use crate::core::voter::Asker;
use crate::core::{Awaited, Core};

/// A call whose views come in.
#[derive(Clone, Debug)]
pub struct Collect {
    /// The term.
    pub term: Term,
    enclave: EnclaveIndex,
    call: CallForViews,
    views: BTreeMap<NodeId, SealedView>,
    refusals: BTreeMap<NodeId, Refusal>,
    closed: BTreeSet<NodeId>,
    /// A step after the call.
    deadline: Boot,
    /// Half a step past the q-th view.
    tally_at: Option<Boot>,
}

/// Without the call's own bytes: its term and enclave stand for them.
impl Hash for Collect {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.term, self.enclave, self.deadline, self.tally_at).hash(state);
        (&self.views, &self.refusals, &self.closed).hash(state);
    }
}

impl Collect {
    /// When something happens by time.
    pub fn next_deadline(&self) -> Boot {
        self.tally_at.unwrap_or(self.deadline)
    }
}

/// The call that a view is signed for.
struct Calling<'a> {
    term: Term,
    caller: NodeId,
    generation: Generation,
    enclave: &'a VerifiedEnclave,
}

impl Core {
    /// Calls an election: this node's own view is durable and signed before the call leaves.
    pub(super) fn call(&mut self, enclave: EnclaveIndex, now: Now) {
        let Some(known) = self.enclaves.ready(enclave, self.timing.step(), now).cloned() else { return };
        let term = self.next_term(now);
        let caller = self.own_asker();
        // Another's call may have had this voter's support since the pre-vote began.
        let promised = self.would_vote(self.me, self.generation, now.boot);
        let refusal = promised.or_else(|| self.voter.refuses_term(caller, term, self.believable(now)));
        if let Some(refusal) = refusal {
            self.call_failed(None, CallFailure::Self_(refusal));
            return self.wait_after_refusals(1, &BTreeMap::from([(self.me, refusal)]), now.boot);
        }
        let calling = Calling { term, caller: self.me, generation: self.generation, enclave: &known.enclave };
        let Some(own) = self.sign_view(&calling, now) else {
            return self.wait_after_refusals(1, &BTreeMap::new(), now.boot);
        };
        self.campaign.note_call(term, now.boot);
        self.persist();
        self.out.push(Action::Notice(Notice::Called { term }));
        let call = CallForViews {
            electorate: self.digest,
            term,
            enclave: known.enclave.id(),
            document: known.document,
            generation: self.generation,
            certificate: self.current_bundle(),
            resign: self.resigned_leader().map(|resign| resign.signed().clone()),
        };
        let voters: Vec<NodeId> = self.voting_peers().collect();
        for voter in voters {
            self.send(voter, PeerMessage::Call(Box::new(call.clone())));
        }
        self.campaign.phase = Phase::Collect(Box::new(Collect {
            term,
            enclave,
            call,
            views: BTreeMap::from([(self.me, own)]),
            refusals: BTreeMap::new(),
            closed: self.unconnected_voters(),
            deadline: now.boot + self.timing.step(),
            tally_at: None,
        }));
        self.advance_collect(now);
    }

    fn own_asker(&self) -> Asker {
        Asker { node: self.me, generation: self.generation, leads: self.leads(&self.me) }
    }

    /// Signs this voter's view and gives its support. The caller has asked every rule.
    fn sign_view(&mut self, calling: &Calling<'_>, now: Now) -> Option<SealedView> {
        let voters = self.electorate.voters.iter().map(|voter| voter.key);
        let view = View {
            cluster: self.electorate.cluster,
            electorate: self.digest,
            enclave: calling.enclave.id(),
            term: calling.term,
            coordinator: calling.caller,
            coordinator_generation: calling.generation,
            voter: self.me,
            voter_generation: self.generation,
            active: voters.filter(|voter| self.members.is_active(voter)).collect(),
            eligible: self.eligible(),
            preferred: self.resigned_leader().and_then(|resign| resign.successor),
            accepted: self.accepted().map(|held| held.verified.accepted()),
            signed_at: now.wall,
        };
        let signed = Verified::sign(view, &*self.key).into_signed();
        let context = seal::context(&self.digest, &calling.enclave.id(), calling.term);
        let bytes = nitro_elect_protocol::codec::encode(&signed);
        let sealed = self.crypto.seal(&calling.enclave.hpke_key(), &context, &bytes, &mut self.rng).ok()?;
        let given = Support {
            term: calling.term,
            holder: calling.caller,
            generation: calling.generation,
            electorate: self.digest,
            lease_ms: self.electorate.lease_ms,
        };
        self.voter.support(given, self.electorate.cluster, false, now.boot);
        self.voter.keep_view(calling.term, calling.caller, sealed.clone());
        Some(sealed)
    }

    /// Answers a call: with a view, with the same one again, or with the reason why not.
    pub(in crate::core) fn on_call(&mut self, from: NodeId, call: CallForViews, now: Now) {
        let term = call.term;
        let known = call.certificate.as_ref().and_then(|bundle| bundle.certificate.peek().ok());
        let known = known.map(|certificate| certificate.term).unwrap_or_default();
        let outcome = self.answer_call(from, call, now);
        let certificate = outcome.as_ref().err().and_then(|_| self.bundle_above(known));
        self.persist();
        self.send(from, PeerMessage::CallAnswer(Box::new(CallAnswer { term, outcome, certificate })));
    }

    fn answer_call(&mut self, from: NodeId, call: CallForViews, now: Now) -> Result<SealedView, Refusal> {
        if call.electorate != self.digest {
            return Err(Refusal::OtherElectorate(self.digest));
        }
        self.learn(from, call.certificate, call.resign, now);
        if let Some(sealed) = self.voter.signed_view(call.term, &from) {
            return Ok(sealed.clone());
        }
        if let Some(refusal) = self.would_vote(from, call.generation, now.boot) {
            return Err(refusal);
        }
        let caller = Asker { node: from, generation: call.generation, leads: self.leads(&from) };
        if let Some(refusal) = self.voter.refuses_term(caller, call.term, self.believable(now)) {
            return Err(refusal);
        }
        let enclave = self.check_document(from, &call.document, call.enclave, now)?;
        let calling =
            Calling { term: call.term, caller: from, generation: call.generation, enclave: &enclave };
        let sealed = self.sign_view(&calling, now).ok_or(Refusal::NotSigning)?;
        let (term, document) = (call.term, call.document);
        self.awaited =
            Some(Awaited { term, enclave: call.enclave, document, due: now.boot + self.timing.step() * 3 });
        Ok(sealed)
    }

    /// The last condition of a view: the enclave is verified, live, under the trust section in force.
    fn check_document(
        &mut self,
        from: NodeId,
        document: &[u8],
        claimed: EnclaveId,
        now: Now,
    ) -> Result<VerifiedEnclave, Refusal> {
        let known = self.enclaves.document_of(&claimed);
        let same = known.is_some_and(|known| known.document == document);
        if !same && !self.documents_seen.contains(document) {
            if !self.document_budget.spend(from, now.boot) {
                return Err(Refusal::TooManyDocuments);
            }
            self.documents_seen.insert(document);
        }
        let when = When::Live { now: now.wall };
        let verified = self.crypto.verify_enclave(document, &self.electorate.trust, Some(claimed), when);
        verified.map_err(|error| Refusal::Enclave { check: error.check().map_or(0, |check| check.number()) })
    }

    /// Takes in an answer to this node's call.
    pub(in crate::core) fn on_call_answer(&mut self, from: NodeId, answer: CallAnswer, now: Now) {
        if !self.electorate.contains(&from) {
            return self.dropped(from, Drop::Stranger);
        }
        if let Err(Refusal::StaleTerm { last }) = answer.outcome {
            self.hear_term(from, last);
        }
        if let Some(bundle) = answer.certificate {
            self.consider(from, bundle, now);
        }
        let Phase::Collect(phase) = &mut self.campaign.phase else { return };
        if phase.term != answer.term {
            return;
        }
        match answer.outcome {
            Ok(view) => phase.views.insert(from, view).map_or((), drop),
            Err(refusal) => phase.refusals.insert(from, refusal).map_or((), drop),
        }
    }

    pub(in crate::core) fn call_sees_closed(&mut self, peer: NodeId) {
        if let Phase::Collect(phase) = &mut self.campaign.phase {
            phase.closed.insert(peer);
        }
    }

    /// A voter can be reached again: it is asked again, and answers with the same bytes if it had signed.
    pub(in crate::core) fn call_sees_up(&mut self, peer: NodeId) {
        let Phase::Collect(phase) = &mut self.campaign.phase else { return };
        if phase.views.contains_key(&peer) || phase.call.electorate != self.digest {
            return;
        }
        phase.closed.remove(&peer);
        let call = phase.call.clone();
        if self.electorate.contains(&peer) {
            self.send(peer, PeerMessage::Call(Box::new(call)));
        }
    }

    /// Goes to the tally when every view that can be expected is there, or it has taken too long.
    pub(super) fn advance_collect(&mut self, now: Now) {
        let quorum = self.electorate.quorum();
        let half = self.timing.step() / 2;
        let Phase::Collect(phase) = &mut self.campaign.phase else { return };
        let lost: BTreeSet<&NodeId> = phase.refusals.keys().chain(&phase.closed).collect();
        let lost = lost.into_iter().filter(|node| !phase.views.contains_key(*node)).count();
        let (views, term) = (phase.views.len(), phase.term);
        if views >= quorum {
            let tally_at = *phase.tally_at.get_or_insert(now.boot + half);
            if now.boot >= tally_at || !self.expects_more_views() {
                self.start_tally(now);
            }
        } else if lost > self.electorate.n() - quorum || now.boot >= phase.deadline {
            let Phase::Collect(phase) = std::mem::take(&mut self.campaign.phase) else { return };
            let refusals: Vec<_> = phase.refusals.iter().map(|(node, refusal)| (*node, *refusal)).collect();
            self.give_up(term, CallFailure::Views { views, needed: quorum, refusals }, now);
            self.wait_after_refusals(quorum - views, &phase.refusals, now.boot);
        }
    }

    /// Whether a voter that has not answered still might: it is active, connected as far as known, and has not
    /// resigned in its present life.
    fn expects_more_views(&self) -> bool {
        let Phase::Collect(phase) = &self.campaign.phase else { return false };
        self.electorate.voters.iter().map(|voter| &voter.key).any(|voter| {
            let answered = phase.views.contains_key(voter) || phase.refusals.contains_key(voter);
            let gone = phase.closed.contains(voter) || !self.members.is_active(voter) || self.has_left(voter);
            !answered && !gone
        })
    }

    /// Whether a voter's present life is covered by a remembered `Resign`.
    fn has_left(&self, voter: &NodeId) -> bool {
        let resign = self.voter.resigns.of(voter);
        let heartbeat = self.members.get(voter).and_then(|member| member.newest.as_ref());
        resign
            .zip(heartbeat)
            .is_some_and(|(resign, (heartbeat, _))| resign.generation >= heartbeat.generation)
    }

    /// Moves to the tally with what was collected.
    fn start_tally(&mut self, now: Now) {
        let Phase::Collect(phase) = std::mem::take(&mut self.campaign.phase) else { return };
        let views = phase.views.into_values().collect();
        self.tally(phase.term, phase.enclave, phase.call, views, now);
    }
}
