//! The simulator itself: a thousand seeds without a violation, and that it is deterministic.
//!
//! `make simulate SECS=n` runs more; `docs/EVIDENCE.md` has the largest campaign so far.

use nitro_elect_tests::sim::campaign::{self, Failure, Figures};
use nitro_elect_tests::sim::scenario::Scenario;
use std::thread;

const SEEDS: u64 = 1000;
const THREADS: u64 = 2;

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

#[test]
fn a_seed_replays_line_by_line() {
    for seed in [1, 2, 49] {
        let (_, first) = campaign::trace(Scenario::draw(seed));
        let (_, second) = campaign::trace(Scenario::draw(seed));
        assert!(first.len() > 100, "seed {seed} has {} lines", first.len());
        assert_eq!(first, second, "seed {seed}");
    }
}
