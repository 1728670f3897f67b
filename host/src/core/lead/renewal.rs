//! Renewals of the lease: rounds of promises that the leader asks for and counts (DESIGN §3.4).

use nitro_elect_protocol::ids::{Challenge, NodeId, Nonce};
use nitro_elect_protocol::limits::NONCES_MAX;
use nitro_elect_protocol::peer::{PeerMessage, Refusal, Renew, RenewAnswer};
use nitro_elect_protocol::promise::Promise;
use nitro_elect_protocol::proof::LeaseProof;
use nitro_elect_protocol::statement::{Signed, Verified};
use nitro_elect_protocol::time::{Boot, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use crate::core::Core;
use crate::core::event::{Action, Drop, Notice};

/// Renewals remembered: answers to older ones no longer help.
const ROUNDS_KEPT: usize = 4;

/// A renewal under way or answered.
#[derive(Clone, Debug)]
pub struct Round {
    seq: u64,
    pub(super) t0: Boot,
    challenge: Challenge,
    nonces: Vec<Nonce>,
    pub(super) promises: BTreeMap<NodeId, Signed<Promise>>,
    /// Voters that lacked the certificate and were sent it: once a renewal, or the two would answer each other
    /// for ever when it is not believed.
    taught: BTreeSet<NodeId>,
    complete: bool,
}

/// What a promise for it counts for, not the promises themselves.
impl Hash for Round {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.seq, self.t0, self.challenge, &self.nonces, &self.taught, self.complete).hash(state);
        self.promises.keys().for_each(|voter| voter.hash(state));
    }
}

impl Core {
    /// Whether a renewal makes sense: a lease is held, or enough voters that can still promise are within reach. A
    /// leader cut off from its quorum would otherwise keep the few that hear it from everybody else's.
    pub(super) fn may_renew(&self, now: Boot) -> bool {
        let Some(lead) = &self.lead else { return false };
        let connected = |voter: &NodeId| {
            *voter == self.me || self.members.get(voter).is_some_and(|member| member.connected)
        };
        let voters = self.electorate.voters.iter().map(|voter| voter.key);
        let able = voters.filter(|voter| connected(voter) && !lead.stale.contains(voter)).count();
        self.holds_lease(now).is_some() || able >= self.electorate.quorum()
    }

    pub(super) fn renew_when_due(&mut self, now: Now) {
        let resend = self.timing.renewal() / 3;
        let Some(lead) = &mut self.lead else { return };
        if now.boot >= lead.next_round {
            self.start_round(now);
        } else if now.boot >= lead.next_resend {
            lead.next_resend = now.boot + resend;
            self.resend_round();
        }
    }

    /// Starts a renewal: t0 is read before anything is sent.
    fn start_round(&mut self, now: Now) {
        let nonces: Vec<Nonce> = self.nonces.keys().copied().take(NONCES_MAX).collect();
        let Some(lead) = &mut self.lead else { return };
        lead.seq += 1;
        lead.next_round = now.boot + self.timing.renewal();
        lead.next_resend = now.boot + self.timing.renewal() / 3;
        let challenge = Challenge::of(&nonces);
        let round = Round {
            seq: lead.seq,
            t0: now.boot,
            challenge,
            nonces,
            promises: BTreeMap::new(),
            taught: BTreeSet::new(),
            complete: false,
        };
        let renew = self.renewal_of(&round);
        if let Some(lead) = &mut self.lead {
            lead.rounds.push_back(round);
            if lead.rounds.len() > ROUNDS_KEPT {
                lead.rounds.pop_front();
            }
        }
        let Some(renew) = renew else { return };
        match self.promise(self.me, &renew, now) {
            Ok(promise) => {
                self.persist();
                self.take_promise(promise, now);
            }
            Err(Refusal::StaleTerm { .. }) => {
                if let Some(lead) = &mut self.lead {
                    lead.stale.insert(self.me);
                }
            }
            Err(_) => {}
        }
        let voters: Vec<NodeId> = self.voting_peers().collect();
        for voter in voters {
            self.send(voter, PeerMessage::Renew(renew));
        }
    }

    fn renewal_of(&self, round: &Round) -> Option<Renew> {
        let term = self.lead.as_ref()?.term;
        let (electorate, generation) = (self.digest, self.generation);
        Some(Renew { electorate, term, generation, seq: round.seq, challenge: round.challenge })
    }

    /// Repeats the newest renewal to those that have not answered: its t0 does not move.
    fn resend_round(&mut self) {
        let Some(round) = self.lead.as_ref().and_then(|lead| lead.rounds.back()) else { return };
        let Some(renew) = self.renewal_of(round) else { return };
        let silent: Vec<NodeId> =
            self.voting_peers().filter(|voter| !round.promises.contains_key(voter)).collect();
        for voter in silent {
            self.send(voter, PeerMessage::Renew(renew));
        }
    }

    /// A voter can be reached again: it gets the newest renewal.
    pub(in crate::core) fn renew_to(&mut self, peer: NodeId) {
        let round = self.lead.as_ref().and_then(|lead| lead.rounds.back());
        let renew = round.and_then(|round| self.renewal_of(round));
        if let Some(renew) = renew.filter(|_| self.electorate.contains(&peer)) {
            self.send(peer, PeerMessage::Renew(renew));
        }
    }

    /// Takes in the answer to a renewal.
    pub(in crate::core) fn on_renew_answer(&mut self, from: NodeId, answer: RenewAnswer, now: Now) {
        if let Some(bundle) = answer.certificate {
            self.consider(from, bundle, now);
        }
        let Some(lead) = self.lead.as_mut().filter(|lead| lead.term == answer.term) else { return };
        if !self.electorate.contains(&from) {
            return self.dropped(from, Drop::Stranger);
        }
        match answer.outcome {
            Ok(signed) => self.on_promise(from, signed, now),
            Err(Refusal::StaleTerm { last }) => {
                lead.stale.insert(from);
                self.campaign_hears_term(from, last);
            }
            Err(Refusal::Promised { ms }) => {
                let longest = self.timing.lease * 8;
                lead.bound.insert(from, now.boot + Duration::from_millis(ms).min(longest));
            }
            Err(Refusal::NoCertificate) => self.teach(from, answer.seq),
            Err(_) => {}
        }
    }

    /// Sends a voter the certificate that it lacks, and the newest renewal again.
    fn teach(&mut self, voter: NodeId, seq: u64) {
        let rounds = self.lead.iter_mut().flat_map(|lead| &mut lead.rounds);
        let news = rounds.filter(|round| round.seq == seq).any(|round| round.taught.insert(voter));
        if let Some(bundle) = self.current_bundle().filter(|_| news) {
            self.send(voter, PeerMessage::Certificate(Box::new(bundle)));
            self.renew_to(voter);
        }
    }

    fn on_promise(&mut self, from: NodeId, signed: Signed<Promise>, now: Now) {
        match signed.verify(&*self.crypto) {
            Ok(promise) if promise.voter == from => self.take_promise(promise, now),
            _ => self.dropped(from, Drop::Signature),
        }
    }

    /// Counts a promise that answers one of this leadership's renewals.
    fn take_promise(&mut self, promise: Verified<Promise>, now: Now) {
        let Some(held) = self.current() else { return };
        let expected = (self.digest, held.verified.term, self.me, self.generation, held.verified.digest());
        let found =
            (promise.electorate, promise.term, promise.leader, promise.generation, promise.certificate);
        let quorum = self.electorate.quorum();
        let Some(lead) = self.lead.as_mut().filter(|_| found == expected) else { return };
        let round = lead.rounds.iter_mut().find(|round| round.seq == promise.seq);
        let Some(round) = round.filter(|round| round.challenge == promise.challenge) else { return };
        let (t0, voter) = (round.t0, promise.voter);
        round.promises.insert(voter, promise.into_signed());
        let completed = round.promises.len() >= quorum && !std::mem::replace(&mut round.complete, true);
        let seq = round.seq;
        let completed = (completed || (round.complete && round.promises.len() < quorum)).then_some(seq);
        lead.supported(voter, t0);
        lead.stale.remove(&voter);
        lead.bound.remove(&voter);
        if let Some(seq) = completed {
            self.prove(seq, now);
        }
    }

    /// A renewal has its quorum: its proof goes to those who follow, and with the first one to everybody.
    fn prove(&mut self, seq: u64, now: Now) {
        let Some(held) = self.current() else { return };
        let certificate = held.verified.digest();
        let few_promises = held.bundle.promises.is_empty();
        let Some(lead) = &mut self.lead else { return };
        let Some(round) = lead.rounds.iter().find(|round| round.seq == seq) else { return };
        let mut nonces = round.nonces.clone();
        nonces.sort_unstable();
        let promises: Vec<_> = round.promises.values().cloned().collect();
        let supporters: BTreeSet<NodeId> = round.promises.keys().copied().collect();
        let everybody = !std::mem::replace(&mut lead.proof_told, true);
        let proof = LeaseProof { term: lead.term, certificate, promises: promises.clone(), nonces };
        if few_promises {
            self.keep_promises(promises);
        }
        let mut askers = BTreeSet::new();
        for nonce in &proof.nonces {
            askers.extend(self.nonces.remove(nonce).into_iter().flatten());
            self.out.push(Action::Notice(Notice::Proven(*nonce)));
        }
        let members: Vec<NodeId> =
            self.members.iter().filter(|(_, member)| member.connected).map(|(id, _)| *id).collect();
        for peer in members {
            if everybody || askers.contains(&peer) || !supporters.contains(&peer) {
                self.send(peer, PeerMessage::Lease(Box::new(proof.clone())));
            }
        }
        self.follow_own_proof(proof, now.boot);
    }
}
