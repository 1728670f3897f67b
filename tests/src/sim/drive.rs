//! Drives the nodes' cores as their contract asks: actions in order, nothing before a write has ended, and ticks
//! that come late, twice or not at all.

use nitro_elect::core::config::{Membership, Observers, Predecessor};
use nitro_elect::core::durable::Record;
use nitro_elect::core::event::{Action, Event, Notice};
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::time::Boot;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::clock::At;
use super::describe;
use super::fault::Fault;
use super::machine::INBOX_MAX;
use super::violation::Invariant;
use super::world::{Happening, World};

impl World {
    pub(super) fn start(&mut self, machine: usize) {
        let not_yet = !self.calm && self.scenario.joins_late == Some(machine);
        if self.machines[machine].is_up() || self.is_silenced(machine) || not_yet {
            return;
        }
        let seed = self.dice.bytes32();
        self.move_on(machine);
        let membership = self.membership(machine);
        self.machines[machine].start(membership, self.crypto.clone(), seed, self.at);
        let generation = self.machines[machine].disk.record.generation;
        let name = self.machines[machine].name.clone();
        self.trace.note(self.at, &name, || format!("starts, generation {generation}"));
        self.feed(machine, Event::Tick);
    }

    fn membership(&self, machine: usize) -> (Membership, Option<Predecessor>) {
        let (electorate, predecessor) = self.manifest_of(machine);
        let followers: BTreeSet<NodeId> = self.followers_of(electorate).collect();
        let electorate = Box::new(electorate.clone());
        if self.scenario.open {
            let template = Electorate { voters: Vec::new(), ..*electorate };
            return (Membership::Open { template: Box::new(template), alone: false }, None);
        }
        let observers = if followers.is_empty() { Observers::Off } else { Observers::Listed(followers) };
        (Membership::Manifest { electorate, observers }, predecessor)
    }

    /// Hands an event to a node, now or when it has time.
    pub(super) fn feed(&mut self, machine: usize, event: Event) {
        let Some(process) = &mut self.machines[machine].process else { return };
        if process.inbox.len() < INBOX_MAX {
            process.inbox.push_back(event);
        }
        self.go_on(machine);
    }

    /// Does what a process can do now: the rest of its actions, then the events that wait.
    fn go_on(&mut self, machine: usize) {
        loop {
            let Some(process) = &mut self.machines[machine].process else { return };
            if !process.is_free() {
                return;
            }
            if let Some(action) = process.actions.pop_front() {
                self.perform(machine, action);
            } else if let Some(event) = process.inbox.pop_front() {
                self.handle(machine, event);
            } else {
                self.plan_tick(machine);
                return self.follow_work(machine);
            }
        }
    }

    fn handle(&mut self, machine: usize, event: Event) {
        if self.trace.is_kept()
            && let Some(text) = describe::event(self, &event)
        {
            self.trace.note(self.at, &self.machines[machine].name, || text);
        }
        let own = &mut self.machines[machine];
        let now = own.clock.read(self.at);
        let Some(process) = &mut own.process else { return };
        match catch_unwind(AssertUnwindSafe(|| process.core.handle(event, now))) {
            Ok(actions) => process.actions.extend(actions),
            Err(_) => {
                let what = format!("{} panics", own.name);
                self.observer.violation = Some(self.violated(Invariant::I11, what));
            }
        }
    }

    fn perform(&mut self, machine: usize, action: Action) {
        if self.trace.is_kept()
            && let Some(text) = describe::action(self, &action)
        {
            self.trace.note(self.at, &self.machines[machine].name, || text);
        }
        match action {
            Action::Persist(record) => self.write(machine, record),
            // A log that cannot be written keeps nobody from anything.
            Action::Append(_) if self.machines[machine].failing_writes > 0 => {}
            Action::Append(bundle) => {
                self.succession.iter_mut().for_each(|succession| succession.see(&bundle));
                self.machines[machine].disk.newest = Some(*bundle);
            }
            Action::Keep(piece) => self.machines[machine].disk.evidence.push(*piece),
            Action::Send { to, message } => {
                self.observer.sends(self.at, machine, &message, &self.crypto);
                if let (Some(to), Some(message)) = (self.index_of(&to), self.tamper(machine, message)) {
                    self.send(machine, to, message);
                }
            }
            Action::Ask { enclave, request, message } => {
                self.observer.asks(self.at, machine, &message, &self.crypto);
                self.ask(machine, enclave, request, message);
            }
            Action::Dial { .. } => {}
            Action::Notice(notice) => self.notice(machine, &notice),
            // Its own statements under its key told it so. It comes back in a later life.
            Action::Halt(_) if !self.observer.is_honest(machine) => self.crash(machine, false),
            Action::Halt(reason) => {
                let what = format!("{} stops: {reason}", self.machines[machine].name);
                self.observer.violation = Some(self.violated(Invariant::I11, what));
            }
        }
    }

    fn notice(&mut self, machine: usize, notice: &Notice) {
        let process = self.machines[machine].process.as_ref().filter(|_| self.scenario.open);
        let clock = &self.machines[machine].clock;
        let held = matches!(notice, Notice::LeaseGained { .. } | Notice::LeaseExtended { .. });
        let list = process.filter(|_| held).map(|process| {
            let status = process.core.status(clock.read(self.at));
            status.electorate.voters.iter().map(|voter| voter.key).collect()
        });
        let when = |boot: Boot| clock.when(boot);
        self.observer.notices(self.at, machine, notice, list, when);
        self.work_hears(machine, notice);
    }

    fn write(&mut self, machine: usize, record: Record) {
        let sync = self.dice.span(self.scenario.sync / 4, self.scenario.sync);
        let own = &mut self.machines[machine];
        let life = own.life;
        if let Some(process) = &mut own.process {
            process.writing = Some(record);
        }
        self.queue.plan(self.at + sync, Happening::Written { machine, life });
        if std::mem::take(&mut self.machines[machine].doomed) {
            self.tally.count(Fault::CrashInWrite);
            self.crash(machine, false);
        } else if !self.calm && self.dice.chance(self.scenario.fatal_writes) {
            self.tally.count(Fault::CrashInWrite);
            let crash = self.at + self.dice.span(Duration::ZERO, self.scenario.sync * 2);
            self.queue.plan(crash, Happening::Crash { machine, life });
        }
    }

    /// A write has ended, well or not; one that failed may have reached the disk all the same.
    pub(super) fn written(&mut self, machine: usize, life: u64) {
        if !self.lives(machine, life) {
            return;
        }
        let own = &mut self.machines[machine];
        let fails = own.failing_writes > 0;
        own.failing_writes = own.failing_writes.saturating_sub(1);
        let Some(process) = &mut own.process else { return };
        let Some(record) = process.writing.take() else { return };
        if !fails || self.dice.chance(500) {
            own.disk.record = record;
        }
        if fails {
            process.actions.clear();
            process.inbox.push_front(Event::NotPersisted);
            self.tally.count(Fault::DiskFailure);
        }
        self.go_on(machine);
    }

    pub(super) fn resume(&mut self, machine: usize, life: u64) {
        if !self.lives(machine, life) {
            return;
        }
        self.trace.note(self.at, &self.machines[machine].name, || "goes on".into());
        if let Some(process) = &mut self.machines[machine].process {
            process.paused_until = None;
        }
        self.go_on(machine);
    }

    /// Plans the tick that the core asks for, unless an earlier one is planned.
    fn plan_tick(&mut self, machine: usize) {
        let own = &mut self.machines[machine];
        let (life, at) = (own.life, self.at);
        let Some(process) = &mut own.process else { return };
        let wake = own.clock.when(process.core.next_wake()).max(at);
        if process.tick.is_some_and(|tick| tick <= wake) {
            return;
        }
        process.tick = Some(wake);
        self.queue.plan(wake, Happening::Tick { machine, life, planned: wake });
    }

    pub(super) fn tick(&mut self, machine: usize, life: u64, planned: At) {
        if !self.lives(machine, life) {
            return;
        }
        let (lease, rates, at) = (self.scenario.lease, self.scenario.ticks, self.at);
        let own = &mut self.machines[machine];
        let Some(process) = own.process.as_mut().filter(|process| process.tick == Some(planned)) else {
            return;
        };
        process.tick = None;
        if own.clock.when(process.core.next_wake()) > at {
            return self.plan_tick(machine);
        }
        if !self.calm && self.dice.chance(rates.late) {
            self.tally.count(Fault::TickLate);
            let late = at + self.dice.span(Duration::ZERO, lease / 2);
            return self.queue.plan(late, Happening::ExtraTick { machine, life });
        }
        if !self.calm && self.dice.chance(rates.dropped) {
            self.tally.count(Fault::TickDropped);
            return self.queue.plan(at + lease / 10, Happening::ExtraTick { machine, life });
        }
        if !self.calm && self.dice.chance(rates.doubled) {
            self.tally.count(Fault::TickDouble);
            let again = at + self.dice.span(Duration::ZERO, lease / 10);
            self.queue.plan(again, Happening::ExtraTick { machine, life });
        }
        self.feed(machine, Event::Tick);
    }
}
