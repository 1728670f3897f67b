//! `nitro-elect exec`: runs a command only while a node that runs beside it leads.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::flags::accept::AcceptOpenFlags;
use crate::exec::client::{Ended, Exec, Heard};
use crate::exec::config::{ExecConfig, ExecError};
use crate::fence::Stale;
use crate::help::Help;
use crate::keys;
use crate::logging::{self, LogFormat};
use crate::manifest::Manifest;
use crate::run::command::{CANNOT_START, look_for};
use crate::run::ending::Exit;
use crate::signals::{ForCommand, NoProcess, Signals};
use crate::verify::Authority;
use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::ids::NodeId;

use super::failure::{Failure, LESS_ASSURANCE};
use super::flags::trust::trust_of_open;
use super::flags::work::WorkFlags;
use super::never_leads::{self, Asked};

const AFTER_HELP: &str = "\
For a node that was started on its own, on this machine and by this user. exec draws
nonces, has the node answer them with lease proofs, and verifies each itself: CMD
starts only on a proof that names the node's key, and is killed, with all that it
has started, before the lease of the last proof can end, whatever becomes of the
node. The node waits for CMD to end before it hands over.

CMD has NITRO_ELECT_TERM, its fencing token, and NITRO_ELECT_PROOF_FILE. When the
lease is lost CMD is stopped, and started again when the node leads again. When CMD
ends by itself, exec ends with its exit code. SIGTERM, SIGINT and SIGHUP are passed
on and end both; SIGUSR1, SIGUSR2 and SIGWINCH are passed on. What this cannot stop
is said in docs/LEADER_ONLY_WORK.md.

Examples:
  nitro-elect exec --state node-1 --manifest cluster.toml -- /usr/local/bin/scheduler
  nitro-elect exec --state node-1 --manifest cluster.toml --watchdog 30s -- \\
    ./worker --queue jobs
  nitro-elect exec --state node-1 --manifest cluster.toml --allow-simulated -- \\
    sh -c 'echo $NITRO_ELECT_TERM'

Exit codes:
  CMD's own, 128 + the signal that ended it; 0 if told to end while CMD did not run
  1    no node runs there, or it is not the one meant
  2    wrong usage, or a file could not be read
  3    the node leads, but with less assurance than asked for
  126  CMD cannot be run; 127 if there is no such command";

/// Run a command only while the node of a state directory leads
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The state directory of the node that runs
    #[arg(long, value_name = "DIR", env = "NITRO_ELECT_STATE", hide_env_values = true)]
    state: PathBuf,
    /// The cluster's manifest
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_MANIFEST", hide_env_values = true)]
    manifest: Option<PathBuf>,
    /// For an open cluster, which has no manifest: the enclaves you accept [default: the simulated enclave's]
    #[arg(long, value_name = "FILE", conflicts_with = "manifest")]
    trust: Option<PathBuf>,
    /// The key of the node that must lead [default: the one in the state directory]
    #[arg(long, value_name = "KEY", value_parser = NodeId::from_hex)]
    node: Option<NodeId>,
    #[command(flatten)]
    work: WorkFlags,
    /// Once CMD has ended by itself, have the node hand over as well
    #[arg(long)]
    resign_on_exit: bool,
    #[command(flatten)]
    accept: AcceptOpenFlags,
    /// How log lines look [default: human on a terminal, json otherwise]
    #[arg(long, value_enum, env = "NITRO_ELECT_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<LogFormat>,
    /// The command, and its arguments
    #[arg(last = true, required = true, num_args = 1.., value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command, until it ends or this process is told to.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.command
        .first()
        .map_or(Ok(()), look_for)
        .map_err(|why| Failure::new(why.exit_code(), &why, why.help()))?;
    let config = config(args)?;
    let log = logging::start_aside(args.log_format);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(NoProcess)?;
    let ended = runtime.block_on(exec(config));
    runtime.shutdown_background();
    log.finish();
    ended
}

async fn exec(config: ExecConfig) -> Result<ExitCode, Failure> {
    let mut signals = Heeded::take().map_err(NoProcess)?;
    let exec = Exec::begin(config).await.map_err(failure)?;
    let ended = exec.run(async || signals.next().await).await.map_err(failure)?;
    Ok(ExitCode::from(match ended {
        Ended::Command(exit) => exit.map_or(CANNOT_START, Exit::code),
        Ended::Idle => 0,
        Ended::AtOnce(signal) => Exit::Signal(signal).code(),
    }))
}

fn failure(error: ExecError) -> Failure {
    match &error {
        ExecError::Stale(Stale::Assurance { .. }) => Failure::new(LESS_ASSURANCE, &error, error.help()),
        _ => error.into(),
    }
}

fn config(args: &Args) -> Result<ExecConfig, Failure> {
    let node = match args.node {
        Some(node) => node,
        None => keys::load(&args.state).map_err(Failure::unreadable)?.id(),
    };
    let authority = authority(args)?;
    if let Authority::Manifest(electorate) = &authority
        && args.node.is_none()
        && !electorate.contains(&node)
    {
        return Err(never_leads::refuse(Asked::Command, &args.state));
    }
    Ok(ExecConfig {
        state: args.state.clone(),
        node,
        authority,
        accept: args.accept.accept(),
        command: args.command.clone(),
        settings: args.work.settings(true),
        resign_on_exit: args.resign_on_exit,
    })
}

fn authority(args: &Args) -> Result<Authority, Failure> {
    if let Some(path) = &args.manifest {
        let manifest = Manifest::load(path).map_err(Failure::unreadable)?;
        return Ok(Authority::Manifest(Box::new(manifest.electorate)));
    }
    Ok(Authority::Open(Box::new(trust_of_open(args.trust.as_deref())?)))
}

/// The signals that an exec heeds.
struct Heeded {
    ending: Signals,
    for_command: ForCommand,
}

impl Heeded {
    fn take() -> std::io::Result<Heeded> {
        Ok(Heeded { ending: Signals::take()?, for_command: ForCommand::take()? })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            signal = self.ending.next() => Heard::End(signal.number()),
            signal = self.for_command.next() => Heard::PassOn(signal),
        }
    }
}
