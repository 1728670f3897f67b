//! `nitro-elect connect`: a local port for a program whose resource is behind a gate.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nitro_elect_protocol::ids::NodeId;

use crate::descriptors;
use crate::duration;
use crate::gate::connect::{ConnectConfig, serve};
use crate::gate::limits::{DESCRIPTORS, WAIT_DEFAULT};
use crate::keys;
use crate::logging::{self, LogFormat};
use crate::secrecy;
use crate::signals::{NoProcess, Signals};
use crate::transport::endpoint::{Endpoint, HostPort};
use crate::transport::listen::{Exposure, Listener};
use crate::transport::tls::{ExpectedKey, TlsIdentity};

use super::failure::{FAILED, Failure};
use super::flags::admin::AdminFlags;

const AFTER_HELP: &str = "\
Run it beside a node, as the node's user: it authenticates with the node's key,
which it reads from --state, and has the node answer the gate's nonces. While the
node leads, whoever connects to --local is carried through the gate; at other
times connections wait for up to --wait and are then hung up on.

Examples:
  nitro-elect connect --gate db.example:6432 --local 127.0.0.1:5432 --state node-1

  The gate prints its key at start; with it, nobody else can play the gate:
    nitro-elect connect --gate db.example:6432 --gate-key KEY --local 127.0.0.1:5432 --state node-1

  Beside a node of an open cluster, whose state is the user's:
    nitro-elect connect --gate 127.0.0.1:6432 --local 127.0.0.1:5501 \\
        --admin 127.0.0.1:15000 --state ~/.local/state/nitro-elect/open-5000

  Beside a gate in HTTP mode, which answers 503 with the reason at once:
    nitro-elect connect --gate web.example:6480 --local 127.0.0.1:8080 --state node-1 --wait 0s

Exit codes:
  0        stopped as told
  1        could not start or run
  2        wrong usage, or a file could not be read";

/// Give a program a local port that leads through a gate while this node leads
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The gate
    #[arg(long, value_name = "HOST:PORT")]
    gate: HostPort,
    /// The gate's key, as it prints it at start [default: any, with a warning]
    #[arg(long, value_name = "KEY", value_parser = NodeId::from_hex)]
    gate_key: Option<NodeId>,
    /// Where programs connect: HOST:PORT on loopback, or unix://PATH
    #[arg(long, value_name = "ENDPOINT")]
    local: Endpoint,
    /// The node's state directory, which holds its key
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    #[command(flatten)]
    admin: AdminFlags,
    /// How long a program's connection waits for the gate to open
    #[arg(long, value_name = "SPAN", value_parser = duration::parse, default_value = WAIT_DEFAULT)]
    wait: Duration,
    /// Let other machines reach the local port: whoever does acts as the leader
    #[arg(long)]
    danger_open: bool,
    /// How log lines look [default: human on a terminal, json otherwise]
    #[arg(long, value_enum, env = "NITRO_ELECT_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<LogFormat>,
}

/// Serves until it is told to stop.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    logging::start(args.log_format);
    secrecy::keep_memory().map_err(NoProcess)?;
    let key = keys::load(&args.state).map_err(Failure::unreadable)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(NoProcess)?;
    let served = runtime.block_on(listen(args, TlsIdentity::of(&key)));
    runtime.shutdown_background();
    served
}

async fn listen(args: Args, identity: TlsIdentity) -> Result<ExitCode, Failure> {
    let mut signals = Signals::take().map_err(NoProcess)?;
    let exposure = if args.danger_open { Exposure::DangerOpen } else { Exposure::LoopbackOnly };
    let local = Listener::bind(&args.local, exposure).await.map_err(|error| {
        Failure::new(
            FAILED,
            error,
            "give --local a place on this machine that is free, such as 127.0.0.1:5432",
        )
    })?;
    descriptors::allow_or_warn(DESCRIPTORS);
    let admin = args.admin.resolve().await?;
    let gate_key = match args.gate_key {
        Some(key) => ExpectedKey::Exactly(key),
        None => {
            tracing::warn!("no --gate-key: whoever answers at {} is taken for the gate", args.gate);
            ExpectedKey::Any
        }
    };
    tracing::info!("as {}, from {} to the gate at {}", identity.id().short(), local.endpoint(), args.gate);
    let config = ConnectConfig { gate: args.gate, gate_key, identity, admin, wait: args.wait };
    tokio::select! {
        () = serve(config, local) => {}
        _ = signals.next() => tracing::info!("stopped"),
    }
    Ok(ExitCode::SUCCESS)
}
