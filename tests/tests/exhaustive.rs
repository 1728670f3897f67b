//! The exhaustive check: every state of a small cluster within bounds; and that it can fail. `make exhaust` looks
//! further, see `docs/EVIDENCE.md`.

use nitro_elect_tests::model::bounds::Bounds;
use nitro_elect_tests::model::cluster::Parts;
use nitro_elect_tests::model::search::{Figures, Found, search};
use nitro_elect_tests::sim::violation::Invariant;
use std::io::Write;

/// Everything within the bounds is seen, and no invariant is violated.
fn holds(bounds: Bounds) -> Figures {
    match search(bounds, Parts::default()) {
        Ok(figures) => {
            // Past the capture of the tests' output: how far it looked is part of what it says.
            let _ = writeln!(std::io::stderr(), "{bounds:?}\n{figures}");
            assert!(figures.complete);
            figures
        }
        Err(found) => panic!("{found}"),
    }
}

/// Worse parts are found out.
fn breaks(bounds: Bounds, parts: Parts) -> Box<Found> {
    match search(bounds, parts) {
        Ok(figures) => panic!("nothing was found in {figures}"),
        Err(found) => {
            println!("{found}\n{}", found.figures);
            found
        }
    }
}

/// A leader whose voters restart, with and without their last write, until its lease is almost over.
#[test]
fn every_state_with_a_restart_upholds_the_invariants() {
    let figures = holds(Bounds { led: true, ticks: 3, calls: 0, restarts: 1, ..Bounds::small() });
    assert!(figures.states > 50_000 && figures.certificates > 1000 && figures.leases > 10_000, "{figures}");
}

/// A leader, and a Byzantine voter that calls, counts and resigns as it likes.
#[test]
fn every_state_with_a_byzantine_call_upholds_the_invariants() {
    let figures = holds(Bounds { led: true, ticks: 3, ..Bounds::small() });
    assert!(figures.states > 10_000 && figures.certificates > 1000 && figures.leases > 5000, "{figures}");
}

/// The own record is what keeps a voter that restarted from voting twice.
#[test]
fn a_disk_that_forgets_is_found_out() {
    let forgets = Parts { disk: |before, _| before, ..Parts::default() };
    let found = breaks(Bounds { led: true, ticks: 2, restarts: 1, ..Bounds::small() }, forgets);
    assert!([Invariant::I4, Invariant::I6].contains(&found.violation.invariant), "{found}");
}

/// An enclave that forgets what it certified certifies one term twice, for a caller that leaves out other views.
#[test]
fn an_enclave_that_forgets_is_found_out() {
    let forgets = Parts { memory: |_| 0, ..Parts::default() };
    let found = breaks(Bounds { terms: 1, ..Bounds::small() }, forgets);
    assert!([Invariant::I1, Invariant::I2].contains(&found.violation.invariant), "{found}");
}

/// Three voters and a plain majority bear no Byzantine voter: two quorums share it alone.
#[test]
fn a_quorum_for_crashes_alone_is_found_out() {
    let plain = Parts { n: 3, f: 0, ..Parts::default() };
    let found = breaks(Bounds { terms: 1, calls: 2, ..Bounds::small() }, plain);
    assert!([Invariant::I1, Invariant::I2, Invariant::I4].contains(&found.violation.invariant), "{found}");
}

/// The bound on f is the bound: one more than that breaks it.
#[test]
fn two_byzantine_voters_of_four_are_too_many() {
    let two = Parts { byzantine: 2, ..Parts::default() };
    let found = breaks(Bounds { terms: 1, calls: 2, ..Bounds::small() }, two);
    assert!([Invariant::I1, Invariant::I2, Invariant::I4].contains(&found.violation.invariant), "{found}");
}
