//! The exhaustive check's command: looks at every state of a small cluster within bounds, and exits 0 only if all were
//! seen and no invariant was violated.

use anyhow::{Context, Result, bail};
use nitro_elect_tests::model::bounds::Bounds;
use nitro_elect_tests::model::cluster::Parts;
use nitro_elect_tests::model::search::search;
use std::process::ExitCode;

const HELP: &str = "\
Looks at every state that a cluster of four voters, one of them Byzantine, and two enclaves can reach within bounds.

Usage: exhaust [OPTIONS]

Options:
  --led                begin when the first voter leads in term 1, not when all have just started
  --ticks N            how often time goes on by a little over a third of a lease [default: 1]
  --terms N            the highest term that is called [default: 2]
  --calls N            different calls of the Byzantine voter, each with a term and an enclave [default: 1]
  --restarts N         restarts of honest voters, with and without their last write [default: 0]
  --sleeps N           ticks that an honest voter is late for or sleeps through [default: 0]
  --step-downs N       leaders that step down of their own accord [default: 0]
  --losses             answers to calls and renewals may be lost
  --dropped-views      proxies may hand in elections without one of their views
  --states N           stop after so many states [default: none]
  --expect INVARIANT   succeed if this invariant, I1 to I7 or I11, is violated, and only then
  --help               print this

Exit status: 0 when every state was seen and no invariant violated, or when what was expected was violated; 1 when an
invariant was violated, with the steps that lead there; 2 when not every state was seen, or for a wrong option.";

fn main() -> ExitCode {
    match read_arguments().map(|wanted| wanted.map(|(bounds, expected)| run(bounds, expected.as_deref()))) {
        Ok(Some(code)) => code,
        Ok(None) => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}; see exhaust --help");
            ExitCode::from(2)
        }
    }
}

fn read_arguments() -> Result<Option<(Bounds, Option<String>)>> {
    let (mut bounds, mut expected) = (Bounds::small(), None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64> {
            let text = arguments.next().with_context(|| format!("{argument} needs a number"))?;
            text.parse().with_context(|| format!("{argument} needs a number, not {text:?}"))
        };
        match argument.as_str() {
            "--led" => bounds.led = true,
            "--calls" => bounds.calls = u32::try_from(number()?)?,
            "--ticks" => bounds.ticks = u32::try_from(number()?)?,
            "--terms" => bounds.terms = number()?,
            "--restarts" => bounds.restarts = u32::try_from(number()?)?,
            "--sleeps" => bounds.sleeps = u32::try_from(number()?)?,
            "--step-downs" => bounds.step_downs = u32::try_from(number()?)?,
            "--losses" => bounds.losses = true,
            "--dropped-views" => bounds.dropped_views = true,
            "--states" => bounds.states = number()?,
            "--expect" => expected = Some(arguments.next().context("--expect needs an invariant")?),
            "--help" => return Ok(None),
            _ => bail!("there is no option {argument:?}"),
        }
    }
    Ok(Some((bounds, expected)))
}

fn run(bounds: Bounds, expected: Option<&str>) -> ExitCode {
    println!("{bounds:?}");
    match search(bounds, Parts::default()) {
        Ok(figures) => {
            println!("{figures}\n0 violations");
            ExitCode::from(if expected.is_some() { 1 } else { 2 * u8::from(!figures.complete) })
        }
        Err(found) => {
            println!("{found}\n\n{}\n1 violation", found.figures);
            let is_expected = expected.is_some_and(|name| format!("{:?}", found.violation.invariant) == name);
            ExitCode::from(u8::from(!is_expected))
        }
    }
}
