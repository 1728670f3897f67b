//! The simulator's command: campaigns of seeds, one seed with its event log, and a measure of speed. See
//! [`arguments::HELP`].

mod arguments;
mod speed;

use arguments::{HELP, Wanted};
use nitro_elect_tests::sim::campaign::{self, Failure, Figures};
use nitro_elect_tests::sim::scenario::Scenario;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the command gives when it was wrong itself.
const USAGE: u8 = 2;

/// Whether a failure ends the campaign.
fn ends_with(wanted: &Wanted, failure: &Failure) -> bool {
    match &wanted.expect {
        Some(invariant) => format!("{:?}", failure.violation.invariant) == *invariant,
        None => !wanted.scan,
    }
}

fn main() -> ExitCode {
    let wanted = match Wanted::read(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(wrong) => {
            eprintln!("simulate: {wrong}");
            return ExitCode::from(USAGE);
        }
    };
    match wanted.seed.filter(|_| wanted.trace) {
        _ if wanted.help => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ if wanted.speed => speed::measure(),
        Some(seed) => show(scenario(&wanted, seed)),
        None => run(&wanted),
    }
}

/// The world of a seed.
fn scenario(wanted: &Wanted, seed: u64) -> Scenario {
    wanted.hunt.map_or_else(|| Scenario::draw(seed), |hunt| hunt.draw(seed))
}

fn show(scenario: Scenario) -> ExitCode {
    let seed = scenario.seed;
    println!("{scenario:#?}");
    let (outcome, log) = campaign::trace(scenario);
    log.iter().for_each(|line| println!("{line}"));
    match outcome {
        Ok(figures) => {
            println!("seed {seed}: no violation; {} elections, {}", figures.elections, figures.faults);
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &Wanted) -> ExitCode {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
    let first = wanted.seed.unwrap_or((clock >> 10) % 1_000_000_000_000);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let started = Instant::now();
    let end = wanted.secs.map(|secs| started + Duration::from_secs(secs));
    let work = || {
        let (mut figures, mut failures) = (Figures::default(), Vec::new());
        while !stop.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= wanted.seeds {
                break;
            }
            match campaign::run(scenario(wanted, first + index)) {
                Ok(one) => figures.add(&one),
                Err(failure) => {
                    let ends = ends_with(wanted, &failure);
                    stop.fetch_or(ends, Ordering::Relaxed);
                    if wanted.scan {
                        println!("seed {}: {}", failure.seed, failure.violation);
                    }
                    failures.push(*failure);
                }
            }
        }
        (figures, failures)
    };
    let results: Vec<(Figures, Vec<Failure>)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..wanted.jobs).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a world's panics are caught in it")).collect()
    });
    summarise(results, started.elapsed(), wanted)
}

/// Whether the invariant that was to break did.
fn tell_expected(invariant: &str, clean: u64, failures: &[Failure], wanted: &Wanted) -> ExitCode {
    let seeds = clean + failures.len() as u64;
    match failures.iter().find(|failure| ends_with(wanted, failure)) {
        Some(failure) => {
            println!("seed {}: {} ({seeds} seeds run)", failure.seed, failure.violation);
            ExitCode::SUCCESS
        }
        None => {
            let others: BTreeSet<_> = failures.iter().map(|failure| failure.violation.invariant).collect();
            println!("{invariant} held in {seeds} seeds; violated were {others:?}");
            ExitCode::FAILURE
        }
    }
}

fn summarise(results: Vec<(Figures, Vec<Failure>)>, wall: Duration, wanted: &Wanted) -> ExitCode {
    let (mut figures, mut failures) = (Figures::default(), Vec::new());
    for (one, failed) in results {
        figures.add(&one);
        failures.extend(failed);
    }
    if let Some(invariant) = &wanted.expect {
        return tell_expected(invariant, figures.seeds, &failures, wanted);
    }
    if let Some(failure) = failures.first().filter(|_| !wanted.scan) {
        println!("{}", failure.report());
    }
    let speed = figures.simulated.as_secs_f64() / (wall.as_secs_f64() * wanted.jobs as f64);
    println!("{} steps, {speed:.0} simulated seconds per second of each thread", figures.steps);
    println!("{figures}");
    println!("{} violations", failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
