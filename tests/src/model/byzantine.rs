//! What Byzantine voters sign: anything they may be asked for, and calls and resignations of every term within the
//! bounds, each there from the start. They answer every call with a view, every renewal with a promise, every
//! pre-vote with yes, and keep nothing of it.

use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::Crypto;
use nitro_elect_protocol::enclave_api::Elect;
use nitro_elect_protocol::ids::{CertificateDigest, Generation, NodeId, Term};
use nitro_elect_protocol::peer::{
    CallAnswer, CallForViews, PeerMessage, PreVote, PreVoteAnswer, Renew, RenewAnswer,
};
use nitro_elect_protocol::promise::Promise;
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::seal::{self, SealedView};
use nitro_elect_protocol::statement::Verified;
use nitro_elect_protocol::view::View;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::cluster::{Cluster, id, now};
use crate::sim::standin::{StandIn, StandInKey};

/// The life that Byzantine voters act in.
pub const LIFE: Generation = Generation(1);

impl Cluster {
    /// A view for this call.
    pub fn byzantine_view(
        &self,
        voter: usize,
        caller: NodeId,
        generation: Generation,
        term: Term,
        enclave: usize,
    ) -> SealedView {
        let enclave = &self.enclaves[enclave].keys;
        let view = View {
            cluster: self.electorate.cluster,
            electorate: self.digest,
            enclave: enclave.enclave(),
            term,
            coordinator: caller,
            coordinator_generation: generation,
            voter: id(voter),
            voter_generation: LIFE,
            active: self.electorate.voters.iter().map(|voter| voter.key).collect(),
            eligible: true,
            preferred: None,
            accepted: None,
            signed_at: now(0).wall,
        };
        let signed = Verified::sign(view, &StandInKey(id(voter))).into_signed();
        let context = seal::context(&self.digest, &enclave.enclave(), term);
        let mut unused = StdRng::from_seed([0; 32]);
        let sealed = StandIn.seal(&enclave.hpke_key(), &context, &codec::encode(&signed), &mut unused);
        sealed.expect("the stand-in seals everything")
    }

    /// The answer to an honest call.
    pub fn byzantine_answer(&self, voter: usize, caller: usize, call: &CallForViews) -> Option<PeerMessage> {
        let enclave = self.enclave(&call.enclave)?;
        let view = self.byzantine_view(voter, id(caller), call.generation, call.term, enclave);
        let answer = CallAnswer { term: call.term, outcome: Ok(view), certificate: None };
        Some(PeerMessage::CallAnswer(Box::new(answer)))
    }

    /// The answer to a pre-vote.
    pub fn byzantine_prevote(&self, message: &PreVote) -> PeerMessage {
        PeerMessage::PreVoteAnswer(Box::new(PreVoteAnswer {
            round: message.round,
            refusal: None,
            record_term: Term(0),
            eligible: true,
            certificate: None,
        }))
    }

    /// The answer to a renewal of the term that this certificate is of.
    pub fn byzantine_promise(
        &self,
        voter: usize,
        leader: usize,
        renew: &Renew,
        certificate: CertificateDigest,
    ) -> PeerMessage {
        let promise = Promise {
            cluster: self.electorate.cluster,
            electorate: self.digest,
            term: renew.term,
            leader: id(leader),
            generation: renew.generation,
            voter: id(voter),
            seq: renew.seq,
            challenge: renew.challenge,
            certificate,
            signed_at: now(0).wall,
        };
        let outcome = Ok(Verified::sign(promise, &StandInKey(id(voter))).into_signed());
        PeerMessage::RenewAnswer(Box::new(RenewAnswer {
            term: renew.term,
            seq: renew.seq,
            outcome,
            certificate: None,
        }))
    }

    /// A call of this term for this enclave.
    pub fn byzantine_call(&self, term: Term, enclave: usize) -> PeerMessage {
        let enclave = &self.enclaves[enclave];
        PeerMessage::Call(Box::new(CallForViews {
            electorate: self.digest,
            term,
            enclave: enclave.keys.enclave(),
            document: enclave.document.clone(),
            generation: LIFE,
            certificate: None,
            resign: None,
        }))
    }

    /// A resignation from everything up to this term.
    pub fn byzantine_resign(&self, voter: usize, up_to_term: Term) -> PeerMessage {
        let (cluster, node) = (self.electorate.cluster, id(voter));
        let resign = Resign { cluster, node, generation: LIFE, up_to_term, successor: None };
        PeerMessage::Resign(Verified::sign(resign, &StandInKey(node)).into_signed())
    }

    /// An election that a Byzantine voter called, of these honest views and those of all its kind.
    pub fn byzantine_elect(
        &self,
        caller: usize,
        term: Term,
        enclave: usize,
        honest: Vec<SealedView>,
    ) -> Elect {
        let own = self.byzantine().map(|voter| self.byzantine_view(voter, id(caller), LIFE, term, enclave));
        Elect {
            electorate: self.electorate.clone(),
            term,
            coordinator: id(caller),
            generation: LIFE,
            views: honest.into_iter().chain(own).collect(),
        }
    }
}
