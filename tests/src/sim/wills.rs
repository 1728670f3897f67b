//! What a process leaves behind when it ends, and what its supervisor makes of that: the product's own judgement,
//! [`Estate::judge`], over a modelled supervisor.
//!
//! Work that only a leader may do can outlive its node: for the observer, the lease is then believed on, until the work
//! is gone or the lease ends. A will that is sent meanwhile makes two leaders, and I4 sees it.

use nitro_elect::supervisor::estate::{End, Estate};
use nitro_elect::supervisor::message::{Report, Voter};
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::statement::Signed;
use std::time::Duration;

use super::clock::At;
use super::dice::Dice;
use super::fault::Fault;
use super::world::{Happening, World};

/// SIGKILL.
const KILLED: End = End::Signal(9);

/// What a process that ended leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    /// Nothing.
    Nothing,
    /// Leader-only commands, which its supervisor has made an end of after so long.
    Commands(Duration),
    /// A leader-only command that does not end, whatever its supervisor does.
    Stuck,
    /// A runner beside it, which reckons the lease itself and acts until its end.
    Runner,
}

/// A supervisor that has done what it can: whose, since when its node is gone, and the will that it may send.
#[derive(Debug)]
pub struct Swept {
    pub(super) machine: usize,
    pub(super) died: At,
    remains: Remains,
    will: Option<Signed<Resign>>,
}

impl World {
    /// What is left of a process that ends now.
    pub(super) fn draw_remains(&mut self, machine: usize) -> Remains {
        let mut fate = self.fate();
        if machine >= self.scenario.n || self.scenario.works || !fate.chance(self.scenario.remains) {
            return Remains::Nothing;
        }
        let lease = self.scenario.lease;
        let remains = *fate.pick(&[
            Remains::Commands(fate.clone().span(Duration::ZERO, lease)),
            Remains::Stuck,
            Remains::Runner,
        ]);
        self.tally.count(match remains {
            Remains::Nothing | Remains::Commands(_) => Fault::CommandLeft,
            Remains::Stuck => Fault::CommandStuck,
            Remains::Runner => Fault::RunnerLeft,
        });
        remains
    }

    /// A stream for what becomes of one process: it shifts no other draws.
    fn fate(&self) -> Dice {
        self.dice.clone().fork()
    }

    /// The supervisor of a process that just ended sets to work.
    pub(super) fn supervise(&mut self, machine: usize, remains: Remains, will: Option<Signed<Resign>>) {
        let swept = Swept { machine, died: self.at, remains, will };
        match remains {
            Remains::Commands(span) => {
                self.queue.plan(self.at + span, Happening::Swept(Box::new(swept)));
            }
            _ => self.swept(swept),
        }
    }

    /// The supervisor has made an end of what it could, and judges.
    pub(super) fn swept(&mut self, swept: Swept) {
        let Swept { machine, died, remains, will } = swept;
        let mut estate = Estate::default();
        will.iter().for_each(|_| estate.leave());
        let others =
            self.machines.iter().take(self.scenario.n).filter(|other| other.id != self.machines[machine].id);
        let voters = others.map(|other| Voter { key: other.id, address: other.address.clone() });
        estate.hear(Report::Voters(voters.collect()));
        if remains == Remains::Runner {
            estate.hear(Report::RunnerAttached { id: 0 });
        }
        let gone = match remains {
            Remains::Stuck => Err("a command does not end".to_owned()),
            _ => Ok(()),
        };
        if !matches!(remains, Remains::Stuck | Remains::Runner) {
            self.observer.is_gone(machine, died);
        }
        if let (Some(will), Ok(())) = (will, estate.judge(KILLED, gone)) {
            self.tally.count(Fault::LastWill);
            self.deliver(machine, &will);
        }
    }

    /// Sends a will to everybody; some come late, and some once more, whatever has begun since.
    fn deliver(&mut self, machine: usize, will: &Signed<Resign>) {
        let mut fate = self.fate();
        for to in (0..self.machines.len()).filter(|to| *to != machine) {
            let late = !self.calm && self.dice.chance(self.scenario.weather.late);
            let most = if late { self.scenario.lease * 2 } else { self.scenario.latency.1 * 2 };
            let at = self.at + self.dice.span(self.scenario.latency.0, most);
            let message = PeerMessage::Resign(will.clone());
            if !self.calm && fate.chance(self.scenario.remains) {
                self.tally.count(Fault::WillReplayed);
                let again = at + fate.span(Duration::ZERO, self.scenario.lease * 6);
                let message = message.clone();
                self.queue.plan(again, Happening::ArriveAlone { from: machine, to, message });
            }
            self.queue.plan(at, Happening::ArriveAlone { from: machine, to, message });
        }
    }

    /// Sends the will of a process that lives: what no supervisor does.
    pub fn betray(&mut self, machine: usize) {
        let will = self.machines[machine].last_will();
        will.iter().for_each(|will| self.deliver(machine, will));
    }
}
