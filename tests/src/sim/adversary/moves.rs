//! What a Byzantine voter does unasked.

use nitro_elect_protocol::enclave_api::{Elect, Request, Response};
use nitro_elect_protocol::ids::{Generation, NodeId, Term};
use nitro_elect_protocol::peer::{CallForViews, Delta, PeerMessage, RenewAnswer};
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_protocol::statement::{Signed, Verified};

use super::craft::Target;
use crate::sim::clock::{At, EPOCH};
use crate::sim::fault::Fault;
use crate::sim::world::World;

impl World {
    /// One move, at random.
    pub(super) fn strike_out(&mut self, adversary: usize) {
        match self.dice.below(12) {
            0 => self.call_everybody(adversary),
            1 => self.call_one_and_resign(adversary),
            2..5 => self.elect_behind_their_backs(adversary),
            5 => self.elect_under_own_rules(adversary),
            6 => self.resign(adversary, None),
            7 => self.repeat_something(adversary),
            8 => self.repeat_heartbeats(adversary),
            9 if self.dice.chance(300) => self.forge_certificate(adversary),
            9 => self.forge_something(adversary),
            10 if self.dice.chance(500) => self.repeat_resign(adversary),
            10 => self.repeat_promise(adversary),
            _ => self.publish(adversary),
        }
    }

    fn own(&self, adversary: usize) -> (usize, NodeId, Generation) {
        let machine = self.adversaries[adversary].machine;
        (machine, self.machines[machine].id, self.machines[machine].disk.record.generation)
    }

    pub(super) fn tell(&mut self, adversary: usize, to: usize, message: PeerMessage) {
        let from = self.adversaries[adversary].machine;
        if from != to {
            self.send(from, to, message);
        }
    }

    pub(super) fn tell_some(&mut self, adversary: usize, message: &PeerMessage) {
        for to in 0..self.machines.len() {
            if self.dice.chance(600) {
                self.tell(adversary, to, message.clone());
            }
        }
    }

    fn anybody(&mut self) -> usize {
        self.dice.below(self.machines.len() as u64) as usize
    }

    /// The attestation document of an enclave that runs.
    fn document_of(&mut self, host: usize) -> Option<Vec<u8>> {
        match self.enclave_answers(host, Request::Attest { nonce: None })? {
            Response::Attestation { document } => Some(document),
            _ => None,
        }
    }

    /// A term that may be believed, or one far above.
    fn pick_term(&mut self, adversary: usize) -> Term {
        let heard = self.adversaries[adversary].heard.term.0;
        let clock = EPOCH.0 + self.at.0 / 1_000_000;
        match self.dice.below(8) {
            0 => Term(self.dice.below(1 << 53)),
            1 => Term(clock + self.dice.below(2048)),
            2 => Term(heard + self.dice.below(1024)),
            3 => Term(heard),
            _ => Term(heard + 1),
        }
    }

    pub(super) fn a_call(&mut self, adversary: usize, term: Term, host: usize) -> Option<CallForViews> {
        let document = self.document_of(host)?;
        let trust = &self.electorate.trust;
        let when = nitro_elect_protocol::attestation::When::Live { now: EPOCH + self.at.since(At(0)) };
        let enclave = self.crypto().verify_enclave(&document, trust, None, when).ok()?.id();
        let (_, _, own) = self.own(adversary);
        let generation = if self.dice.chance(900) { own } else { Generation(self.dice.below(own.0 + 2)) };
        let call = CallForViews {
            electorate: self.electorate.digest(),
            term,
            enclave,
            document,
            generation,
            certificate: self.adversaries[adversary].heard.bundles.back().cloned(),
            resign: None,
        };
        self.adversaries[adversary].heard.take_call(call.clone());
        Some(call)
    }

    /// Calls one term, with one enclave for these voters and another for those.
    fn call_everybody(&mut self, adversary: usize) {
        self.tally.count(Fault::ForkedCall);
        let term = self.pick_term(adversary);
        let hosts = self.hosts.len() as u64;
        let (one, other) = (self.dice.below(hosts) as usize, self.dice.below(hosts) as usize);
        let calls = [self.a_call(adversary, term, one), self.a_call(adversary, term, other)];
        for to in 0..self.machines.len() {
            if let Some(call) = self.dice.pick(&calls).clone() {
                self.tell(adversary, to, PeerMessage::Call(Box::new(call)));
            }
        }
    }

    /// Drives one voter's term up, and frees it at once for the next time.
    fn call_one_and_resign(&mut self, adversary: usize) {
        self.tally.count(Fault::SpamCall);
        let term = self.pick_term(adversary);
        let host = self.dice.below(self.hosts.len() as u64) as usize;
        let (to, Some(call)) = (self.anybody(), self.a_call(adversary, term, host)) else { return };
        self.tell(adversary, to, PeerMessage::Call(Box::new(call)));
        self.resign(adversary, Some(to));
    }

    /// Resigns, truly or not, to one voter or to some.
    fn resign(&mut self, adversary: usize, to: Option<usize>) {
        let up_to_term = self.pick_term(adversary);
        self.resign_up_to(adversary, up_to_term, to);
    }

    /// Resigns from all it ever called.
    pub(super) fn resign_from_all(&mut self, adversary: usize, to: Option<usize>) {
        let up_to_term = self.adversaries[adversary].heard.term;
        self.resign_up_to(adversary, up_to_term, to);
    }

    fn resign_up_to(&mut self, adversary: usize, up_to_term: Term, to: Option<usize>) {
        self.tally.count(Fault::FalseResign);
        let (_, node, generation) = self.own(adversary);
        let all: Vec<NodeId> = self.electorate.voters.iter().map(|voter| voter.key).collect();
        let successor = self.dice.chance(300).then(|| *self.dice.pick(&all));
        let resign = Resign { cluster: self.electorate.cluster, node, generation, up_to_term, successor };
        let signed = Verified::sign(resign, &*self.adversaries[adversary].key).into_signed();
        let message = PeerMessage::Resign(signed);
        match to {
            Some(to) => self.tell(adversary, to, message),
            None => self.tell_some(adversary, &message),
        }
    }

    /// Has enclaves count views that it collected, late, in part, with some of its own, as many times as it likes.
    fn elect_behind_their_backs(&mut self, adversary: usize) {
        let heard = &self.adversaries[adversary].heard;
        let calls: Vec<CallForViews> = heard.calls.iter().cloned().collect();
        if calls.is_empty() {
            return;
        }
        let call = self.dice.pick(&calls).clone();
        let (_, coordinator, generation) = self.own(adversary);
        let (term, enclave) = (call.term, call.enclave);
        let views = &self.adversaries[adversary].heard.views;
        let of_term = views.iter().filter(|(of, _)| *of == term).map(|(_, sealed)| sealed.clone());
        let mut views: Vec<SealedView> = of_term.collect();
        if self.dice.chance(300) {
            views = self.dice.subset(&views);
        }
        let target = Target { enclave, term, coordinator, generation: call.generation };
        for _ in 0..self.dice.below(3) {
            views.extend(self.craft_view(adversary, target, &call.document));
        }
        if self.dice.chance(100) {
            views.extend(self.seal_to(&call.document, target, b"no view"));
        }
        let generation = if self.dice.chance(900) { call.generation } else { generation };
        let elect = Elect { electorate: self.electorate.clone(), term, coordinator, generation, views };
        let elect = self.disguise(elect);
        for host in 0..self.hosts.len() {
            self.ask_directly(adversary, host, elect.clone());
        }
    }

    /// Elects itself under an electorate of one, or with a lower quorum, of the same cluster.
    fn elect_under_own_rules(&mut self, adversary: usize) {
        let host = self.dice.below(self.hosts.len() as u64) as usize;
        let term = self.pick_term(adversary);
        let Some(call) = self.a_call(adversary, term, host) else { return };
        let (_, coordinator, generation) = self.own(adversary);
        let mut electorate = self.electorate.clone();
        electorate.f = 0;
        if self.dice.chance(500) {
            electorate.voters.retain(|voter| voter.key == coordinator);
        }
        let target = Target { enclave: call.enclave, term, coordinator, generation };
        let mut views: Vec<SealedView> =
            self.craft_view(adversary, target, &call.document).into_iter().collect();
        let heard = &self.adversaries[adversary].heard.views;
        views.extend(heard.iter().map(|(_, sealed)| sealed.clone()));
        self.ask_directly(adversary, host, Elect { electorate, term, coordinator, generation, views });
    }

    pub(super) fn ask_directly(&mut self, adversary: usize, host: usize, elect: Elect) {
        self.tally.count(Fault::PrivateTally);
        let answer = self.enclave_answers(host, Request::Elect(Box::new(elect)));
        let Some(Response::Elected { certificate, .. }) = answer else { return };
        if let Some(document) = self.document_of(host) {
            let bundle = Bundle { certificate, document, promises: Vec::new() };
            self.adversaries[adversary].heard.take_bundle(bundle);
            if self.dice.chance(500) {
                self.publish(adversary);
            }
        }
    }

    /// Sends some others a certificate that it has: now, late, or again.
    fn publish(&mut self, adversary: usize) {
        let bundles: Vec<Bundle> = self.adversaries[adversary].heard.bundles.iter().cloned().collect();
        if bundles.is_empty() {
            return;
        }
        self.tally.count(Fault::Replay);
        let newest = self.dice.chance(500);
        let bundle = bundles.last().filter(|_| newest).unwrap_or(self.dice.pick(&bundles)).clone();
        self.tell_some(adversary, &PeerMessage::Certificate(Box::new(bundle)));
    }

    /// Sends some message of somebody else as its own.
    fn repeat_something(&mut self, adversary: usize) {
        let messages = &self.adversaries[adversary].heard.messages;
        let Some(at) = (messages.len() as u64).checked_sub(1) else { return };
        let message = messages[self.dice.between(0, at) as usize].clone();
        self.tally.count(Fault::Replay);
        self.tell_some(adversary, &message);
    }

    /// Drips out old heartbeats of others.
    fn repeat_heartbeats(&mut self, adversary: usize) {
        self.tally.count(Fault::Replay);
        let heartbeats: Vec<_> = self.adversaries[adversary].heard.heartbeats.iter().cloned().collect();
        let heartbeats = self.dice.subset(&heartbeats);
        self.tell_some(adversary, &PeerMessage::Delta(Delta { heartbeats, wanted: Vec::new() }));
    }

    /// Hands somebody a promise that was another's, for another renewal or another leader.
    fn repeat_promise(&mut self, adversary: usize) {
        let promises: Vec<_> = self.adversaries[adversary].heard.promises.iter().cloned().collect();
        let to = self.anybody();
        let Some(promise) = (!promises.is_empty()).then(|| self.dice.pick(&promises).clone()) else { return };
        let Ok(read) = promise.peek() else { return };
        self.tally.count(Fault::Replay);
        let answer = RenewAnswer { term: read.term, seq: read.seq, outcome: Ok(promise), certificate: None };
        self.tell(adversary, to, PeerMessage::RenewAnswer(Box::new(answer)));
    }

    /// Sends somebody else's resignation again, to some.
    fn repeat_resign(&mut self, adversary: usize) {
        let messages = self.adversaries[adversary].heard.messages.iter();
        let resigns = messages.filter(|message| matches!(message, PeerMessage::Resign(_)));
        let resigns: Vec<PeerMessage> = resigns.cloned().collect();
        if !resigns.is_empty() {
            self.tally.count(Fault::Replay);
            let resign = self.dice.pick(&resigns).clone();
            self.tell_some(adversary, &resign);
        }
    }

    /// Makes up a statement of somebody else: a heartbeat of a later life, a promise, a resignation.
    fn forge_something(&mut self, adversary: usize) {
        self.tally.count(Fault::Forgery);
        let node = self.machines[self.dice.below(self.machines.len() as u64) as usize].id;
        let message = match self.dice.below(3) {
            0 => self.forged_heartbeat(adversary, node),
            1 => self.forged_promise(adversary, node),
            _ => {
                let (cluster, generation) = (self.electorate.cluster, Generation(self.dice.below(5)));
                let up_to_term = self.pick_term(adversary);
                let resign = Resign { cluster, node, generation, up_to_term, successor: None };
                Some(PeerMessage::Resign(self.forge(adversary, &resign)))
            }
        };
        if let Some(message) = message {
            self.tell_some(adversary, &message);
        }
    }

    fn forged_heartbeat(&mut self, adversary: usize, node: NodeId) -> Option<PeerMessage> {
        let heard = self.adversaries[adversary].heard.heartbeats.back()?.peek();
        let mut heartbeat = heard.ok()?;
        (heartbeat.node, heartbeat.generation) = (node, Generation(heartbeat.generation.0 + 1));
        let heartbeats = vec![self.forge(adversary, &heartbeat)];
        Some(PeerMessage::Delta(Delta { heartbeats, wanted: Vec::new() }))
    }

    fn forged_promise(&mut self, adversary: usize, voter: NodeId) -> Option<PeerMessage> {
        let mut promise = self.adversaries[adversary].heard.promises.back()?.peek().ok()?;
        promise.voter = voter;
        let (term, seq) = (promise.term, promise.seq);
        let signed: Signed<_> = self.forge(adversary, &promise);
        Some(PeerMessage::RenewAnswer(Box::new(RenewAnswer {
            term,
            seq,
            outcome: Ok(signed),
            certificate: None,
        })))
    }
}
