//! Byzantine voters: each owns its key, hears what its machine hears, and signs whatever serves it.
//!
//! A Byzantine machine runs the product's core like all others, so that it gossips, calls and leads as a cunning
//! voter would, but everything that leaves the core passes through [`World::tamper`], and besides that the voter
//! makes moves of its own ([`moves`]) with statements of its own ([`craft`]). It can forge nobody's signature; it
//! has an enclave to itself, and all enclaves answer it at once, without a proxy. When the storm ends it goes on
//! attacking, often with one of the [`plots`] against liveness; or it falls silent; or it gossips and supports nobody.

mod counterfeit;
mod craft;
mod heard;
mod moves;
mod plots;

use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::peer::PeerMessage;
use std::time::Duration;

use super::dice::Dice;
use super::fault::Fault;
use super::world::{Happening, World};
use heard::Heard;
use plots::Plot;

/// A Byzantine voter.
pub struct Adversary {
    machine: usize,
    key: Box<dyn Signer>,
    heard: Heard,
    habits: Habits,
    /// Counts the steps of its plot.
    turn: u64,
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
    /// What it does in a calm that it may attack.
    plot: Plot,
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
            plot: Plot::draw(dice),
            lingers: dice.chance(500),
        }
    }
}

impl World {
    /// Some machines' voters are Byzantine, from the start.
    pub(super) fn build_adversaries(&mut self) {
        for machine in self.scenario.byzantine_machines() {
            self.observer.is_byzantine(machine);
            let key = self.machines[machine].key();
            let habits = Habits::draw(&mut self.dice);
            self.adversaries.push(Adversary { machine, key, heard: Heard::default(), habits, turn: 0 });
            let adversary = self.adversaries.len() - 1;
            self.queue.plan(self.at, Happening::Move { adversary });
        }
    }

    /// The Byzantine voter on a machine, if there is one.
    pub(super) fn adversary_on(&self, machine: usize) -> Option<usize> {
        self.adversaries.iter().position(|adversary| adversary.machine == machine)
    }

    /// Whether adversaries may strike now: in the storm, and after it if that is the scenario's.
    pub(super) fn is_attacked(&self) -> bool {
        !self.calm || self.scenario.attacks_last
    }

    /// Whether a machine is to stay down: its Byzantine voter fell silent.
    pub(super) fn is_silenced(&self, machine: usize) -> bool {
        let adversary = self.adversary_on(machine).filter(|_| !self.is_attacked());
        adversary.is_some_and(|adversary| !self.adversaries[adversary].habits.lingers)
    }

    /// A Byzantine voter hears a message, and may answer on its own besides what its core does.
    pub(super) fn overhear(&mut self, from: usize, to: usize, message: &PeerMessage) {
        let Some(adversary) = self.adversary_on(to).filter(|_| self.is_attacked()) else { return };
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

    /// Whether a Byzantine voter keeps up one attack now, and does nothing else.
    fn is_plotting(&self, adversary: usize) -> bool {
        self.calm && self.adversaries[adversary].habits.plot != Plot::Whim
    }

    /// What becomes of a message that the core of a Byzantine voter sends; none: it is withheld.
    pub(super) fn tamper(&mut self, machine: usize, message: PeerMessage) -> Option<PeerMessage> {
        let Some(adversary) = self.adversary_on(machine) else { return Some(message) };
        if matches!(message, PeerMessage::Digest(_) | PeerMessage::Delta(_)) {
            return Some(message);
        }
        if !self.is_attacked() {
            return None;
        }
        if let PeerMessage::Call(call) = &message {
            self.adversaries[adversary].heard.take_call((**call).clone());
        }
        let habits = self.adversaries[adversary].habits;
        if self.is_plotting(adversary) || self.dice.chance(habits.withholding) {
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
        if !self.is_attacked() {
            return;
        }
        self.choose_manifest();
        let Adversary { machine, habits, .. } = &self.adversaries[adversary];
        let (machine, habits) = (*machine, *habits);
        let wait = self.dice.span(Duration::from_millis(1), self.scenario.lease * 2 / habits.busy);
        let wait = match (self.machines[machine].is_up(), self.is_plotting(adversary)) {
            (true, true) => self.plot_on(adversary, habits.plot),
            (true, false) => {
                self.strike_out(adversary);
                wait
            }
            (false, _) => wait,
        };
        self.queue.plan(self.at + wait, Happening::Move { adversary });
    }
}
