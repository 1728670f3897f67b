//! `nitro-elect demo`: a whole cluster on this machine, to look at.

use std::process::ExitCode;

use super::Failure;
use crate::demo::{Demo, DemoError, Options};
use crate::signals::Signals;

const AFTER_HELP: &str = "\
It starts a simulated enclave, a proxy and the nodes as processes of their own,
shows who sees whom, the election, and the certificate verified check by check;
kills the leader with SIGKILL, shows the next one, and brings the old one back.
All files are in one temporary directory, and nothing is left behind.

Examples:
  nitro-elect demo                 # until Ctrl-C
  nitro-elect demo --once          # ends by itself
  nitro-elect demo --once --json   # the same, one JSON object a line

Exit codes:
  0    everything happened that must
  1    something did not
  2    wrong usage
  130  ended by Ctrl-C before everything was shown (129 for SIGHUP, 143 for
       SIGTERM)";

/// Watch a cluster on this machine elect a leader, prove it, lose it and elect the next
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// End when everything was shown
    #[arg(long)]
    once: bool,
    /// Print JSON lines
    #[arg(long, env = "NITRO_ELECT_JSON", hide_env_values = true)]
    json: bool,
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(3..=13))]
    nodes: u16,
}

/// Shows it.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    // One thread, this one: the kernel kills the demo's processes when the thread that started them ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(DemoError::system("start"))?;
    let program = std::env::current_exe().map_err(DemoError::system("find this program's file"))?;
    let options = Options { nodes: args.nodes, once: args.once, json: args.json };
    let played = runtime.block_on(async {
        let mut signals = Signals::take().map_err(DemoError::system("take over signals"))?;
        Demo::new(program, options)?.play(&mut signals).await
    });
    match played {
        Ok(()) | Err(DemoError::NobodyReads) => Ok(ExitCode::SUCCESS),
        Err(DemoError::Signal(signal)) => Ok(ExitCode::from(signal.exit_code())),
        Err(error) => Err(error.into()),
    }
}
