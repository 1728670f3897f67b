//! Many worlds, one after the other, and what came of them.

use std::time::Duration;

use super::clock::At;
use super::fault::Tally;
use super::scenario::Scenario;
use super::trace::Trace;
use super::violation::Violation;
use super::world::World;

/// Lines of the event log that are shown with a violation.
const LINES_SHOWN: usize = 80;

/// What came of worlds.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Worlds.
    pub seeds: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Happenings.
    pub steps: u64,
    /// Certificates issued.
    pub elections: u64,
    /// What struck.
    pub faults: Tally,
    /// The longest time until a lease was held after the storm, in leases.
    pub longest_to_lease: f64,
    /// The longest time until all agreed after the storm, in leases.
    pub longest_to_agree: f64,
}

impl Figures {
    /// Adds up.
    pub fn add(&mut self, other: &Figures) {
        self.seeds += other.seeds;
        self.simulated += other.simulated;
        self.steps += other.steps;
        self.elections += other.elections;
        self.faults.add(&other.faults);
        self.longest_to_lease = self.longest_to_lease.max(other.longest_to_lease);
        self.longest_to_agree = self.longest_to_agree.max(other.longest_to_agree);
    }

    fn of(world: &World) -> Self {
        let leases = |span: Option<Duration>| {
            span.unwrap_or_default().as_secs_f64() / world.scenario.lease.as_secs_f64()
        };
        let (held, agreed) = world.ending().map(|ending| ending.times()).unwrap_or_default();
        Figures {
            seeds: 1,
            simulated: world.at.since(At(0)),
            steps: world.steps,
            elections: world.observer.elections,
            faults: world.tally.clone(),
            longest_to_lease: leases(held),
            longest_to_agree: leases(agreed),
        }
    }
}

/// A violation, and how to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
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
        format!("{log}\n\nseed {seed}: {violation}\nreplay: make simulate SEED={seed} TRACE=1")
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
            let seed = scenario.seed;
            let log = trace(scenario).1;
            Err(Box::new(Failure { seed, violation, log }))
        }
    }
}

/// Runs the world of a scenario with its log kept.
pub fn trace(scenario: Scenario) -> (Result<Figures, Violation>, Vec<String>) {
    let mut world = World::new(scenario, Trace::kept());
    let outcome = world.run().map(|()| Figures::of(&world));
    (outcome, world.trace.lines().to_vec())
}
