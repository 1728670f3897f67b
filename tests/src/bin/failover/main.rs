//! The fail-over benchmark: real processes on this machine, four nodes, a simulated enclave, default settings. It kills
//! the leader's node process again and again, and prints how long it takes until another node holds the lease; beside
//! it the floor (one connection between nodes and one decision of an enclave, measured in the same run) and what it
//! takes when the supervisor is killed too, so that the lease decides.

mod cluster;
mod figures;
mod floor;

use anyhow::{Context, Result, bail, ensure};
use cluster::{Cluster, Killed};
use figures::Figures;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
Measures how long a cluster of four is without a leader after its leader was killed.

Usage: failover [OPTIONS]

Options:
  --rounds N        leading node processes killed, whose supervisors send their wills [default: 30]
  --lease-rounds N  leaders killed with their supervisors, so that the lease decides [default: 8]
  --program FILE    the program nitro-elect [default: beside this one]
  --within MS       fail unless the median with a will is at most this [default: 50]
  --verbose         tell what the nodes said in each round
  --help            print this

Exit status: 0 if it was measured and fast enough, 1 if not, 2 for a wrong option.";

/// What to measure.
struct Wanted {
    rounds: usize,
    lease_rounds: usize,
    program: Option<PathBuf>,
    within: Duration,
    verbose: bool,
}

fn main() -> ExitCode {
    match read_arguments() {
        Ok(Some(wanted)) => match run(&wanted) {
            Ok(fast_enough) => ExitCode::from(u8::from(!fast_enough)),
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}; see failover --help");
            ExitCode::from(2)
        }
    }
}

fn read_arguments() -> Result<Option<Wanted>> {
    let within = Duration::from_millis(50);
    let mut wanted = Wanted { rounds: 30, lease_rounds: 8, program: None, within, verbose: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--rounds" => wanted.rounds = value()?.parse().context("--rounds needs a number")?,
            "--lease-rounds" => {
                wanted.lease_rounds = value()?.parse().context("--lease-rounds needs a number")?
            }
            "--program" => wanted.program = Some(value()?.into()),
            "--within" => {
                wanted.within = Duration::from_millis(value()?.parse().context("--within needs a number")?)
            }
            "--verbose" => wanted.verbose = true,
            "--help" => return Ok(None),
            _ => bail!("there is no option {argument:?}"),
        }
    }
    ensure!(wanted.rounds > 0, "--rounds needs at least 1");
    Ok(Some(wanted))
}

/// Measures and prints; whether the median is within what was asked for.
fn run(wanted: &Wanted) -> Result<bool> {
    let program = match &wanted.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("nitro-elect"),
    };
    ensure!(program.exists(), "{} is not there: build it, or say --program", program.display());
    // The kernel ties the children's lives to this thread, so everything that starts them runs on it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let floor = runtime.block_on(floor::measure(wanted.rounds))?;
    let (wills, leases) = runtime.block_on(measure(wanted, program))?;
    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    println!("fail-over, four nodes, one machine, simulated enclave, default settings, {build} build:");
    println!("  connection between nodes            {}", floor.connection);
    println!("  decision of the enclave             {}", floor.decision);
    println!("  floor (both)                        {:>8.1} ms", millis(floor.sum()));
    println!("  leader killed, last will sent       {wills}");
    if let Some(leases) = leases {
        println!("  leader killed with its supervisor   {leases}");
    }
    let fast_enough = wills.median() <= wanted.within;
    let verdict = if fast_enough { "within" } else { "OVER" };
    println!("the median with a last will is {verdict} {} ms", wanted.within.as_millis());
    Ok(fast_enough)
}

async fn measure(wanted: &Wanted, program: PathBuf) -> Result<(Figures, Option<Figures>)> {
    let mut cluster = Cluster::start(program, wanted.verbose).await?;
    let mut wills = Vec::new();
    for _ in 0..wanted.rounds {
        wills.push(cluster.fail_over(Killed::Node).await?);
    }
    let mut leases = Vec::new();
    for _ in 0..wanted.lease_rounds {
        leases.push(cluster.fail_over(Killed::WithItsSupervisor).await?);
    }
    cluster.end()?;
    Ok((Figures::of(wills), Some(leases).filter(|leases| !leases.is_empty()).map(Figures::of)))
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
