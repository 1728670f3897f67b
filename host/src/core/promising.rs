//! A voter's side of the lease: promises in answer to renewals (DESIGN §3.4).

use nitro_elect_protocol::ids::{Generation, NodeId, Term};
use nitro_elect_protocol::peer::{PeerMessage, Refusal, Renew, RenewAnswer};
use nitro_elect_protocol::promise::Promise;
use nitro_elect_protocol::statement::Verified;
use nitro_elect_protocol::time::Now;

use super::Core;
use super::durable::Support;

impl Core {
    /// Answers a renewal.
    pub(super) fn on_renew(&mut self, from: NodeId, renew: Renew, now: Now) {
        let outcome = self.promise(from, &renew, now).map(Verified::into_signed);
        let certificate = outcome.as_ref().err().and_then(|_| self.bundle_above(renew.term));
        self.persist();
        let answer = RenewAnswer { term: renew.term, seq: renew.seq, outcome, certificate };
        self.send(from, PeerMessage::RenewAnswer(Box::new(answer)));
    }

    /// This voter's promise to the leader of its highest certificate, if every rule allows it.
    pub(super) fn promise(
        &mut self,
        leader: NodeId,
        renew: &Renew,
        now: Now,
    ) -> Result<Verified<Promise>, Refusal> {
        if renew.electorate != self.digest {
            return Err(Refusal::OtherElectorate(self.digest));
        }
        if !self.is_voter() {
            return Err(Refusal::NotAVoter);
        }
        let held =
            self.current().filter(|held| held.verified.term >= renew.term).ok_or(Refusal::NoCertificate)?;
        let certificate = &held.verified;
        let named = (certificate.leader, certificate.leader_generation, certificate.term);
        if named != (leader, renew.generation, renew.term) {
            return Err(Refusal::NotLeader);
        }
        let digest = certificate.digest();
        let refusal = self.voter.refuses_promise(leader, renew.generation, renew.term, now.boot);
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let given = self.support_for(renew.term, leader, renew.generation);
        self.voter.support(given, self.electorate.cluster, true, now.boot);
        let promise = Promise {
            cluster: self.electorate.cluster,
            electorate: self.digest,
            term: renew.term,
            leader,
            generation: renew.generation,
            voter: self.me,
            seq: renew.seq,
            challenge: renew.challenge,
            certificate: digest,
            signed_at: now.wall,
        };
        Ok(Verified::sign(promise, &*self.key))
    }

    /// Support under the present electorate and lease.
    pub(super) fn support_for(&self, term: Term, holder: NodeId, generation: Generation) -> Support {
        let (electorate, lease_ms) = (self.digest, self.electorate.lease_ms);
        Support { term, holder, generation, electorate, lease_ms }
    }
}
