//! Statements that a Byzantine voter makes up: signed by itself, true or not.

use nitro_elect_protocol::attestation::When;
use nitro_elect_protocol::codec;
use nitro_elect_protocol::ids::{CertificateDigest, EnclaveId, Generation, NodeId, Term};
use nitro_elect_protocol::peer::{
    CallAnswer, CallForViews, PeerMessage, PreVoteAnswer, Refusal, Renew, RenewAnswer,
};
use nitro_elect_protocol::promise::Promise;
use nitro_elect_protocol::seal::{self, SealedView};
use nitro_elect_protocol::statement::{Signed, Statement, Verified, signing_input};
use nitro_elect_protocol::view::{Accepted, View};

use crate::sim::clock::{At, EPOCH};
use crate::sim::world::World;

/// The election that a view is made up for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The enclave that it names.
    pub enclave: EnclaveId,
    /// The term.
    pub term: Term,
    /// The coordinator.
    pub coordinator: NodeId,
    /// Its life.
    pub generation: Generation,
}

impl World {
    /// A view with whatever suits: any list, any claim of what was accepted.
    pub(super) fn craft_view(
        &mut self,
        adversary: usize,
        target: Target,
        document: &[u8],
    ) -> Option<SealedView> {
        let all: Vec<NodeId> = self.electorate.voters.iter().map(|voter| voter.key).collect();
        let active = self.dice.subset(&all);
        let (eligible, prefers) = (self.dice.chance(700), self.dice.chance(300));
        let preferred = prefers.then(|| *self.dice.pick(&all));
        let accepted = self.craft_accepted(target.term, &all);
        self.sign_view(adversary, target, document, |view| {
            (view.active, view.eligible, view.preferred, view.accepted) =
                (active, eligible, preferred, accepted);
        })
    }

    /// Its own view for an election, filled in at will, signed and sealed.
    pub(super) fn sign_view(
        &mut self,
        adversary: usize,
        target: Target,
        document: &[u8],
        fill: impl FnOnce(&mut View),
    ) -> Option<SealedView> {
        let machine = self.adversaries[adversary].machine;
        let mut view = View {
            cluster: self.electorate.cluster,
            electorate: self.electorate.digest(),
            enclave: target.enclave,
            term: target.term,
            coordinator: target.coordinator,
            coordinator_generation: target.generation,
            voter: self.machines[machine].id,
            voter_generation: self.machines[machine].disk.record.generation,
            active: Vec::new(),
            eligible: true,
            preferred: None,
            accepted: None,
            signed_at: EPOCH,
        };
        fill(&mut view);
        let signed = Verified::sign(view, &*self.adversaries[adversary].key).into_signed();
        self.seal_to(document, target, &codec::encode(&signed))
    }

    /// A claim of a term that was never certified, or none.
    fn craft_accepted(&mut self, below: Term, all: &[NodeId]) -> Option<Accepted> {
        let claims = self.dice.chance(500);
        let term = Term(self.dice.below(below.0));
        let certificate = CertificateDigest(self.dice.bytes32());
        claims.then(|| Accepted { term, leader: *self.dice.pick(all), certificate })
    }

    /// Seals anything, to the enclave of a document.
    pub(super) fn seal_to(&mut self, document: &[u8], target: Target, bytes: &[u8]) -> Option<SealedView> {
        let trust = &self.electorate.trust;
        let now = When::Live { now: EPOCH + self.at.since(At(0)) };
        let enclave = self.crypto().verify_enclave(document, trust, None, now).ok()?;
        let context = seal::context(&self.electorate.digest(), &enclave.id(), target.term);
        let mut randomness = <rand::rngs::StdRng as rand::SeedableRng>::from_seed(self.dice.bytes32());
        self.crypto().seal(&enclave.hpke_key(), &context, bytes, &mut randomness).ok()
    }

    /// A view for somebody's call, whatever was signed before.
    pub(super) fn craft_view_for(
        &mut self,
        adversary: usize,
        caller: usize,
        call: &CallForViews,
    ) -> Option<PeerMessage> {
        let (enclave, term, generation) = (call.enclave, call.term, call.generation);
        let target = Target { enclave, term, coordinator: self.machines[caller].id, generation };
        let sealed = self.craft_view(adversary, target, &call.document)?;
        let answer = CallAnswer { term, outcome: Ok(sealed), certificate: None };
        Some(PeerMessage::CallAnswer(Box::new(answer)))
    }

    /// Another view in place of the core's, for the call that it answers; or sealed garbage.
    pub(super) fn craft_other_view(&mut self, adversary: usize, mut answer: CallAnswer) -> PeerMessage {
        let calls = &self.adversaries[adversary].heard.calls;
        let call = calls.iter().rev().find(|call| call.term == answer.term).cloned();
        let garbage = self.dice.chance(200);
        if let Some(call) = call {
            let (enclave, term, generation) = (call.enclave, call.term, call.generation);
            // The caller's key is not in its call; whoever called is guessed, and often missed.
            let coordinator = self.dice.pick(&self.electorate.voters).key;
            let target = Target { enclave, term, coordinator, generation };
            let sealed = match garbage {
                true => self.seal_to(&call.document, target, b"no view"),
                false => self.craft_view(adversary, target, &call.document),
            };
            answer.outcome = sealed.ok_or(Refusal::NotSigning);
        }
        PeerMessage::CallAnswer(Box::new(answer))
    }

    /// A promise for somebody's renewal, whomever else was promised.
    pub(super) fn craft_promise(
        &mut self,
        adversary: usize,
        leader: usize,
        renew: &Renew,
    ) -> Option<PeerMessage> {
        let voter = self.machines[self.adversaries[adversary].machine].id;
        let bundles = &self.adversaries[adversary].heard.bundles;
        let digests = bundles.iter().filter(|bundle| {
            bundle.certificate.peek().is_ok_and(|certificate| certificate.term == renew.term)
        });
        let certificate = digests.map(|bundle| bundle.certificate.digest()).next_back()?;
        let promise = Promise {
            cluster: self.electorate.cluster,
            electorate: renew.electorate,
            term: renew.term,
            leader: self.machines[leader].id,
            generation: renew.generation,
            voter,
            seq: renew.seq,
            challenge: renew.challenge,
            certificate,
            signed_at: EPOCH,
        };
        let signed = Verified::sign(promise, &*self.adversaries[adversary].key).into_signed();
        let answer = RenewAnswer { term: renew.term, seq: renew.seq, outcome: Ok(signed), certificate: None };
        Some(PeerMessage::RenewAnswer(Box::new(answer)))
    }

    /// Yes to any pre-vote, with a term that may be far above all others.
    pub(super) fn craft_vote(&mut self, round: u64) -> PeerMessage {
        let record_term = Term(self.dice.below(1 << 53));
        let record_term = if self.dice.chance(300) { record_term } else { Term(0) };
        let eligible = self.dice.chance(500);
        let answer = PreVoteAnswer { round, refusal: None, record_term, eligible, certificate: None };
        PeerMessage::PreVoteAnswer(Box::new(answer))
    }

    /// A statement in the name of anybody, which only the adversary's own key signs.
    pub(super) fn forge<T: Statement>(&self, adversary: usize, statement: &T) -> Signed<T> {
        let bytes = codec::encode(statement);
        let signature = self.adversaries[adversary].key.sign(&signing_input(T::DOMAIN, &bytes));
        Signed::from_parts(bytes, signature)
    }
}
