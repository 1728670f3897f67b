//! An outage of every enclave and proxy under a live leader, in a calm world: the leader keeps its lease (I10).
//!
//! After some leases the leader is cut off from all others for longer than a lease, so that its lease ends; then it
//! must regain it in the same term, for its voters supported nothing above it.

use nitro_elect_protocol::ids::Term;

use super::clock::At;
use super::violation::Invariant;
use super::world::World;

/// Leases after which a leader that is connected again must hold the lease: heartbeats, redialling, a renewal.
const LEASES_TO_REGAIN: u32 = 3;
/// Leases for which the leader is cut off.
const LEASES_CUT: u32 = 2;

/// What is demanded while it lasts.
#[derive(Clone, Debug)]
pub struct Outage {
    leader: usize,
    term: Term,
    /// When the leader is cut off, and when it can be connected again.
    cut: At,
    mended: At,
    end: At,
    is_cut: bool,
}

impl World {
    /// Every enclave and proxy goes down, if an honest node that has another to lead holds the lease.
    pub(super) fn begin_outage(&mut self) {
        let Some(leader) = self.holder() else { return };
        let Some(belief) = self.observer.lease_of(leader, self.at) else { return };
        let lease = self.scenario.lease;
        self.trace.note(self.at, "all", || "every enclave and proxy goes down".into());
        self.hosts.iter_mut().for_each(|host| host.service = None);
        self.proxies.iter_mut().for_each(|proxy| proxy.is_up = false);
        let cut = self.at + lease * self.scenario.outage;
        let mended = cut + lease * LEASES_CUT;
        let end = mended + lease * (LEASES_TO_REGAIN * 2);
        self.outage = Some(Outage { leader, term: belief.term, cut, mended, end, is_cut: false });
    }

    /// Looks whether the leader still leads in its term, whenever it must.
    pub(super) fn check_outage(&mut self) {
        let Some(mut outage) = self.outage.take() else { return };
        if self.at >= outage.cut && !outage.is_cut {
            outage.is_cut = true;
            self.cut_off(outage.leader);
        }
        let lease = self.scenario.lease;
        let must_hold = self.at < outage.cut || self.at >= outage.mended + lease * LEASES_TO_REGAIN;
        let held = self.observer.lease_of(outage.leader, self.at);
        if must_hold && held.is_none_or(|belief| belief.term != outage.term) {
            let (leader, term) = (outage.leader + 1, outage.term);
            let what = format!("with every enclave down, n{leader} does not hold the lease of term {term}");
            self.observer.violation = Some(self.violated(Invariant::I10, what));
        }
        if self.at < outage.end {
            self.outage = Some(outage);
        }
    }

    fn cut_off(&mut self, leader: usize) {
        let span = self.scenario.lease * LEASES_CUT;
        for other in (0..self.machines.len()).filter(|other| *other != leader) {
            self.sever(leader, other, span);
        }
    }
}
