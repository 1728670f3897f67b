//! The command line: one file for each command, with its arguments, its help, and what it prints.
//!
//! What a command does is in the library; here it is only asked for and shown. Results go to standard output, as text
//! or with `--json` as JSON, everything said about them to standard error.
//!
//! To add a command: a file with `Args` (clap) and `run(Args) -> Result<ExitCode, Failure>`, and a line in
//! `Command` and in `execute`.

mod attestation;
mod checklist;
mod completions;
mod connect;
mod demo;
mod drain;
mod eif;
mod environment;
mod exec;
mod failure;
mod flags;
mod gate;
mod init;
mod keygen;
mod log;
mod manifest;
mod never_leads;
mod node;
pub(crate) mod output;
mod proxy;
mod resign;
mod runner;
mod shell_words;
mod simulate_enclave;
mod status;
mod verify;
mod watch;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;
use std::sync::{LazyLock, OnceLock};

use nitro_elect_protocol::electorate;

pub use failure::Failure;

const ABOUT: &str = "Leader election that does not ask you to trust the nodes that run it";

const AFTER_HELP: &str = "\
Examples:
  nitro-elect demo --once
  nitro-elect init --local 4 --trust trust.json cluster
  nitro-elect verify --proof proof.json --manifest cluster/cluster.toml
  nitro-elect help verify

Exit codes:
  0  done
  1  refused or failed; standard error says why and what to do
  2  wrong usage, or an input could not be read
  3  verify, log verify, attestation verify: valid, but with less assurance than asked for
  4  node: it must not go on under its key

Environment:
  NITRO_ELECT_...  stands for the flag of that name, but for --allow-... and
                   --danger-...; the line wins
  NO_COLOR         no colours";

/// What the program calls its build: the commit, as `make` says it.
static BUILD: OnceLock<&'static str> = OnceLock::new();

/// The version of this program, of the protocol that it speaks, and which build it is.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let kind = if cfg!(debug_assertions) { "development" } else { "release" };
    let build = BUILD.get().filter(|build| !build.is_empty()).unwrap_or(&kind);
    format!("{} (protocol {}, build {build})", env!("CARGO_PKG_VERSION"), electorate::VERSION)
});

/// The whole line.
#[derive(Debug, Parser)]
#[command(name = "nitro-elect", version = VERSION.as_str(), about = ABOUT, after_help = AFTER_HELP)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// The commands, in the order in which `--help` lists them.
#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Node(Box<node::Args>),
    Proxy(proxy::Args),
    Gate(Box<gate::Args>),
    Connect(Box<connect::Args>),
    Keygen(keygen::Args),
    Manifest(manifest::Args),
    Init(init::Args),
    Status(status::Args),
    Watch(watch::Args),
    Log(Box<log::Args>),
    Resign(resign::Args),
    Runner(runner::Args),
    Drain(drain::DrainArgs),
    Undrain(drain::UndrainArgs),
    Exec(Box<exec::Args>),
    Verify(Box<verify::Args>),
    Attestation(attestation::Args),
    Eif(eif::Args),
    SimulateEnclave(simulate_enclave::Args),
    Completions(completions::Args),
}

/// The line as it is parsed: with a variable for each flag. For whoever documents or tests it.
pub fn line() -> clap::Command {
    environment::with_environment(Line::command())
}

/// Reads the line, runs its command, and says what went wrong. `build` is what `--version` calls this build.
pub fn run(build: Option<&'static str>) -> ExitCode {
    let _said_once = BUILD.set(build.unwrap_or_default());
    let parsed = line().try_get_matches().and_then(|matches| Line::from_arg_matches(&matches));
    let line = match parsed {
        Ok(line) => line,
        Err(error) => {
            // To print help or a usage error can fail only where there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { failure::USAGE } else { 0 });
        }
    };
    execute(line.command).unwrap_or_else(|failure| failure.report())
}

fn execute(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Node(args) => node::run(&args),
        Command::Proxy(args) => proxy::run(args),
        Command::Gate(args) => gate::run(*args),
        Command::Connect(args) => connect::run(*args),
        Command::Keygen(args) => keygen::run(args),
        Command::Manifest(args) => manifest::run(args),
        Command::Init(args) => init::run(args),
        Command::Status(args) => status::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Log(args) => log::run(*args),
        Command::Resign(args) => resign::run(args),
        Command::Runner(args) => runner::run(&args),
        Command::Drain(args) => drain::drain(args),
        Command::Undrain(args) => drain::undrain(args),
        Command::Exec(args) => exec::run(&args),
        Command::Verify(args) => verify::run(*args),
        Command::Attestation(args) => attestation::run(args),
        Command::Eif(args) => eif::run(args),
        Command::SimulateEnclave(args) => simulate_enclave::run(args),
        Command::Completions(args) => completions::run(&args, &line()),
    }
}
