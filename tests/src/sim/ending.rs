//! The end of every world: no faults any more, and convergence is demanded (I8, I9).
//!
//! In some worlds the adversaries go on. Then each attacker may cost what DESIGN §4 allows it; honest nodes need to
//! agree on each other's life alone; and as long as the newest certificate names a Byzantine voter, nothing more is
//! demanded: no rule can have an elected leader use its lease, nor show itself to all alike.

use nitro_elect::core::status::Status;
use nitro_elect_protocol::ids::{NodeId, Term};
use std::collections::BTreeSet;
use std::time::Duration;

use super::clock::At;
use super::violation::Invariant;
use super::world::World;

/// Leases that a connected cluster may take (DESIGN §4, I8 and I9).
const LEASES: u32 = 3;
/// Leases that it must stay as it is, then; and those when it is attacked.
const STEADY: u32 = 2;
const STEADY_ATTACKED: u32 = 12;

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

/// When something was first and last so, and for how long not. A planned hand-over interrupts it for a moment.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    first: Option<At>,
    last: At,
    longest_gap: Duration,
}

impl Seen {
    fn note(&mut self, at: At) {
        if self.first.is_some() {
            self.longest_gap = self.longest_gap.max(at.since(self.last));
        }
        self.first.get_or_insert(at);
        self.last = at;
    }

    fn is_missing(&self, at: At, allowed: Duration) -> bool {
        self.first.is_none() || at.since(self.last) > allowed
    }
}

/// How a world became calm, in time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Convergence {
    /// From the time all could be connected until a lease was held.
    pub to_lease: Duration,
    /// From then until all agreed.
    pub to_agree: Duration,
    /// The longest time without a lease after the first.
    pub without_lease: Duration,
}

impl Ending {
    /// The demands on a world that has just become calm.
    pub fn of(world: &World) -> Self {
        let lease = world.scenario.lease;
        // Silent addresses are dialled again within half a lease.
        let connected = world.at + lease / 2 + world.scenario.latency.1 * 4;
        let deadline = connected + lease * (LEASES + world.attackers());
        let steady = if world.is_attacked_in_the_calm() { STEADY_ATTACKED } else { STEADY };
        let (held, agreed) = (Seen::default(), Seen::default());
        let end = deadline + lease * steady;
        Ending { connected, deadline, end, held, agreed, next_look: world.at, is_spent: false }
    }

    /// How it went.
    pub fn convergence(&self) -> Convergence {
        let since = |seen: &Seen| seen.first.unwrap_or_default().since(self.connected);
        let without_lease = self.held.longest_gap;
        Convergence { to_lease: since(&self.held), to_agree: since(&self.agreed), without_lease }
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

    /// Whether adversaries attack on when the storm is over.
    pub fn is_attacked_in_the_calm(&self) -> bool {
        self.attackers() > 0
    }

    /// How many attackers may each cost one more lease: Byzantine coordinators, and proxies that one machine asks.
    fn attackers(&self) -> u32 {
        if !self.scenario.attacks_last {
            return 0;
        }
        let proxies = self.honest().map(|machine| self.hostile_proxies_of(machine)).max();
        (self.scenario.byzantine + proxies.unwrap_or_default()) as u32
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
        let usurped = held.is_none() && self.is_attacked() && self.observer.is_usurped();
        if held.is_some() || usurped {
            ending.held.note(self.at);
        }
        if usurped || self.agreement().is_some_and(|(leader, _)| held == self.index_of(&leader)) {
            ending.agreed.note(self.at);
        }
        if self.at < ending.deadline {
            return;
        }
        let lease = self.scenario.lease;
        let attacked = lease * (LEASES + self.attackers());
        let patience = |usual: Duration| if attacked > lease * LEASES { attacked } else { usual };
        if ending.held.is_missing(self.at, patience(lease / 2)) {
            let what = format!("no honest node holds a lease; {}", self.why_not());
            self.observer.violation = Some(self.violated(Invariant::I8, what));
        } else if ending.agreed.is_missing(self.at, patience(lease)) && !self.observer.forked {
            let what = format!("the honest nodes do not agree: {}", self.opinions());
            self.observer.violation = Some(self.violated(Invariant::I9, what));
        }
    }

    /// The honest node that holds the lease now.
    pub fn holder(&self) -> Option<usize> {
        (0..self.machines.len()).find(|node| self.observer.lease_of(*node, self.at).is_some())
    }

    fn is_adversary(&self, node: &NodeId) -> bool {
        self.index_of(node).is_some_and(|machine| !self.observer.is_honest(machine))
    }

    /// Leader and term, if all honest nodes that run see the same, and the same nodes active. What a Byzantine voter
    /// shows of itself is its own affair: one heartbeat that claims a clock far ahead makes it dead to whoever heard
    /// it.
    pub fn agreement(&self) -> Option<(NodeId, Term)> {
        let mut seen = BTreeSet::new();
        for machine in self.honest() {
            let status = self.status_of(machine)?;
            let active = status.members.iter().filter(|member| member.active).map(|member| member.id);
            let active: BTreeSet<NodeId> = active.filter(|node| !self.is_adversary(node)).collect();
            let leader = status.leader?;
            seen.insert((status.digest, leader.id, leader.term, active));
        }
        let agreed = seen.first().map(|(_, leader, term, _)| (*leader, *term));
        agreed.filter(|_| seen.len() == 1)
    }

    fn honest(&self) -> impl Iterator<Item = usize> {
        (0..self.machines.len()).filter(|machine| self.observer.is_honest(*machine))
    }

    fn status_of(&self, machine: usize) -> Option<Status> {
        let own = &self.machines[machine];
        Some(own.process.as_ref()?.core.status(own.clock.read(self.at)))
    }

    fn why_not(&self) -> String {
        self.each(|status| status.no_leader_because().unwrap_or_else(|| "it sees a leader".into()))
    }

    fn opinions(&self) -> String {
        self.each(|status| {
            let active = status.members.iter().filter(|member| member.active).count();
            let leader = status.leader.map(|leader| format!("{} in term {}", leader.name, leader.term));
            format!("{}, {active} active", leader.unwrap_or_else(|| "nobody".into()))
        })
    }

    fn each(&self, tell: impl Fn(Status) -> String) -> String {
        let told = self.honest().map(|machine| {
            let told = self.status_of(machine).map_or_else(|| "it is down".into(), &tell);
            format!("{}: {told}", self.machines[machine].name)
        });
        told.collect::<Vec<_>>().join("; ")
    }
}
