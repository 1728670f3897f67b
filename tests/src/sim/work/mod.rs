//! Leader-only work (DESIGN §3.4 and §7): on each machine a command of the node's own and one of an `exec` beside it, each
//! under the product's own rules of a runner ([`Rules`](nitro_elect::run::rules::Rules)), and I12 over all of them.
//!
//! Modelled is what drives those rules, as `run/led.rs`, `exec/client.rs`, `exec/server.rs` and `node/work.rs` do it: the
//! node counts who works before anything starts, and until it is told that nothing is left; its own command goes by the
//! lease that the node reports, an exec by proofs with nonces of its own. Commands obey or ignore SIGTERM, and take up to
//! 15 ms to die. A node that dies takes its own command along, by its runner or its supervisor; an exec lives on until its
//! lease ends.
//!
//! Not demanded: anything of a command whose runner is frozen when it has to kill it. Nothing on the machine ends it then,
//! and the gate holds.

mod faults;
mod overlap;
mod workplace;

use nitro_elect::core::event::{Command, Notice};
use nitro_elect::run::rules::{Action, Event, Exit, Lease, Order, Telling};
use nitro_elect_protocol::ids::{Nonce, Term};
use nitro_elect_protocol::time::Boot;
use std::time::Duration;

use super::clock::At;
use super::fault::Fault;
use super::world::{Happening, World};
pub use workplace::Workplace;
use workplace::{Awaits, OWNERS, Owner, Running};

/// How late a runner's alarm is at most.
const ALARM_LATE: Duration = Duration::from_millis(2);
/// How long what was killed takes to die.
const DYING: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(15));

/// Something that is going to happen to work.
#[derive(Debug)]
pub struct Due {
    machine: usize,
    owner: Owner,
    /// For which runner.
    life: u64,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// The runner's alarm goes off.
    Wake(At),
    /// The owner asks, or has waited long enough.
    Ask(At),
    /// A command has ended.
    Ends(u64),
    /// The runner, or the owner, goes on.
    Thaw,
    /// For the node's life of this number an exec that was killed is over.
    Over(u64),
    /// The node has not been asked by its exec for a lease's time, if it still reckons with this end.
    Lapse(Boot),
}

impl World {
    /// What a node tells its workers.
    pub(super) fn work_hears(&mut self, machine: usize, notice: &Notice) {
        let place = &mut self.machines[machine].work;
        match notice {
            Notice::LeaseGained { term, until } | Notice::LeaseExtended { term, until } => {
                place.held = Some((*term, *until));
            }
            Notice::LeaseLost { .. } => place.held = None,
            Notice::EndWork { .. } => place.is_to_end = true,
            Notice::WorkMayGoOn => place.is_to_end = false,
            Notice::Proven(nonce) => {
                let asked = |awaits| matches!(awaits, Awaits::Proof { nonce: asked, .. } if asked == *nonce);
                if place.workers.iter().any(|worker| asked(worker.awaits)) {
                    place.proven.push(*nonce);
                }
            }
            _ => {}
        }
    }

    /// Lets the workers of a node act on what it told, if it has done all that it was asked.
    pub(super) fn follow_work(&mut self, machine: usize) {
        let process = self.machines[machine].process.as_ref();
        let idle = |process: &&super::machine::Process| {
            process.is_free() && process.inbox.is_empty() && process.actions.is_empty()
        };
        let works = self.scenario.works && machine < self.scenario.n && self.observer.is_honest(machine);
        if !works || process.filter(idle).is_none() {
            return;
        }
        OWNERS.into_iter().for_each(|owner| self.follow(machine, owner));
    }

    fn follow(&mut self, machine: usize, owner: Owner) {
        let held = self.held(machine);
        let place = &mut self.machines[machine].work;
        let (is_to_end, worker) = (place.is_to_end, &mut place.workers[owner as usize]);
        // An exec attaches to a new life of the node once nothing of the earlier one's is left.
        if worker.is_owner_frozen || (worker.works && !worker.is_counted) {
            return;
        }
        match worker.awaits {
            Awaits::Begin if held.is_some() && !is_to_end => return self.ask_for_proof(machine, owner),
            Awaits::Begin => return self.work_ended(machine, owner),
            Awaits::Proof { nonce, drawn } => {
                let answered = place.proven.iter().position(|proven| *proven == nonce);
                match answered.map(|at| place.proven.swap_remove(at)) {
                    Some(_) => self.take_proof(machine, owner, drawn),
                    None if owner == Owner::Node => return,
                    None => {}
                }
            }
            Awaits::Nothing => {}
        }
        self.order_work(machine, owner, held, is_to_end);
    }

    /// The lease that a node holds, as it last said.
    fn held(&self, machine: usize) -> Option<(Term, Boot)> {
        self.machines[machine].work.held.filter(|(_, until)| *until > self.boot_of(machine))
    }

    fn boot_of(&self, machine: usize) -> Boot {
        self.machines[machine].clock.read(self.at).boot
    }

    fn lease_of_work(&self, machine: usize) -> Duration {
        self.manifest_of(machine).0.lease()
    }

    /// Begins, or orders what follows from the lease.
    fn order_work(&mut self, machine: usize, owner: Owner, held: Option<(Term, Boot)>, is_to_end: bool) {
        let length = self.lease_of_work(machine);
        let worker = self.machines[machine].work.worker(owner);
        if held.is_none() {
            worker.lease = None;
        }
        if !worker.works {
            if held.is_some() && !is_to_end {
                self.begin_work(machine, owner);
            }
            return;
        }
        let lease = match owner {
            Owner::Node => held.map(|(term, until)| Lease { term, until, length }),
            Owner::Exec => worker.lease,
        };
        if owner == Owner::Exec && worker.awaits != Awaits::Nothing && lease.is_none() && held.is_some() {
            return;
        }
        self.order(machine, owner, lease, is_to_end);
    }

    /// The node is told before anything starts.
    fn begin_work(&mut self, machine: usize, owner: Owner) {
        let place = &mut self.machines[machine].work;
        let worker = place.worker(owner);
        (worker.works, worker.is_counted, worker.awaits) = (true, true, Awaits::Begin);
        place.working += 1;
        if place.working == 1 {
            self.feed(machine, nitro_elect::core::event::Event::Command(Command::Working(true)));
        } else {
            self.follow(machine, owner);
        }
        if owner == Owner::Exec {
            self.counts_until(machine, self.boot_of(machine) + self.lease_of_work(machine));
        }
    }

    fn ask_for_proof(&mut self, machine: usize, owner: Owner) {
        let (nonce, drawn) = (Nonce(self.work_dice.bytes32()), self.boot_of(machine));
        let patience = self.lease_of_work(machine) / 3;
        self.machines[machine].work.worker(owner).awaits = Awaits::Proof { nonce, drawn };
        self.plan_ask(machine, owner, patience);
        self.feed(machine, nitro_elect::core::event::Event::Command(Command::Prove(nonce)));
    }

    fn plan_ask(&mut self, machine: usize, owner: Owner, span: Duration) {
        let at = self.at + span;
        let worker = self.machines[machine].work.worker(owner);
        worker.ask = Some(at);
        let due = Due { machine, owner, life: worker.life, what: What::Ask(at) };
        self.queue.plan(at, Happening::Work(due));
    }

    /// A proof came: an exec's lease counts from when its nonce was drawn.
    fn take_proof(&mut self, machine: usize, owner: Owner, drawn: Boot) {
        let (held, now, length) = (self.held(machine), self.boot_of(machine), self.lease_of_work(machine));
        let worker = self.machines[machine].work.worker(owner);
        worker.awaits = Awaits::Nothing;
        let until = drawn + length - (length / 50).max(Duration::from_millis(5));
        if let Some((term, _)) = held {
            worker.lease = Some(Lease { term, until, length });
        }
        if owner == Owner::Exec {
            self.plan_ask(machine, owner, length / 3);
            self.counts_until(machine, now + length);
        }
    }

    /// The node counts its exec until then, unless that asks again.
    fn counts_until(&mut self, machine: usize, over: Boot) {
        let own = &mut self.machines[machine];
        let worker = own.work.worker(Owner::Exec);
        worker.over = over;
        let due = Due { machine, owner: Owner::Exec, life: worker.life, what: What::Lapse(over) };
        self.queue.plan(own.clock.when(over).max(self.at), Happening::Work(due));
    }

    /// An owner asks again, or has waited in vain.
    fn ask_again(&mut self, machine: usize, owner: Owner) {
        let worker = self.machines[machine].work.worker(owner);
        if std::mem::take(&mut worker.has_lapsed) && worker.works {
            return self.begin_work(machine, owner);
        }
        if worker.is_owner_frozen || !worker.works || !worker.is_counted || worker.awaits == Awaits::Begin {
            return;
        }
        match owner {
            Owner::Node if worker.awaits == Awaits::Nothing => {}
            Owner::Node => self.work_ended(machine, owner),
            Owner::Exec => self.ask_for_proof(machine, owner),
        }
    }

    fn order(&mut self, machine: usize, owner: Owner, lease: Option<Lease>, end: bool) {
        let worker = self.machines[machine].work.worker(owner);
        if lease.is_none() && worker.is_clear {
            // Nothing was started.
            return self.work_ended(machine, owner);
        }
        if (worker.order.lease, worker.order.end) == (lease, end) {
            return;
        }
        worker.order = Order { number: worker.order.number + 1, lease, end, quit: None };
        worker.latest = worker.latest.max(lease.map_or(Boot(0), |lease| lease.until));
        worker.is_clear &= lease.is_none();
        let order = Event::Order(worker.order);
        self.tell_runner(machine, owner, order);
    }

    /// Something happens to a runner.
    fn tell_runner(&mut self, machine: usize, owner: Owner, event: Event) {
        let now = self.boot_of(machine);
        let worker = self.machines[machine].work.worker(owner);
        if worker.is_frozen {
            return worker.inbox.push(event);
        }
        let life = worker.life;
        for action in worker.rules.handle(event, now) {
            match action {
                Action::Start(term) => self.start_command(machine, owner, term),
                Action::End(_) if self.work_dice.chance(500) => {
                    self.plan_end(machine, owner, (Duration::ZERO, self.scenario.lease))
                }
                Action::Kill => self.plan_end(machine, owner, DYING),
                Action::Tell(Telling::Clear { order }) => self.cleared(machine, owner, order),
                Action::End(_) | Action::Tell(_) => {}
            }
        }
        let own = &mut self.machines[machine];
        let worker = own.work.worker(owner);
        let wake = worker.rules.next_wake().filter(|_| worker.life == life);
        let wake = wake.map(|boot| own.clock.when(boot).max(self.at));
        if let Some(wake) = wake.filter(|wake| worker.wake.is_none_or(|planned| *wake < planned)) {
            let late = wake + self.work_dice.span(Duration::ZERO, ALARM_LATE);
            worker.wake = Some(late);
            let due = Due { machine, owner, life, what: What::Wake(late) };
            self.queue.plan(late, Happening::Work(due));
        }
    }

    fn start_command(&mut self, machine: usize, owner: Owner, term: Term) {
        self.tally.count(Fault::Work);
        self.i12_one_node_at_work(machine, term);
        let id = self.work_dice.draw();
        let place = &mut self.machines[machine].work;
        let life = place.worker(owner).life;
        place.running.push(Running { id, owner, life, term, is_excused: false });
        let name = self.machines[machine].name.clone();
        self.trace.note(self.at, &name, || format!("work of {owner:?} begins under term {term}"));
        self.tell_runner(machine, owner, Event::Started);
    }

    /// What a runner has started ends some time in this span.
    fn plan_end(&mut self, machine: usize, owner: Owner, (least, most): (Duration, Duration)) {
        let place = &mut self.machines[machine].work;
        let life = place.worker(owner).life;
        let ids = place.running.iter().filter(|one| (one.owner, one.life) == (owner, life)).map(|one| one.id);
        for id in ids.collect::<Vec<_>>() {
            let at = self.at + self.work_dice.span(least, most);
            self.queue.plan(at, Happening::Work(Due { machine, owner, life, what: What::Ends(id) }));
        }
    }

    fn command_ends(&mut self, machine: usize, owner: Owner, life: u64, id: u64) {
        let place = &mut self.machines[machine].work;
        let before = place.running.len();
        place.running.retain(|one| one.id != id);
        if place.running.len() == before {
            return;
        }
        let name = self.machines[machine].name.clone();
        self.trace.note(self.at, &name, || format!("work of {owner:?} is gone"));
        if self.machines[machine].work.worker(owner).life == life {
            self.tell_runner(machine, owner, Event::Exited(Exit::Signal(9)));
            self.tell_runner(machine, owner, Event::Empty);
        }
    }

    /// The runner says that nothing runs, as of this order.
    fn cleared(&mut self, machine: usize, owner: Owner, order: u64) {
        let worker = self.machines[machine].work.worker(owner);
        if order != worker.order.number {
            return;
        }
        if worker.is_owner_frozen {
            worker.unread = Some(order);
            return;
        }
        self.work_ended(machine, owner);
        self.follow_work(machine);
    }

    /// An owner says that nothing of its own runs.
    fn work_ended(&mut self, machine: usize, owner: Owner) {
        let worker = self.machines[machine].work.worker(owner);
        (worker.works, worker.awaits, worker.lease) = (false, Awaits::Nothing, None);
        worker.is_clear = true;
        if std::mem::take(&mut worker.is_counted) {
            self.one_less_works(machine);
        }
    }

    fn one_less_works(&mut self, machine: usize) {
        let working = &mut self.machines[machine].work.working;
        *working -= 1;
        if *working == 0 {
            self.feed(machine, nitro_elect::core::event::Event::Command(Command::Working(false)));
        }
    }

    /// Something that was planned for work is due.
    pub(super) fn work_due(&mut self, due: Due) {
        let Due { machine, owner, life, what } = due;
        let is_present = self.machines[machine].work.worker(owner).life == life;
        match what {
            What::Ends(id) => self.command_ends(machine, owner, life, id),
            What::Over(node_life) => self.lost_exec_is_over(machine, node_life),
            What::Lapse(over) if is_present => self.exec_lapses(machine, over),
            What::Thaw if is_present => self.thaw(machine, owner),
            What::Wake(at) if is_present && self.machines[machine].work.worker(owner).wake == Some(at) => {
                self.machines[machine].work.worker(owner).wake = None;
                self.tell_runner(machine, owner, Event::Tick);
            }
            What::Ask(at) if is_present && self.machines[machine].work.worker(owner).ask == Some(at) => {
                self.ask_again(machine, owner);
            }
            What::Thaw | What::Wake(_) | What::Ask(_) | What::Lapse(_) => {}
        }
    }
}
