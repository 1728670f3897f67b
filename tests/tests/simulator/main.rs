//! The simulator: a thousand seeds without a violation, that it is deterministic, and scripted worlds.
//!
//! `make simulate SECS=n` runs more; `docs/EVIDENCE.md` has the largest campaign so far.

mod traces;

use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_tests::sim::campaign::{self, Failure, Figures};
use nitro_elect_tests::sim::hunt;
use nitro_elect_tests::sim::scenario::Scenario;
use nitro_elect_tests::sim::trace::Trace;
use nitro_elect_tests::sim::world::World;
use std::thread;
use std::time::Duration;

const SEEDS: u64 = 1000;
const HUNTED: u64 = 10;
const THREADS: u64 = 2;
const LEASE: Duration = Duration::from_secs(1);

#[test]
fn a_thousand_seeds_run_without_a_violation() {
    let part = |first: u64| -> Result<Figures, Box<Failure>> {
        let mut figures = Figures::default();
        for seed in (first..SEEDS).step_by(THREADS as usize) {
            figures.add(&campaign::run_seed(seed)?);
        }
        Ok(figures)
    };
    let threads: Vec<_> = (0..THREADS).map(|first| thread::spawn(move || part(first))).collect();
    let mut figures = Figures::default();
    for thread in threads {
        match thread.join().expect("a world's panics are caught in it") {
            Ok(one) => figures.add(&one),
            Err(failure) => panic!("{}", failure.report()),
        }
    }
    assert_eq!(figures.seeds, SEEDS);
    assert!(figures.elections > SEEDS, "{} elections", figures.elections);
}

/// What the mutants break holds in the same worlds while every guard is in its place.
#[test]
fn hunts_find_nothing_where_no_guard_is_missing() {
    for hunt in hunt::ALL {
        let mut figures = Figures::default();
        for seed in 0..HUNTED {
            match campaign::run(hunt.draw(seed)) {
                Ok(one) => figures.add(&one),
                Err(failure) => panic!("{}", failure.report()),
            }
        }
        assert!(figures.elections > HUNTED, "{hunt:?}: {} elections", figures.elections);
    }
}

#[test]
fn a_seed_replays_line_by_line() {
    for seed in [1, 2, 49] {
        let (_, first) = campaign::trace(Scenario::draw(seed));
        let (_, second) = campaign::trace(Scenario::draw(seed));
        assert!(first.len() > 100, "seed {seed} has {} lines", first.len());
        assert_eq!(first, second, "seed {seed}");
    }
}

/// A node that never was there starts when the enclave's document has long expired: it believes the certificate
/// because f + 1 promises vouch for it (DESIGN §5), and sees the leader that the others see.
#[test]
fn a_node_that_joins_after_the_document_expired_believes_the_certificate_later() {
    let mut scenario = Scenario::calm(11, 4);
    (scenario.joins_late, scenario.max_age) = (Some(3), Duration::from_secs(20));
    scenario.storm = Duration::from_secs(60);
    let mut world = World::new(scenario, Trace::kept());
    world.pass(Duration::from_secs(50)).unwrap();
    let term = world.observer.called.expect("somebody called").1;
    world.run().unwrap();
    let (_, agreed) = world.agreement().expect("all four agree");
    assert_eq!(agreed, term, "nobody had to call again: {}", world.trace.lines().join("\n"));
}

/// Two halves of an open cluster each lead themselves; when they can reach each other again they lead as one.
#[test]
fn an_open_cluster_that_fell_apart_has_two_leaders_and_then_one() {
    let mut scenario = Scenario::calm(12, 4);
    (scenario.open, scenario.f, scenario.policy) = (true, 0, Policy::of(Rule::Highest));
    scenario.storm = LEASE * 20;
    let mut world = World::new(scenario, Trace::kept());
    world.pass(LEASE * 5).unwrap();
    let holders = |world: &World| (0..4).filter(|node| world.holds(*node)).collect::<Vec<usize>>();
    assert_eq!(holders(&world), [3], "the highest address leads");
    for (a, b) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        world.sever(a, b, LEASE * 8);
    }
    world.pass(LEASE * 6).unwrap();
    assert_eq!(holders(&world), [1, 3], "{}", world.trace.lines().join("\n"));
    world.pass(LEASE * 6).unwrap();
    assert_eq!(holders(&world), [3]);
    world.run().unwrap();
}
