//! What the command was asked for.

use nitro_elect_tests::sim::hunt::{self, Hunt};
use std::fmt;

/// Shown for `--help`.
pub const HELP: &str = "\
Runs whole simulated clusters, each from one seed, and checks the invariants I1 to I12 after every step.

Usage: simulate [OPTIONS]

  --seed N        the first seed; without it, one drawn from the clock
  --seeds N       how many seeds from there on [default: 1, or no end with --secs]
  --secs N        start no seed after this many seconds
  --jobs N        threads, a seed at a time each [default: 2]
  --hunt NAME     worlds of one kind of trouble, in place of the general mixture
  --trace         show the scenario and the event log of one seed; needs --seed
  --scan          go on after a violation, and print one line for each
  --expect I4     succeed at the first violation of this invariant, and only then
  --speed         measure simulated seconds per core-second, for four voters
  --help          show this

A campaign prints last: seeds, simulated hours and elections; faults by kind; violations. The first violation ends it
with the seed, one command that replays it, and the end of the event log.

Exit codes: 0 no violation (with --expect: it was found); 1 a violation (with --expect: it was not found);
2 the command was wrong.

Examples:
  simulate --secs 60                      fresh seeds for a minute
  simulate --seed 0 --seeds 1000          the seeds that `make test` runs
  simulate --seed 49 --trace              one seed, line by line
  simulate --speed";

/// What was asked for.
#[derive(Debug)]
pub struct Wanted {
    /// The first seed.
    pub seed: Option<u64>,
    /// How many.
    pub seeds: u64,
    /// For how long.
    pub secs: Option<u64>,
    /// Whether to show the event log.
    pub trace: bool,
    /// Threads.
    pub jobs: usize,
    /// Whether to go on after a violation.
    pub scan: bool,
    /// Whether to measure speed, and nothing else.
    pub speed: bool,
    /// Whether to show the help, and nothing else.
    pub help: bool,
    /// The invariant that is to break.
    pub expect: Option<String>,
    /// The kind of worlds.
    pub hunt: Option<&'static Hunt>,
}

/// What is wrong with the command.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// No such option.
    Unknown(String),
    /// No such hunt.
    NoHunt(String),
    /// An option came without what it needs.
    Incomplete {
        /// The option.
        option: String,
        /// What it needs.
        needs: &'static str,
        /// What came.
        came: Option<String>,
    },
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Unknown(option) => write!(out, "there is no option {option}; see --help"),
            Wrong::NoHunt(name) => {
                let names: Vec<&str> = hunt::ALL.iter().map(|hunt| hunt.name).collect();
                write!(out, "there is no hunt {name}, but {}", names.join(", "))
            }
            Wrong::Incomplete { option, needs, came: None } => {
                write!(out, "{option} needs {needs}; see --help")
            }
            Wrong::Incomplete { option, needs, came: Some(came) } => {
                write!(out, "{option} needs {needs}, not {came:?}; see --help")
            }
        }
    }
}

impl Wanted {
    /// Reads the arguments after the command's name.
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Wrong> {
        let mut wanted = Wanted {
            seed: None,
            seeds: u64::MAX,
            secs: None,
            trace: false,
            jobs: 2,
            scan: false,
            speed: false,
            help: false,
            expect: None,
            hunt: None,
        };
        while let Some(option) = arguments.next() {
            let mut number = || number_after(&option, arguments.next());
            match option.as_str() {
                "--seed" => wanted.seed = Some(number()?),
                "--seeds" => wanted.seeds = number()?,
                "--secs" => wanted.secs = Some(number()?),
                "--jobs" => wanted.jobs = number()?.clamp(1, 1024) as usize,
                "--expect" => wanted.expect = Some(invariant_after(option, arguments.next())?),
                "--hunt" => wanted.hunt = Some(hunt_after(option, arguments.next())?),
                "--trace" => wanted.trace = true,
                "--scan" => wanted.scan = true,
                "--speed" => wanted.speed = true,
                "--help" | "-h" => wanted.help = true,
                _ => return Err(Wrong::Unknown(option)),
            }
        }
        if wanted.trace && wanted.seed.is_none() {
            return Err(Wrong::Incomplete { option: "--trace".into(), needs: "--seed N", came: None });
        }
        if wanted.secs.is_none() && wanted.seeds == u64::MAX {
            wanted.seeds = 1;
        }
        Ok(wanted)
    }
}

fn number_after(option: &str, came: Option<String>) -> Result<u64, Wrong> {
    let number = came.as_ref().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Wrong::Incomplete { option: option.into(), needs: "a number", came })
}

fn invariant_after(option: String, came: Option<String>) -> Result<String, Wrong> {
    let named = |text: &String| (1..=12).any(|number| *text == format!("I{number}"));
    match came {
        Some(text) if named(&text) => Ok(text),
        came => Err(Wrong::Incomplete { option, needs: "an invariant, I1 to I12", came }),
    }
}

fn hunt_after(option: String, came: Option<String>) -> Result<&'static Hunt, Wrong> {
    let name = came.ok_or(Wrong::Incomplete { option, needs: "a name", came: None })?;
    Hunt::named(&name).ok_or(Wrong::NoHunt(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, Wrong> {
        Wanted::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn one_seed_is_run_unless_more_or_a_time_is_asked_for() {
        assert_eq!(read("--seed 7").unwrap().seeds, 1);
        assert_eq!(read("--seed 7 --seeds 3").unwrap().seeds, 3);
        assert_eq!(read("--secs 5").unwrap().seeds, u64::MAX);
    }

    #[test]
    fn a_wrong_command_is_told_what_is_wrong() {
        let wrong = |line: &str| read(line).unwrap_err().to_string();
        assert_eq!(wrong("--sed 7"), "there is no option --sed; see --help");
        assert_eq!(wrong("--seed x"), "--seed needs a number, not \"x\"; see --help");
        assert_eq!(wrong("--secs"), "--secs needs a number; see --help");
        assert_eq!(wrong("--expect I13"), "--expect needs an invariant, I1 to I12, not \"I13\"; see --help");
        assert!(wrong("--hunt x").starts_with("there is no hunt x, but churn, "));
        assert_eq!(wrong("--trace"), "--trace needs --seed N; see --help");
    }
}
