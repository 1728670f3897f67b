//! The end of every world: no faults any more, and convergence is demanded (I8, I9).

use nitro_elect_protocol::ids::{NodeId, Term};
use std::collections::BTreeSet;
use std::time::Duration;

use super::clock::At;
use super::violation::Invariant;
use super::world::World;

/// Leases that a connected cluster may take (DESIGN §4, I8 and I9).
const LEASES: u32 = 3;
/// Leases that it must stay as it is, then.
const STEADY: u32 = 2;

/// What is demanded, and what was seen.
#[derive(Clone, Debug)]
pub struct Ending {
    /// When everybody can be connected again.
    connected: At,
    /// When a lease must be held, and all agree.
    deadline: At,
    /// When the world ends.
    end: At,
    held: Seen,
    agreed: Seen,
    next_look: At,
    /// Whether its demands were all met, and the outage's have taken their place.
    is_spent: bool,
}

/// When something was first and last so. A planned hand-over interrupts it for a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    first: Option<At>,
    last: At,
}

impl Seen {
    fn note(&mut self, at: At) {
        self.first.get_or_insert(at);
        self.last = at;
    }

    fn is_missing(&self, at: At, allowed: Duration) -> bool {
        self.first.is_none() || at.since(self.last) > allowed
    }
}

impl Ending {
    /// The demands on a world that has just become calm.
    pub fn of(world: &World) -> Self {
        let lease = world.scenario.lease;
        // Silent addresses are dialled again within half a lease.
        let connected = world.at + lease / 2 + world.scenario.latency.1 * 4;
        let deadline = connected + lease * (LEASES + world.scenario.byzantine as u32);
        let end = deadline + lease * STEADY;
        let (held, agreed) = (Seen::default(), Seen::default());
        Ending { connected, deadline, end, held, agreed, next_look: world.at, is_spent: false }
    }

    /// How long it took until a lease was held, and until all agreed, from the time all could be connected.
    pub fn times(&self) -> (Option<Duration>, Option<Duration>) {
        let since = |at: At| at.since(self.connected);
        (self.held.first.map(since), self.agreed.first.map(since))
    }
}

impl World {
    /// Whether the world has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.outage.is_none() && self.ending.as_ref().is_some_and(|ending| self.at >= ending.end)
    }

    /// What the ending saw, once there is one.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Looks whether the demands are met, a few times a lease.
    pub(super) fn check_ending(&mut self) {
        let Some(mut ending) = self.ending.take() else { return };
        if self.at >= ending.end && self.scenario.outage > 0 && !ending.is_spent {
            ending.is_spent = true;
            self.begin_outage();
        }
        if self.at >= ending.next_look && !ending.is_spent {
            ending.next_look = self.at + self.scenario.lease / 20;
            self.look(&mut ending);
        }
        self.ending = Some(ending);
    }

    fn look(&mut self, ending: &mut Ending) {
        let held = self.holder();
        if held.is_some() {
            ending.held.note(self.at);
        }
        if self.agreement().is_some_and(|(leader, _)| held == self.index_of(&leader)) {
            ending.agreed.note(self.at);
        }
        if self.at < ending.deadline {
            return;
        }
        let lease = self.scenario.lease;
        if ending.held.is_missing(self.at, lease / 2) {
            let what = format!("no honest node holds a lease; {}", self.why_not());
            self.observer.violation = Some(self.violated(Invariant::I8, what));
        } else if ending.agreed.is_missing(self.at, lease) {
            let what = format!("the honest nodes do not agree: {}", self.opinions());
            self.observer.violation = Some(self.violated(Invariant::I9, what));
        }
    }

    /// The honest node that holds the lease now.
    pub fn holder(&self) -> Option<usize> {
        (0..self.machines.len()).find(|node| self.observer.lease_of(*node, self.at).is_some())
    }

    /// Leader and term, if all honest nodes that run see the same, and the same nodes active.
    pub fn agreement(&self) -> Option<(NodeId, Term)> {
        let mut seen = BTreeSet::new();
        for machine in self.honest() {
            let own = &self.machines[machine];
            let status = own.process.as_ref()?.core.status(own.clock.read(self.at));
            let active = status.members.iter().filter(|member| member.active).map(|member| member.id);
            let active: BTreeSet<NodeId> = active.collect();
            let leader = status.leader?;
            seen.insert((leader.id, leader.term, active));
        }
        let agreed = seen.first().map(|(leader, term, _)| (*leader, *term));
        agreed.filter(|_| seen.len() == 1)
    }

    fn honest(&self) -> impl Iterator<Item = usize> {
        (0..self.machines.len()).filter(|machine| self.observer.is_honest(*machine))
    }

    fn why_not(&self) -> String {
        self.each(|status| status.no_leader_because.unwrap_or_else(|| "it sees a leader".into()))
    }

    fn opinions(&self) -> String {
        self.each(|status| {
            let active = status.members.iter().filter(|member| member.active).count();
            let leader = status.leader.map(|leader| format!("{} in term {}", leader.name, leader.term));
            format!("{}, {active} active", leader.unwrap_or_else(|| "nobody".into()))
        })
    }

    fn each(&self, tell: impl Fn(nitro_elect::core::status::Status) -> String) -> String {
        let told = self.honest().map(|machine| {
            let own = &self.machines[machine];
            let status = own.process.as_ref().map(|process| process.core.status(own.clock.read(self.at)));
            format!("{}: {}", own.name, status.map_or_else(|| "it is down".into(), &tell))
        });
        told.collect::<Vec<_>>().join("; ")
    }
}
