//! Copies and fingerprints of a core, for a search over its states: what would this node do next, if this came, or
//! that?
//!
//! A copy is to be asked, never driven beside the original: two lives of one key and generation are what
//! [`super::event::HaltReason::Doppelganger`] is about.

use rand::SeedableRng;
use rand::rngs::StdRng;
use std::hash::{Hash, Hasher};

use super::Core;

impl Core {
    /// A copy of everything but the randomness, which begins anew from this seed.
    pub fn fork(&self, seed: [u8; 32]) -> Core {
        Core {
            me: self.me,
            name: self.name.clone(),
            address: self.address.clone(),
            generation: self.generation,
            key: self.key.clone(),
            crypto: self.crypto.clone(),
            rng: StdRng::from_seed(seed),
            fanout: self.fanout,
            timing: self.timing,
            electorate: self.electorate.clone(),
            digest: self.digest,
            open: self.open.clone(),
            members: self.members.clone(),
            gossip: self.gossip.clone(),
            flags: self.flags,
            stepped_down: self.stepped_down,
            next_probe: self.next_probe,
            voter: self.voter.clone(),
            recovery: self.recovery.clone(),
            certificates: self.certificates.clone(),
            enclaves: self.enclaves.clone(),
            campaign: self.campaign.clone(),
            awaited: self.awaited.clone(),
            lead: self.lead.clone(),
            work: self.work.clone(),
            resigned_up_to: self.resigned_up_to,
            followed: self.followed.clone(),
            tenure: self.tenure,
            nonces: self.nonces.clone(),
            evidence: self.evidence.clone(),
            heartbeat_budget: self.heartbeat_budget.clone(),
            certificate_budget: self.certificate_budget.clone(),
            document_budget: self.document_budget.clone(),
            documents_seen: self.documents_seen.clone(),
            drops: self.drops.clone(),
            started: self.started,
            seen: self.seen,
            halted: self.halted,
            out: self.out.clone(),
        }
    }

    /// Hashes all that decides about votes, elections, leases and who is seen alive.
    ///
    /// Left out are randomness, what was counted or is only told to people, what others' heartbeats say beside
    /// their time and eligibility, bounds on what peers may bring, and the certificates that were asked of peers.
    pub fn fingerprint(&self, state: &mut impl Hasher) {
        (self.me, self.generation, self.digest, self.halted, self.started).hash(state);
        (&self.voter, &self.recovery, &self.campaign, &self.awaited, &self.lead, &self.work).hash(state);
        (self.resigned_up_to, self.stepped_down, self.next_probe, self.gossip.due).hash(state);
        (&self.members, &self.enclaves, self.nonces.keys().collect::<Vec<_>>()).hash(state);
        let highest = self.accepted().map(|held| (held.verified.digest(), held.adopted_at));
        let followed = self.followed.as_ref().map(|followed| (followed.term, followed.seq, followed.as_of));
        (self.flags.eligible(), self.certificates.highest_term(), highest, followed).hash(state);
    }
}
