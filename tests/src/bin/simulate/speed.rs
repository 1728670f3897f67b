//! How fast the simulation runs on one core: a healthy cluster of four, and storms with adversaries over one.

use nitro_elect_tests::sim::campaign::{self, Failure, Figures};
use nitro_elect_tests::sim::identities::Primitives;
use nitro_elect_tests::sim::scenario::Scenario;
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long the healthy cluster is simulated.
const HEALTHY: Duration = Duration::from_secs(2000);
/// Seeds of storms.
const STORMS: u64 = 100;

/// Prints simulated seconds per second of this thread's processor time.
pub fn measure() -> ExitCode {
    let mut healthy = Scenario::calm(1, 4);
    healthy.storm = HEALTHY;
    let storms = (0..).map(Scenario::draw).filter(|scenario| scenario.n == 4);
    let storms = storms.filter(|scenario| scenario.primitives == Primitives::StandIn);
    let measured = [
        ("a healthy cluster", timed(std::iter::once(healthy))),
        ("storms and adversaries", timed(storms.take(STORMS as usize))),
    ];
    for (what, outcome) in measured {
        match outcome {
            Ok((figures, spent)) => {
                let speed = figures.simulated.as_secs_f64() / spent;
                println!(
                    "{what}, n = 4: {speed:.0} simulated seconds per core-second ({} steps)",
                    figures.steps
                );
            }
            Err(failure) => {
                println!("{}", failure.report());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn timed(scenarios: impl Iterator<Item = Scenario>) -> Result<(Figures, f64), Box<Failure>> {
    let (started, spent_before) = (Instant::now(), processor_time());
    let mut figures = Figures::default();
    for scenario in scenarios {
        figures.add(&campaign::run(scenario)?);
    }
    let spent = processor_time().zip(spent_before).map(|(now, before)| (now - before).as_secs_f64());
    Ok((figures, spent.unwrap_or(started.elapsed().as_secs_f64())))
}

/// Time that this thread spent on a processor (Linux, proc(5)).
fn processor_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}
