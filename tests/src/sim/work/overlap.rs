//! I12: at any real instant leader-only work runs on one honest node at most, and later work of another has a higher term.

use nitro_elect_protocol::ids::Term;

use super::workplace::{Owner, Running};
use crate::sim::violation::Invariant;
use crate::sim::world::World;

impl World {
    /// Looked at where work begins: none of another node runs, nor has any run under a higher term.
    pub(super) fn i12_one_node_at_work(&mut self, machine: usize, term: Term) {
        let name = &self.machines[machine].name;
        let beside = self.works_elsewhere(machine).map(|(other, one)| {
            let (other, owner, theirs) = (&self.machines[other].name, one.owner, one.term);
            format!(
                "{name} works under term {term}, and work of {other} ({owner:?}) under {theirs} still runs"
            )
        });
        let after = self.latest_work.filter(|(who, latest)| *who != machine && *latest > term);
        let after = after.map(|(who, latest)| {
            format!("{name} works under term {term}, after n{} did under {latest}", who + 1)
        });
        if let Some(what) = beside.or(after) {
            let violation = self.violated(Invariant::I12, what);
            self.observer.violation.get_or_insert(violation);
        }
        if self.latest_work.is_none_or(|(_, latest)| latest <= term) {
            self.latest_work = Some((machine, term));
        }
    }

    /// Work of another node that runs and must not.
    fn works_elsewhere(&self, machine: usize) -> Option<(usize, &Running)> {
        let others = (0..self.machines.len()).filter(|other| *other != machine);
        let running = |other: usize| self.machines[other].work.running.iter();
        let demanded = |other: usize| running(other).find(|one| !self.is_excused(other, one));
        others.into_iter().find_map(|other| Some((other, demanded(other)?)))
    }

    /// Whether nothing is demanded of a command: its runner is frozen past the end of the lease.
    fn is_excused(&self, machine: usize, running: &Running) -> bool {
        let [node, exec] = &self.machines[machine].work.workers;
        let worker = if running.owner == Owner::Node { node } else { exec };
        let is_its_own = worker.life == running.life;
        running.is_excused || (is_its_own && worker.is_frozen && worker.latest <= self.boot_of(machine))
    }
}
