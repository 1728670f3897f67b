//! Many worlds, one after the other, and what came of them.

use std::fmt;
use std::time::Duration;

use super::clock::At;
use super::ending::Convergence;
use super::fault::Tally;
use super::hunt::Hunt;
use super::identities::Primitives;
use super::scenario::Scenario;
use super::trace::Trace;
use super::violation::Violation;
use super::world::World;

/// Lines of the event log that are shown with a violation.
const LINES_SHOWN: usize = 80;

/// The worst of some worlds after their storms, in leases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worst {
    /// The longest time until a lease was held.
    pub to_lease: f64,
    /// The longest time until all agreed.
    pub to_agree: f64,
    /// The longest time without a lease after the first.
    pub without_lease: f64,
}

impl Worst {
    fn of(world: &World) -> Self {
        let Some(ending) = world.ending() else { return Worst::default() };
        let leases = |span: Duration| span.as_secs_f64() / world.scenario.lease.as_secs_f64();
        let Convergence { to_lease, to_agree, without_lease } = ending.convergence();
        Worst { to_lease: leases(to_lease), to_agree: leases(to_agree), without_lease: leases(without_lease) }
    }

    fn add(&mut self, other: &Worst) {
        self.to_lease = self.to_lease.max(other.to_lease);
        self.to_agree = self.to_agree.max(other.to_agree);
        self.without_lease = self.without_lease.max(other.without_lease);
    }
}

impl fmt::Display for Worst {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Worst { to_lease, to_agree, without_lease } = self;
        write!(out, "to a lease {to_lease:.2}, to agreement {to_agree:.2}, ")?;
        write!(out, "without a lease after that {without_lease:.2}")
    }
}

/// What came of worlds.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Worlds.
    pub seeds: u64,
    /// Those that ran on the product's own primitives.
    pub real: u64,
    /// Those whose adversaries went on after the storm.
    pub attacked: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Happenings.
    pub steps: u64,
    /// Certificates issued.
    pub elections: u64,
    /// What struck.
    pub faults: Tally,
    /// The worst after storms that adversaries ended with.
    pub calm: Worst,
    /// The worst where they attacked on.
    pub under_attack: Worst,
}

impl Figures {
    /// Adds up.
    pub fn add(&mut self, other: &Figures) {
        self.seeds += other.seeds;
        self.real += other.real;
        self.attacked += other.attacked;
        self.simulated += other.simulated;
        self.steps += other.steps;
        self.elections += other.elections;
        self.faults.add(&other.faults);
        self.calm.add(&other.calm);
        self.under_attack.add(&other.under_attack);
    }

    fn of(world: &World) -> Self {
        let (worst, attacked) = (Worst::of(world), world.is_attacked_in_the_calm());
        let (calm, under_attack) =
            if attacked { (Worst::default(), worst) } else { (worst, Worst::default()) };
        Figures {
            seeds: 1,
            real: u64::from(world.scenario.primitives == Primitives::Real),
            attacked: u64::from(attacked),
            simulated: world.at.since(At(0)),
            steps: world.steps,
            elections: world.observer.elections,
            faults: world.tally.clone(),
            calm,
            under_attack,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seeds, real, attacked) = (self.seeds, self.real, self.attacked);
        let hours = self.simulated.as_secs_f64() / 3600.0;
        writeln!(out, "at most, in leases after the storm: {}", self.calm)?;
        writeln!(out, "at most, in leases under attack ({attacked} seeds): {}", self.under_attack)?;
        writeln!(
            out,
            "real signatures, sealing and enclave keys in {real} of {seeds} seeds; the real rules in all"
        )?;
        writeln!(out, "{seeds} seeds, {hours:.2} simulated hours, {} elections", self.elections)?;
        write!(out, "faults: {}", self.faults)
    }
}

/// A violation, and how to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The hunt that it is a seed of, if it is one.
    pub hunt: Option<&'static Hunt>,
    /// What broke.
    pub violation: Violation,
    /// The event log.
    pub log: Vec<String>,
}

impl Failure {
    /// The seed, the command that replays it, and the end of the event log.
    pub fn report(&self) -> String {
        let shown = self.log.len().saturating_sub(LINES_SHOWN);
        let log = self.log[shown..].join("\n");
        let Failure { seed, violation, .. } = self;
        let hunt = self.hunt.map(|hunt| format!(" HUNT={}", hunt.name)).unwrap_or_default();
        format!("{log}\n\nseed {seed}: {violation}\nreplay: make simulate{hunt} SEED={seed} TRACE=1")
    }
}

/// Runs the world of one seed; on a violation once more, with the log.
pub fn run_seed(seed: u64) -> Result<Figures, Box<Failure>> {
    run(Scenario::draw(seed))
}

/// Runs the world of a scenario; on a violation once more, with the log.
pub fn run(scenario: Scenario) -> Result<Figures, Box<Failure>> {
    let mut world = World::new(scenario.clone(), Trace::default());
    match world.run() {
        Ok(()) => Ok(Figures::of(&world)),
        Err(violation) => {
            let (seed, hunt) = (scenario.seed, scenario.hunt);
            let log = trace(scenario).1;
            Err(Box::new(Failure { seed, hunt, violation, log }))
        }
    }
}

/// Runs the world of a scenario with its log kept.
pub fn trace(scenario: Scenario) -> (Result<Figures, Violation>, Vec<String>) {
    let mut world = World::new(scenario, Trace::kept());
    let outcome = world.run().map(|()| Figures::of(&world));
    (outcome, world.trace.lines().to_vec())
}
