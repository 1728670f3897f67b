//! Which lease a node knows of, and from what: its own, its promise to the leader, or a proof that it was told.

use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::time::Boot;
use serde::{Deserialize, Serialize};

use super::Core;

/// What a node knows a lease from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// It holds the lease itself: counted from before it asked for the support that it has (t0).
    Held,
    /// Its own promise to the leader: counted from when it gave it, which is after the leader's t0.
    Promised,
    /// A proof that others passed on: counted from its receipt. News, no exclusion (DESIGN §3.4).
    Heard,
}

/// A lease that is known to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLease {
    /// Who leads.
    pub leader: NodeId,
    /// In which term.
    pub term: Term,
    /// Until when, unless it is renewed.
    pub until: Boot,
    /// What this is known from.
    pub basis: Basis,
    /// Since when it is known: the lease counts from there.
    pub as_of: Boot,
}

impl Core {
    /// The lease that is known to run now, if one is.
    pub fn lease_known(&self, now: Boot) -> Option<KnownLease> {
        let certificate = &self.current()?.verified;
        if self.leader_resigned() {
            return None;
        }
        let (until, basis, as_of) = if certificate.leader == self.me {
            let until = self.holds_lease(now)?.1;
            (until, Basis::Held, until - self.timing.usable())
        } else {
            let promised = self.promised_lease(certificate, now);
            promised.into_iter().chain(self.heard_lease()).max_by_key(|known| known.0)?
        };
        let (leader, term) = (certificate.leader, certificate.term);
        (until > now).then_some(KnownLease { leader, term, until, basis, as_of })
    }

    /// Whether the lease of the newest certificate has ended by its leader's `Resign`.
    pub fn leader_resigned(&self) -> bool {
        self.resigned_leader().is_some()
    }

    /// The lease of this certificate's leader as this voter's own promise tells it: the leader gives up a margin.
    fn promised_lease(&self, certificate: &VerifiedCertificate, now: Boot) -> Option<(Boot, Basis, Boot)> {
        let (leader, generation) = (certificate.leader, certificate.leader_generation);
        let hold = self.voter.live(now)?;
        let is_its = hold.holder == leader && hold.generation == generation;
        let given = hold.until - self.timing.lease;
        (is_its && self.voter.term() <= certificate.term)
            .then(|| (given + self.timing.usable(), Basis::Promised, given))
    }

    /// The same as the newest proof tells it.
    fn heard_lease(&self) -> Option<(Boot, Basis, Boot)> {
        let as_of = self.followed.as_ref()?.as_of;
        Some((self.followed_until()?, Basis::Heard, as_of))
    }
}
