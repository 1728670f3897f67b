//! The simulator's command: `simulate --seed N [--trace]` replays one seed, `simulate --secs N` runs fresh seeds
//! on both cores for that long, `simulate --speed` measures one core. It exits 0 only without a violation; with
//! `--scan` it goes on after one; with `--expect I4` it succeeds at the first violation of that invariant, and only
//! then.

use anyhow::{Context, Result, bail};
use nitro_elect_tests::sim::campaign::{self, Failure, Figures};
use nitro_elect_tests::sim::scenario::Scenario;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What was asked for.
struct Wanted {
    seed: Option<u64>,
    seeds: u64,
    secs: Option<u64>,
    trace: bool,
    jobs: usize,
    scan: bool,
    speed: bool,
    expect: Option<String>,
}

impl Wanted {
    /// Whether a failure ends the campaign.
    fn ends_with(&self, failure: &Failure) -> bool {
        match &self.expect {
            Some(invariant) => format!("{:?}", failure.violation.invariant) == *invariant,
            None => !self.scan,
        }
    }
}

fn main() -> Result<ExitCode> {
    let wanted = read_arguments()?;
    if wanted.speed {
        return Ok(measure_speed());
    }
    if wanted.trace {
        let seed = wanted.seed.context("--trace needs --seed N")?;
        return Ok(show(seed));
    }
    Ok(run(&wanted))
}

fn read_arguments() -> Result<Wanted> {
    let mut wanted = Wanted {
        seed: None,
        seeds: u64::MAX,
        secs: None,
        trace: false,
        jobs: 2,
        scan: false,
        speed: false,
        expect: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64> {
            let text = arguments.next().with_context(|| format!("{argument} needs a number"))?;
            text.parse().with_context(|| format!("{argument} needs a number, not {text:?}"))
        };
        match argument.as_str() {
            "--seed" => wanted.seed = Some(number()?),
            "--seeds" => wanted.seeds = number()?,
            "--secs" => wanted.secs = Some(number()?),
            "--jobs" => wanted.jobs = number()?.max(1) as usize,
            "--expect" => wanted.expect = Some(arguments.next().context("--expect needs an invariant")?),
            "--trace" => wanted.trace = true,
            "--scan" => wanted.scan = true,
            "--speed" => wanted.speed = true,
            _ => bail!(
                "usage: simulate [--seed N] [--seeds N] [--secs N] [--jobs N] [--trace] [--scan] [--speed] [--expect INVARIANT]"
            ),
        }
    }
    if wanted.secs.is_none() && wanted.seeds == u64::MAX {
        wanted.seeds = 1;
    }
    Ok(wanted)
}

fn show(seed: u64) -> ExitCode {
    let scenario = Scenario::draw(seed);
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

/// How fast a healthy cluster of four runs on one core, with a lease of one second.
fn measure_speed() -> ExitCode {
    let mut scenario = Scenario::calm(1, 4);
    scenario.storm = Duration::from_secs(1000);
    let started = Instant::now();
    let outcome = campaign::run(scenario);
    let wall = started.elapsed().as_secs_f64();
    match outcome {
        Ok(figures) => {
            let speed = figures.simulated.as_secs_f64() / wall;
            println!("{} steps, {speed:.0} simulated seconds per core-second, n = 4", figures.steps);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{}", failure.report());
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
            match campaign::run_seed(first + index) {
                Ok(one) => figures.add(&one),
                Err(failure) => {
                    let ends = wanted.ends_with(&failure);
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
    match failures.iter().find(|failure| wanted.ends_with(failure)) {
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
    let hours = figures.simulated.as_secs_f64() / 3600.0;
    let speed = figures.simulated.as_secs_f64() / (wall.as_secs_f64() * wanted.jobs as f64);
    println!("{} seeds, {hours:.2} simulated hours, {} elections", figures.seeds, figures.elections);
    println!("faults: {}", figures.faults);
    println!(
        "after the storm, in leases: to a lease {:.2} at most, to agreement {:.2} at most",
        figures.longest_to_lease, figures.longest_to_agree
    );
    println!("{} steps, {speed:.0} simulated seconds per core-second", figures.steps);
    println!("{} violations", failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
