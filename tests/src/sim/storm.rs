//! The storm: what strikes, when, and for how long; and the calm after it.

use nitro_elect::core::event::Command;
use nitro_elect_protocol::ids::Nonce;
use std::time::Duration;

use super::ending::Ending;
use super::fault::Fault;
use super::wills::Remains;
use super::world::{Happening, World};

impl World {
    /// Something strikes, and the next strike is planned.
    pub(super) fn strike(&mut self) {
        if self.calm {
            return;
        }
        if let Some(fault) = self.scenario.weights.next(&mut self.dice) {
            self.cause(fault);
        }
        let every = self.scenario.fault_every;
        let next = self.at + self.dice.span(every / 4, every * 2);
        self.queue.plan(next, Happening::Strike);
    }

    fn cause(&mut self, fault: Fault) {
        let machine = self.dice.below(self.machines.len() as u64) as usize;
        let span = self.a_while();
        match fault {
            Fault::Crash => self.crash(machine, false),
            Fault::Reboot => self.crash(machine, true),
            Fault::Pause => self.pause(machine, span),
            Fault::RunnerFrozen | Fault::ExecFrozen => self.freeze(machine, fault, span),
            Fault::ExecKilled => self.kill_exec(machine),
            Fault::Break => self.break_one(machine),
            Fault::Partition => self.partition(span),
            Fault::OneWay => self.one_way(machine, span),
            Fault::Slow => self.machines[machine].slow_until = self.at + span,
            Fault::EnclaveRestart => self.restart_enclave(Duration::from_millis(1)),
            // These are counted when it comes to them.
            Fault::EnclaveStruck => return self.ambush = true,
            Fault::CrashInWrite => return self.machines[machine].doomed = true,
            Fault::EnclaveClone if !self.clone_enclave() => return,
            Fault::EnclaveDown => self.restart_enclave(span),
            Fault::ProxyDown => self.lose_proxy(span),
            Fault::DiskFailure => self.machines[machine].failing_writes += self.dice.between(1, 3),
            Fault::WallJump => self.jump_wall(machine),
            Fault::StepDown => self.command_leader(),
            Fault::Drain => self.command_for(machine, span, Command::Drain),
            Fault::Unhealthy => self.command_for(machine, span, Command::Unhealthy),
            Fault::Prove => {
                let nonce = Nonce(self.dice.bytes32());
                self.queue.plan(self.at, Happening::Command { machine, command: Command::Prove(nonce) });
            }
            _ => {}
        }
        if fault != Fault::DiskFailure {
            self.tally.count(fault);
        }
    }

    fn a_while(&mut self) -> Duration {
        let lease = self.scenario.lease;
        let most = *self.dice.pick(&self.scenario.faults_last);
        self.dice.span(lease / 100, most)
    }

    /// A process ends, and starts again later.
    pub(super) fn crash(&mut self, machine: usize, reboots: bool) {
        let down = self.a_while();
        self.crash_for(machine, reboots, down);
    }

    /// A process ends, and starts again after a span.
    pub(super) fn crash_for(&mut self, machine: usize, reboots: bool, down: Duration) {
        let remains = if reboots { Remains::Nothing } else { self.draw_remains(machine) };
        self.crash_leaving(machine, reboots, down, remains);
    }

    /// The same, leaving this behind.
    pub(super) fn crash_leaving(&mut self, machine: usize, reboots: bool, down: Duration, remains: Remains) {
        if !self.machines[machine].is_up() {
            return;
        }
        let will = self.machines[machine].last_will();
        let keep_write = self.dice.chance(500);
        if self.machines[machine].crash(keep_write) {
            self.tally.count(Fault::LostWrite);
        }
        let left_work = remains != Remains::Nothing && !self.scenario.works;
        let remains = if self.scenario.works { self.work_loses_its_node(machine, reboots) } else { remains };
        self.observer.ended(self.at, machine, left_work);
        let name = self.machines[machine].name.clone();
        self.trace.note(self.at, &name, || if reboots { "goes down" } else { "crashes" }.into());
        if reboots {
            self.machines[machine].clock.reboot(self.at);
        }
        for peer in (0..self.machines.len()).filter(|peer| *peer != machine) {
            self.disconnect(machine, peer);
        }
        let votes = machine < self.scenario.n;
        if votes && !reboots && self.dice.chance(self.scenario.last_wills) {
            self.supervise(machine, remains, will);
        }
        self.queue.plan(self.at + down, Happening::Start { machine });
    }

    /// A process does not run for a while; what arrives waits for it.
    pub(super) fn pause(&mut self, machine: usize, span: Duration) {
        let (until, life) = (self.at + span, self.machines[machine].life);
        let Some(process) = &mut self.machines[machine].process else { return };
        if process.paused_until.is_some() {
            return;
        }
        process.paused_until = Some(until);
        let name = self.machines[machine].name.clone();
        self.trace.note(self.at, &name, || format!("is paused until {until}"));
        self.queue.plan(until, Happening::Resume { machine, life });
    }

    fn break_one(&mut self, machine: usize) {
        let peer = self.dice.below(self.machines.len() as u64) as usize;
        if peer != machine {
            self.trace.note(self.at, "net", || format!("n{} - n{} breaks", machine + 1, peer + 1));
            self.disconnect(machine, peer);
        }
    }

    fn partition(&mut self, span: Duration) {
        let all: Vec<usize> = (0..self.machines.len()).collect();
        let side = self.dice.subset(&all);
        let seconds = span.as_secs_f64();
        self.trace
            .note(self.at, "net", || format!("machines {side:?} (from 0) are cut off for {seconds:.3} s"));
        for (a, b) in self.links.pairs() {
            if side.contains(&a) != side.contains(&b) {
                self.cut(a, b, span);
                self.cut(b, a, span);
            }
        }
    }

    fn one_way(&mut self, from: usize, span: Duration) {
        let to = self.dice.below(self.machines.len() as u64) as usize;
        if to != from {
            self.trace.note(self.at, "net", || format!("n{} -> n{} loses everything", from + 1, to + 1));
            self.cut(from, to, span);
        }
    }

    fn restart_enclave(&mut self, down: Duration) {
        if !self.can_boot() {
            return;
        }
        let host = self.dice.below(self.hosts.len() as u64) as usize;
        let name = self.hosts[host].name.clone();
        self.trace.note(self.at, &name, || "ends".into());
        self.hosts[host].service = None;
        self.queue.plan(self.at + down, Happening::Boot { host });
    }

    fn lose_proxy(&mut self, down: Duration) {
        let proxy = self.dice.below(self.proxies.len() as u64) as usize;
        self.proxies[proxy].is_up = false;
        self.queue.plan(self.at + down, Happening::ProxyUp { proxy });
    }

    /// By seconds, or ahead by minutes; not so far that attestation documents expire. Now and then so far behind
    /// that they lie in the future: to refuse one costs the verifier all its P-384 each time.
    fn jump_wall(&mut self, machine: usize) {
        self.machines[machine].clock.wall_ahead_ms = match self.dice.below(20) {
            0 => -600_000,
            1..10 => self.dice.between(0, 1_800_000) as i64,
            _ => self.dice.between(0, 60_000) as i64 - 30_000,
        };
    }

    fn command_leader(&mut self) {
        let leader = (0..self.machines.len()).find(|node| self.observer.lease_of(*node, self.at).is_some());
        let Some(machine) = leader else { return };
        let to = self.dice.below(self.machines.len() as u64) as usize;
        let to = self.dice.chance(500).then(|| self.machines[to].id);
        self.queue.plan(self.at, Happening::Command { machine, command: Command::StepDown { to } });
    }

    fn command_for(&mut self, machine: usize, span: Duration, command: fn(bool) -> Command) {
        self.queue.plan(self.at, Happening::Command { machine, command: command(true) });
        self.queue.plan(self.at + span, Happening::Command { machine, command: command(false) });
    }

    /// The storm is over: everything that was broken is mended at once.
    pub(super) fn calm_down(&mut self) {
        (self.calm, self.ambush) = (true, false);
        self.trace.note(self.at, "all", || "calm".into());
        self.links.mend_all();
        self.catch_up();
        self.thaw_all();
        for machine in 0..self.machines.len() {
            self.machines[machine].slow_until = self.at;
            self.machines[machine].failing_writes = 0;
            self.machines[machine].doomed = false;
            self.machines[machine].clock.wall_ahead_ms = 0;
            let life = self.machines[machine].life;
            if self.is_silenced(machine) {
                self.crash(machine, false);
            }
            self.queue.plan(self.at, Happening::Start { machine });
            self.queue.plan(self.at, Happening::Resume { machine, life });
            for command in [Command::Drain(false), Command::Unhealthy(false)] {
                self.queue.plan(self.at, Happening::Command { machine, command });
            }
        }
        for host in 0..self.hosts.len() {
            self.queue.plan(self.at, Happening::Boot { host });
        }
        self.proxies.iter_mut().for_each(|proxy| proxy.is_up = true);
        self.reform_proxies();
        self.ending = Some(Ending::of(self));
    }
}
