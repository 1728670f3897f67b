//! What strikes those who work: their node's death, their own, and being frozen.

use nitro_elect::run::limits::KILL_RESERVE;
use nitro_elect::run::rules::Event;
use nitro_elect_protocol::time::Boot;
use std::time::Duration;

use super::workplace::{Awaits, OWNERS, Owner};
use super::{DYING, Due, What};
use crate::sim::fault::Fault;
use crate::sim::wills::Remains;
use crate::sim::world::{Happening, World};

/// How long a supervisor takes at most to see that commands are gone.
const SWEEP: Duration = Duration::from_millis(20);

impl World {
    /// A node's process ends: what it leaves, as its supervisor sees it.
    pub(in crate::sim) fn work_loses_its_node(&mut self, machine: usize, reboots: bool) -> Remains {
        let patience = self.scenario.patience;
        let place = &mut self.machines[machine].work;
        let has_execs = place.has_execs();
        (place.held, place.is_to_end, place.working, place.lost) = (None, false, 0, 0);
        place.proven.clear();
        if reboots {
            place.running.clear();
            OWNERS.into_iter().for_each(|owner| place.renew(owner, patience));
            return Remains::Nothing;
        }
        // Its runner sees that it is gone, or its supervisor kills what it was told of: whether or not they are frozen.
        let has_commands = place.running.iter().any(|one| one.owner == Owner::Node);
        self.plan_end(machine, Owner::Node, DYING);
        self.machines[machine].work.renew(Owner::Node, patience);
        self.exec_loses_its_node(machine);
        match (has_execs, has_commands) {
            (true, _) => Remains::Runner,
            (false, true) => Remains::Commands(SWEEP),
            (false, false) => Remains::Nothing,
        }
    }

    /// The exec has the work end, and kills it at the lease's end at the latest.
    fn exec_loses_its_node(&mut self, machine: usize) {
        let exec = self.machines[machine].work.worker(Owner::Exec);
        (exec.is_counted, exec.has_lapsed) = (false, false);
        (exec.awaits, exec.lease) = (Awaits::Nothing, None);
        if exec.works && !exec.is_owner_frozen {
            self.order(machine, Owner::Exec, None, false);
        }
    }

    /// A runner stands still for a while; or, of an exec, what owns the runner.
    pub(in crate::sim) fn freeze(&mut self, machine: usize, fault: Fault, span: Duration) {
        let owner = match fault {
            Fault::ExecFrozen => Owner::Exec,
            _ => *self.work_dice.pick(&OWNERS),
        };
        let worker = self.machines[machine].work.worker(owner);
        if worker.is_frozen || worker.is_owner_frozen {
            return;
        }
        worker.is_owner_frozen = fault == Fault::ExecFrozen;
        worker.is_frozen = !worker.is_owner_frozen;
        let due = Due { machine, owner, life: worker.life, what: What::Thaw };
        self.queue.plan(self.at + span, Happening::Work(due));
        let name = self.machines[machine].name.clone();
        self.trace.note(self.at, &name, || format!("{owner:?}: {fault:?} for {span:?}"));
    }

    pub(super) fn thaw(&mut self, machine: usize, owner: Owner) {
        let now = self.boot_of(machine);
        let place = &mut self.machines[machine].work;
        let worker = &mut place.workers[owner as usize];
        if std::mem::take(&mut worker.is_owner_frozen) {
            let is_alone = worker.works && !worker.is_counted && !worker.has_lapsed;
            let unread = worker.unread.take();
            if is_alone {
                self.order(machine, owner, None, false);
            }
            unread.into_iter().for_each(|order| self.cleared(machine, owner, order));
            self.ask_again(machine, owner);
            return self.follow_work(machine);
        }
        if !std::mem::take(&mut worker.is_frozen) {
            return;
        }
        let (life, inbox) = (worker.life, std::mem::take(&mut worker.inbox));
        if worker.latest - KILL_RESERVE <= now {
            let own = place.running.iter_mut().filter(|one| (one.owner, one.life) == (owner, life));
            own.for_each(|one| one.is_excused = true);
        }
        inbox.into_iter().chain([Event::Tick]).for_each(|event| self.tell_runner(machine, owner, event));
    }

    /// An exec is killed: its runner sees that, and the node counts it until its lease is over.
    pub(in crate::sim) fn kill_exec(&mut self, machine: usize) {
        let (life, patience) = (self.machines[machine].life, self.scenario.patience);
        let own = &mut self.machines[machine];
        let place = &mut own.work;
        let exec = place.worker(Owner::Exec);
        if exec.is_frozen {
            return;
        }
        let (over, counts, its_life) = (exec.over, exec.works && exec.is_counted, exec.life);
        if counts {
            place.lost += 1;
            let at = own.clock.when(over).max(self.at);
            let due = Due { machine, owner: Owner::Exec, life: its_life, what: What::Over(life) };
            self.queue.plan(at, Happening::Work(due));
        }
        self.plan_end(machine, Owner::Exec, DYING);
        self.machines[machine].work.renew(Owner::Exec, patience);
        self.follow_work(machine);
    }

    /// An exec stands still for so long that its lease is over: its node waits for it no longer.
    pub(super) fn exec_lapses(&mut self, machine: usize, over: Boot) {
        let exec = self.machines[machine].work.worker(Owner::Exec);
        if exec.over == over && std::mem::take(&mut exec.is_counted) {
            (exec.has_lapsed, exec.awaits) = (true, Awaits::Nothing);
            self.one_less_works(machine);
        }
    }

    pub(super) fn lost_exec_is_over(&mut self, machine: usize, life: u64) {
        if self.lives(machine, life) {
            self.machines[machine].work.lost -= 1;
            self.one_less_works(machine);
        }
    }

    /// The storm is over: nobody is frozen any more.
    pub(in crate::sim) fn thaw_all(&mut self) {
        for machine in 0..self.machines.len() {
            OWNERS.into_iter().for_each(|owner| self.thaw(machine, owner));
        }
    }
}
