//! Messages made by hand, in any node's name: the test holds every key.

use nitro_elect::core::event::Action;
use nitro_elect_protocol::codec;
use nitro_elect_protocol::enclave_api::{Elect, Request, Response};
use nitro_elect_protocol::heartbeat::{Flags, Heartbeat};
use nitro_elect_protocol::ids::{Challenge, Generation, NodeId, Term};
use nitro_elect_protocol::peer::{
    CallAnswer, CallForViews, Delta, PeerMessage, PreVote, PreVoteAnswer, Refusal, Renew, RenewAnswer,
};
use nitro_elect_protocol::promise::Promise;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::seal::{self, SealedView};
use nitro_elect_protocol::statement::{Signed, Statement, Verified};
use nitro_elect_protocol::view::View;
use nitro_elect_tests::sim::clock::EPOCH;
use nitro_elect_tests::sim::standin::{self, StandInKey};

use crate::plan::{address, id};
use crate::rig::Rig;

/// Signs a statement with the key of the node that it names.
pub fn sign<T: Statement>(statement: T) -> Signed<T> {
    let key = StandInKey(statement.signer());
    Verified::sign(statement, &key).into_signed()
}

/// A term far above every clock's: none is ever reached by chance.
pub fn term(number: u64) -> Term {
    Term(EPOCH.0 + number)
}

/// The messages among these actions that go to one node.
pub fn sent_to(done: &[Action], node: usize) -> Vec<PeerMessage> {
    let sent = done.iter().filter_map(|action| match action {
        Action::Send { to, message } if *to == id(node) => Some(message.clone()),
        _ => None,
    });
    sent.collect()
}

impl Rig {
    /// A view of everybody for a call of this node's, as a voter would sign it.
    pub fn view(&self, term: Term, coordinator: usize, voter: usize) -> View {
        View {
            cluster: self.electorate.cluster,
            electorate: self.electorate.digest(),
            enclave: self.enclaves[0].identity.keys.enclave(),
            term,
            coordinator: id(coordinator),
            coordinator_generation: self.nodes[coordinator].generation,
            voter: id(voter),
            voter_generation: self.nodes[voter].generation,
            active: self.electorate.voters.iter().map(|voter| voter.key).collect(),
            eligible: true,
            preferred: None,
            accepted: None,
            signed_at: self.now(voter).wall,
        }
    }

    /// A view signed by its voter and sealed for the enclave and term that it names.
    pub fn sealed(&self, view: View) -> SealedView {
        let context = seal::context(&self.electorate.digest(), &view.enclave, view.term);
        let key = self.enclaves[0].identity.keys.hpke_key();
        let mut randomness = <rand::rngs::StdRng as rand::SeedableRng>::from_seed([0; 32]);
        let bytes = codec::encode(&sign(view));
        let crypto = standin::StandIn;
        nitro_elect_protocol::crypto::Crypto::seal(&crypto, &key, &context, &bytes, &mut randomness)
            .expect("the stand-in seals")
    }

    /// What is inside a sealed view for the first enclave.
    pub fn opened(&self, term: Term, sealed: &SealedView) -> View {
        let keys = &self.enclaves[0].identity.keys;
        let context = seal::context(&self.electorate.digest(), &keys.enclave(), term);
        let bytes = standin::open(&keys.hpke_key(), &context, sealed).expect("sealed to the first enclave");
        let signed: Signed<View> = codec::decode(&bytes).expect("a signed view");
        signed.peek().expect("a view")
    }

    /// The certificate of an election that this node called and that elected that one.
    pub fn certified(&self, term: Term, coordinator: usize, leader: usize) -> Bundle {
        let view = |voter| View { preferred: Some(id(leader)), ..self.view(term, coordinator, voter) };
        let views = (0..self.nodes.len()).map(|voter| self.sealed(view(voter))).collect();
        self.counted(term, coordinator, views)
    }

    /// The certificate that the first enclave makes of these views.
    pub fn counted(&self, term: Term, coordinator: usize, views: Vec<SealedView>) -> Bundle {
        let generation = self.nodes[coordinator].generation;
        let electorate = self.electorate.clone();
        let elect = Elect { electorate, term, coordinator: id(coordinator), generation, views };
        let service = self.enclaves[0].service.as_ref().expect("the enclave runs");
        let Response::Elected { certificate, .. } = service.answer(Request::Elect(Box::new(elect))) else {
            panic!("not elected in term {term}");
        };
        let document = self.enclaves[0].identity.document.clone();
        Bundle { certificate, document, promises: Vec::new() }
    }

    /// A node's certificate of an election that it called and won, told to a node.
    pub fn adopt(&mut self, node: usize, term: Term, leader: usize) -> Bundle {
        let bundle = self.certified(term, leader, leader);
        self.tell(node, leader, PeerMessage::Certificate(Box::new(bundle.clone())));
        assert_eq!(self.term(node), term, "adopted");
        bundle
    }

    /// A call as this node would make it.
    pub fn call(&self, coordinator: usize, term: Term) -> CallForViews {
        CallForViews {
            electorate: self.electorate.digest(),
            term,
            enclave: self.enclaves[0].identity.keys.enclave(),
            document: self.enclaves[0].identity.document.clone(),
            generation: self.nodes[coordinator].generation,
            certificate: None,
            resign: None,
        }
    }

    /// Hands a call to a voter; returns what it did and what it answered.
    pub fn hand_call(&mut self, voter: usize, from: usize, call: CallForViews) -> (Vec<Action>, CallAnswer) {
        let done = self.tell(voter, from, PeerMessage::Call(Box::new(call)));
        let answer = sent_to(&done, from).into_iter().find_map(|message| match message {
            PeerMessage::CallAnswer(answer) => Some(*answer),
            _ => None,
        });
        (done, answer.expect("every call of a member is answered"))
    }

    /// What a voter says to a plain call.
    pub fn called(&mut self, voter: usize, from: usize, term: Term) -> Result<SealedView, Refusal> {
        let call = self.call(from, term);
        self.hand_call(voter, from, call).1.outcome
    }

    /// A renewal as this node would send it.
    pub fn renewal(&self, leader: usize, term: Term, seq: u64) -> Renew {
        let (electorate, generation) = (self.electorate.digest(), self.nodes[leader].generation);
        Renew { electorate, term, generation, seq, challenge: Challenge::NONE }
    }

    /// Hands a renewal to a voter; returns what it did and what it answered.
    pub fn hand_renewal(&mut self, voter: usize, from: usize, renew: Renew) -> (Vec<Action>, RenewAnswer) {
        let done = self.tell(voter, from, PeerMessage::Renew(renew));
        let answer = sent_to(&done, from).into_iter().find_map(|message| match message {
            PeerMessage::RenewAnswer(answer) => Some(*answer),
            _ => None,
        });
        (done, answer.expect("every renewal of a member is answered"))
    }

    /// What a voter says to a plain renewal.
    pub fn renewed(&mut self, voter: usize, leader: usize, term: Term) -> Result<Signed<Promise>, Refusal> {
        let renew = self.renewal(leader, term, 1);
        self.hand_renewal(voter, leader, renew).1.outcome
    }

    /// Hands a pre-vote to a voter; returns what it did and what it answered.
    pub fn prevoted(&mut self, voter: usize, from: usize) -> (Vec<Action>, PreVoteAnswer) {
        let (electorate, generation) = (self.electorate.digest(), self.nodes[from].generation);
        let question = PreVote { electorate, generation, round: 77, certificate: None, resign: None };
        let done = self.tell(voter, from, PeerMessage::PreVote(Box::new(question)));
        let answer = sent_to(&done, from).into_iter().find_map(|message| match message {
            PeerMessage::PreVoteAnswer(answer) if answer.round == 77 => Some(*answer),
            _ => None,
        });
        (done, answer.expect("every pre-vote of a member is answered"))
    }

    /// A promise of a voter's under a certificate, in the renewal with this number.
    pub fn promise(&self, bundle: &Bundle, voter: usize, seq: u64) -> Promise {
        let certificate = bundle.certificate.peek().expect("a certificate");
        Promise {
            cluster: self.electorate.cluster,
            electorate: self.electorate.digest(),
            term: certificate.term,
            leader: certificate.leader,
            generation: certificate.leader_generation,
            voter: id(voter),
            seq,
            challenge: Challenge::NONE,
            certificate: bundle.certificate.digest(),
            signed_at: self.now(voter).wall,
        }
    }

    /// A resignation of a node's, as its key signs it.
    pub fn resign(&self, node: usize, generation: u64, up_to_term: Term) -> Signed<Resign> {
        self.resign_naming(node, generation, up_to_term, None)
    }

    /// The same with a successor.
    pub fn resign_naming(
        &self,
        node: usize,
        generation: u64,
        up_to_term: Term,
        successor: Option<NodeId>,
    ) -> Signed<Resign> {
        let cluster = self.electorate.cluster;
        sign(Resign { cluster, node: id(node), generation: Generation(generation), up_to_term, successor })
    }

    /// Tells a node of a resignation.
    pub fn tell_resign(&mut self, node: usize, resign: Signed<Resign>) -> Vec<Action> {
        let from = resign.peek().expect("a resignation").node;
        self.tell(node, crate::plan::number(&from), PeerMessage::Resign(resign))
    }

    /// A heartbeat of a node's of this moment.
    pub fn heartbeat(&self, node: usize, seq: u64) -> Heartbeat {
        Heartbeat {
            cluster: self.electorate.cluster,
            node: id(node),
            name: format!("node-{node}"),
            address: address(node),
            generation: self.nodes.get(node).map_or(Generation(1), |state| state.generation),
            seq,
            boot: self.now(node).boot,
            wall: self.now(node).wall,
            highest_term: Term(0),
            flags: Flags::default(),
        }
    }

    /// A node hears a heartbeat from whoever passes it on.
    pub fn hear(&mut self, node: usize, from: usize, heartbeat: Heartbeat) -> Vec<Action> {
        self.tell(node, from, delta_of(sign(heartbeat)))
    }

    /// Whether a node sees another alive now.
    pub fn sees(&mut self, node: usize, other: usize) -> bool {
        self.tick(node);
        self.member(node, other).is_some_and(|member| member.active)
    }

    /// What a node knows of another.
    pub fn member(&self, node: usize, other: usize) -> Option<nitro_elect::core::status::MemberStatus> {
        self.status(node).members.into_iter().find(|member| member.id == id(other))
    }
}

/// A message with one heartbeat.
pub fn delta_of(heartbeat: Signed<Heartbeat>) -> PeerMessage {
    PeerMessage::Delta(Delta { heartbeats: vec![heartbeat], wanted: Vec::new() })
}

/// What a refusal says to wait, in milliseconds.
pub fn promised_ms<T>(outcome: &Result<T, Refusal>) -> Option<u64> {
    match outcome {
        Err(Refusal::Promised { ms }) => Some(*ms),
        _ => None,
    }
}

/// What a refusal says of back-off, in milliseconds.
pub fn back_off_ms<T>(outcome: &Result<T, Refusal>) -> Option<u64> {
    match outcome {
        Err(Refusal::BackOff { ms }) => Some(*ms),
        _ => None,
    }
}
