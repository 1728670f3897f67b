//! Attacks on liveness that a Byzantine voter keeps up for as long as it may: each starved a cluster when the guard
//! against it was missing (back-off, the bound on terms and its base).

use nitro_elect_protocol::enclave_api::Elect;
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::limits::TERM_MAX;
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::seal::SealedView;
use std::time::Duration;

use super::craft::Target;
use crate::sim::clock::EPOCH;
use crate::sim::dice::Dice;
use crate::sim::fault::Fault;
use crate::sim::world::World;

/// How far above what is certified a voter believes a term at once (DESIGN §3.2).
const WINDOW: u64 = 1024;

/// What a Byzantine voter does again and again once the storm is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// Whatever comes to its mind.
    Whim,
    /// Calls, takes the promises, and has nobody count the views.
    Withhold,
    /// Calls, and resigns a moment later.
    CallAndResign,
    /// Drives one voter's record up by as much as it believes, and frees it for the next time.
    Climb,
    /// Has another elected, and keeps the promises from it.
    Nominate,
}

impl Plot {
    /// One of them.
    pub fn draw(dice: &mut Dice) -> Self {
        use Plot::*;
        *dice.pick(&[Whim, Whim, Whim, Whim, Withhold, CallAndResign, Climb, Nominate])
    }
}

impl World {
    /// The next thing in a plot, and how long it takes until the one after.
    pub(super) fn plot_on(&mut self, adversary: usize, plot: Plot) -> Duration {
        let lease = self.scenario.lease;
        let turn = self.adversaries[adversary].turn;
        self.adversaries[adversary].turn += 1;
        match (plot, turn % 3) {
            (Plot::Whim, _) => self.strike_out(adversary),
            (Plot::Withhold, 0) | (Plot::CallAndResign, 0 | 1) | (Plot::Nominate, 0) => {
                self.call_for_next_term(adversary)
            }
            (Plot::Withhold, _) => {}
            (Plot::CallAndResign, _) => self.resign_from_all(adversary, None),
            (Plot::Climb, _) => self.climb(adversary),
            (Plot::Nominate, 1) => self.nominate(adversary),
            (Plot::Nominate, _) => self.publish_newest(adversary),
        }
        self.dice.span(lease / 60, lease / 20)
    }

    /// Calls the term above all it heard of, with an enclave that answers.
    fn call_for_next_term(&mut self, adversary: usize) {
        self.tally.count(Fault::PlottedCall);
        let term = self.adversaries[adversary].heard.term.next();
        let host = self.dice.below(self.hosts.len() as u64) as usize;
        let Some(call) = self.a_call(adversary, term, host) else { return };
        for to in 0..self.machines.len() {
            self.tell(adversary, to, PeerMessage::Call(Box::new(call.clone())));
        }
    }

    fn climb(&mut self, adversary: usize) {
        self.tally.count(Fault::PlottedCall);
        let heard = self.adversaries[adversary].heard.term.0;
        let clock = EPOCH.0 + self.at.0 / 1_000_000;
        let term = Term((heard.max(clock) + WINDOW - 1).min(TERM_MAX));
        let victim = (self.adversaries[adversary].machine + 1) % self.scenario.n;
        let host = self.dice.below(self.hosts.len() as u64) as usize;
        let Some(call) = self.a_call(adversary, term, host) else { return };
        self.tell(adversary, victim, PeerMessage::Call(Box::new(call)));
        self.resign_from_all(adversary, Some(victim));
    }

    /// Has the enclave of its newest call count what came, with a view of its own that does not stand for election.
    fn nominate(&mut self, adversary: usize) {
        let Some(call) = self.adversaries[adversary].heard.calls.back().cloned() else { return };
        let coordinator = self.machines[self.adversaries[adversary].machine].id;
        let target =
            Target { enclave: call.enclave, term: call.term, coordinator, generation: call.generation };
        let all: Vec<NodeId> = self.electorate.voters.iter().map(|voter| voter.key).collect();
        let own = self.sign_view(adversary, target, &call.document, |view| {
            (view.active, view.eligible, view.preferred, view.accepted) = (all, false, None, None);
        });
        let heard = self.adversaries[adversary].heard.views.iter();
        let views = heard.filter(|(term, _)| *term == call.term).map(|(_, sealed)| sealed.clone());
        let views: Vec<SealedView> = views.chain(own).collect();
        let (electorate, term, generation) = (self.electorate.clone(), call.term, call.generation);
        for host in 0..self.hosts.len() {
            let views = views.clone();
            self.ask_directly(
                adversary,
                host,
                Elect { electorate: electorate.clone(), term, coordinator, generation, views },
            );
        }
    }

    fn publish_newest(&mut self, adversary: usize) {
        let Some(bundle) = self.adversaries[adversary].heard.bundles.back().cloned() else { return };
        for to in 0..self.machines.len() {
            self.tell(adversary, to, PeerMessage::Certificate(Box::new(bundle.clone())));
        }
    }
}
