//! Following: the newest lease proof, from the leader or passed on (DESIGN §3.4).
//!
//! Without a nonce of its own a follower reckons the lease from its own receipt of a renewal newer than any it
//! had: news, not exclusion.

use nitro_elect_protocol::ids::{NodeId, Nonce, Term};
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::proof::LeaseProof;
use nitro_elect_protocol::time::{Boot, Now};

use super::Core;
use super::event::{Action, Drop, Notice};

/// The newest proof and when it came.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The proof.
    pub proof: LeaseProof,
    /// The term it is for.
    pub term: Term,
    /// Its renewal.
    pub seq: u64,
    /// When it came.
    pub as_of: Boot,
}

impl Core {
    /// The end of the lease that the newest proof speaks of, if it is for the highest certificate.
    pub(super) fn followed_until(&self) -> Option<Boot> {
        let followed = self.followed.as_ref()?;
        let term = self.current()?.verified.term;
        (followed.term == term).then(|| followed.as_of + self.timing.usable())
    }

    /// A lease proof came: keeps it if it is newer and right, and passes it on.
    pub(super) fn on_lease(&mut self, from: NodeId, proof: LeaseProof, now: Now) {
        if proof.term > self.certificates.highest_term() {
            return self.want_certificate(from, now.boot);
        }
        let Some(held) = self.current().filter(|held| held.verified.digest() == proof.certificate) else {
            return;
        };
        let newest = self.followed.as_ref().filter(|known| known.term == proof.term).map(|known| known.seq);
        let seq = proof.promises.first().and_then(|first| first.peek().ok()).map(|promise| promise.seq);
        if seq <= newest {
            return;
        }
        let verified = held.verified.clone();
        if !self.certificate_budget.spend(from, now.boot) {
            return self.dropped(from, Drop::TooMuch);
        }
        let Ok(checked) = proof.verify(&*self.crypto, &self.electorate, &verified) else {
            return self.dropped(from, Drop::LeaseProof);
        };
        if self.current_bundle().is_some_and(|bundle| bundle.promises.is_empty()) {
            self.keep_promises(proof.promises.clone());
        }
        self.tell_proven(&proof.nonces);
        self.pass_on(from, &proof);
        self.followed = Some(Followed { proof, term: checked.term, seq: checked.seq, as_of: now.boot });
    }

    /// The leader follows its own proof, to show it.
    pub(super) fn follow_own_proof(&mut self, proof: LeaseProof, now: Boot) {
        let Some(first) = proof.promises.first().and_then(|first| first.peek().ok()) else { return };
        self.followed = Some(Followed { proof, term: first.term, seq: first.seq, as_of: now });
    }

    /// Passes a proof on to a few that do not vote: voters have it from the leader.
    fn pass_on(&mut self, from: NodeId, proof: &LeaseProof) {
        let followers = self
            .members
            .iter()
            .filter(|(node, member)| member.connected && **node != from && !self.electorate.contains(node));
        let followers: Vec<NodeId> = followers.map(|(node, _)| *node).collect();
        for peer in self.draw(followers, self.fanout) {
            self.send(peer, PeerMessage::Lease(Box::new(proof.clone())));
        }
    }

    fn tell_proven(&mut self, nonces: &[Nonce]) {
        self.out.extend(nonces.iter().map(|nonce| Action::Notice(Notice::Proven(*nonce))));
    }
}
