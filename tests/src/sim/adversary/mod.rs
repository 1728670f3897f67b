//! Byzantine voters: each owns its key, hears what its machine hears, and signs whatever serves it.
//!
//! A Byzantine machine runs the product's core like all others, so that it gossips, calls and leads as a cunning
//! voter would, but everything that leaves the core passes through [`World::tamper`], and besides that the voter
//! makes moves of its own ([`moves`]) with statements of its own ([`craft`]). It can forge nobody's signature; it
//! has an enclave to itself, and all enclaves answer it at once, without a proxy. When the storm ends it falls
//! silent, or goes on gossiping and supports nobody.

mod craft;
mod heard;
mod moves;

use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::peer::PeerMessage;
use std::time::Duration;

use super::dice::Dice;
use super::fault::Fault;
use super::world::{Happening, World};
use heard::Heard;

/// A Byzantine voter.
pub struct Adversary {
    machine: usize,
    key: Box<dyn Signer>,
    heard: Heard,
    habits: Habits,
}

/// What one Byzantine voter makes a habit of, in thousandths.
#[derive(Clone, Copy, Debug)]
struct Habits {
    /// Signs for every call and promises every leader, whatever it did before.
    obliging: u64,
    /// Holds back what its core sends in an election.
    withholding: u64,
    /// Signs other views than its core's.
    lying: u64,
    /// Moves in a lease.
    busy: u32,
    /// Whether it gossips in the calm, and no more, instead of falling silent.
    lingers: bool,
}

impl Habits {
    fn draw(dice: &mut Dice) -> Self {
        let rate = |dice: &mut Dice| *dice.pick(&[0, 100, 500, 1000]);
        Habits {
            obliging: rate(dice),
            withholding: *dice.pick(&[0, 0, 100, 900]),
            lying: rate(dice),
            busy: *dice.pick(&[2, 10, 40]),
            lingers: dice.chance(500),
        }
    }
}

impl World {
    /// The last machines' voters are Byzantine, from the start.
    pub(super) fn build_adversaries(&mut self) {
        let n = self.machines.len();
        for machine in n - self.scenario.byzantine..n {
            self.observer.is_byzantine(machine);
            let key = self.machines[machine].key();
            let habits = Habits::draw(&mut self.dice);
            self.adversaries.push(Adversary { machine, key, heard: Heard::default(), habits });
            let adversary = self.adversaries.len() - 1;
            self.queue.plan(self.at, Happening::Move { adversary });
        }
    }

    /// The Byzantine voter on a machine, if there is one.
    pub(super) fn adversary_on(&self, machine: usize) -> Option<usize> {
        let first = self.machines.len() - self.adversaries.len();
        machine.checked_sub(first)
    }

    /// Whether a machine is to stay down: its Byzantine voter fell silent.
    pub(super) fn is_silenced(&self, machine: usize) -> bool {
        let adversary = self.adversary_on(machine).filter(|_| self.calm);
        adversary.is_some_and(|adversary| !self.adversaries[adversary].habits.lingers)
    }

    /// A Byzantine voter hears a message, and may answer on its own besides what its core does.
    pub(super) fn overhear(&mut self, from: usize, to: usize, message: &PeerMessage) {
        let Some(adversary) = self.adversary_on(to).filter(|_| !self.calm) else { return };
        self.adversaries[adversary].heard.take_in(message);
        let obliging = self.adversaries[adversary].habits.obliging;
        if !self.dice.chance(obliging) {
            return;
        }
        let answer = match message {
            PeerMessage::Call(call) => self.craft_view_for(adversary, from, call),
            PeerMessage::Renew(renew) => self.craft_promise(adversary, from, renew),
            PeerMessage::PreVote(vote) => Some(self.craft_vote(vote.round)),
            _ => None,
        };
        if let Some(answer) = answer {
            self.tally.count(Fault::Perjury);
            self.send(to, from, answer);
        }
    }

    /// What becomes of a message that the core of a Byzantine voter sends; none: it is withheld.
    pub(super) fn tamper(&mut self, machine: usize, message: PeerMessage) -> Option<PeerMessage> {
        let Some(adversary) = self.adversary_on(machine) else { return Some(message) };
        if matches!(message, PeerMessage::Digest(_) | PeerMessage::Delta(_)) {
            return Some(message);
        }
        if self.calm {
            return None;
        }
        let habits = self.adversaries[adversary].habits;
        if self.dice.chance(habits.withholding) {
            self.tally.count(Fault::Withheld);
            return None;
        }
        match message {
            PeerMessage::CallAnswer(answer) if answer.outcome.is_ok() && self.dice.chance(habits.lying) => {
                self.tally.count(Fault::Perjury);
                Some(self.craft_other_view(adversary, *answer))
            }
            message => Some(message),
        }
    }

    /// A Byzantine voter makes a move of its own, and plans the next.
    pub(super) fn make_move(&mut self, adversary: usize) {
        if self.calm {
            return;
        }
        let Adversary { machine, habits, .. } = &self.adversaries[adversary];
        let (machine, busy) = (*machine, habits.busy);
        if self.machines[machine].is_up() {
            self.strike_out(adversary);
        }
        let lease = self.scenario.lease;
        let next = self.at + self.dice.span(Duration::from_millis(1), lease * 2 / busy);
        self.queue.plan(next, Happening::Move { adversary });
    }
}
