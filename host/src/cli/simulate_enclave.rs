//! `nitro-elect simulate-enclave`: the election service with a simulated module, for machines that have no Nitro.

use serde_json::json;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

use crate::simulated::enclave::SimulatedEnclave;
use crate::simulated::pki_file;
use crate::storage::atomic;
use crate::transport::endpoint::Endpoint;
use crate::transport::listen::{BindError, Exposure, Listener};
use crate::trust_file;

use super::Failure;
use super::failure::{FAILED, USAGE};
use super::output::{Format, print};

/// Nothing in a trust file is secret.
const TRUST_MODE: u32 = 0o644;

const AFTER_HELP: &str = "\
It runs the same service as the real enclave, with keys made at start, and signs
attestation documents of the same format under a root of its own. Whatever is
verified that way is worth SIMULATED and says so everywhere.

The trust file accepts exactly the enclaves under that root. It is replaced once
the port accepts connections. With --pki the root is kept (0600, made if
absent), and a restarted or a second simulated enclave is accepted by the same
trust file; without it, each start makes a new root.

Without --trust-out the file goes where nodes of an open cluster look for it:
$XDG_STATE_HOME/nitro-elect/simulated/trust.json, by default below
~/.local/state.

Examples:
  nitro-elect simulate-enclave
  nitro-elect simulate-enclave --trust-out trust.json --pki pki.pem
  nitro-elect simulate-enclave --listen tcp://127.0.0.1:5901 --pki pki.pem \\
    --trust-out trust.json

Exit codes: 0 stopped by SIGINT or SIGTERM, 1 refused or failed, 2 wrong usage";

/// Run a simulated enclave, for trying out; writes the trust file that accepts it
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where it listens: tcp://HOST:PORT, unix://PATH or vsock://any:PORT
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:5900")]
    #[arg(env = "NITRO_ELECT_LISTEN", hide_env_values = true)]
    listen: Endpoint,
    /// The trust file to write
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_TRUST_OUT", hide_env_values = true)]
    trust_out: Option<PathBuf>,
    /// The file that keeps the simulated root; made if absent
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_PKI", hide_env_values = true)]
    pki: Option<PathBuf>,
    /// Let a tcp:// port be reached from other machines
    #[arg(long)]
    danger_open: bool,
    #[command(flatten)]
    format: Format,
}

fn not_bound(error: BindError) -> Failure {
    let help = match error {
        BindError::Open { .. } | BindError::ConnectOnly { .. } => "change --listen",
        BindError::InUse { .. } => "stop that process, or choose another place with --listen",
        BindError::Resolve(_) | BindError::Io { .. } => "check the address given with --listen",
    };
    Failure::new(FAILED, error, help)
}

/// Serves until it is told to stop.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    if matches!(args.listen, Endpoint::Tls(_)) {
        let help = "listen at tcp://, unix:// or vsock://; tls:// is for `nitro-elect proxy`";
        return Err(Failure::new(USAGE, "an enclave speaks plain frames, not TLS", help));
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        Failure::new(FAILED, format!("the runtime did not start: {error}"), "check the limits of this user")
    })?;
    runtime.block_on(serve(args))
}

async fn serve(args: Args) -> Result<ExitCode, Failure> {
    let exposure = if args.danger_open { Exposure::DangerOpen } else { Exposure::LoopbackOnly };
    let listener = Listener::bind(&args.listen, exposure).await.map_err(not_bound)?;
    let endpoint = listener.endpoint().to_string();
    let enclave = boot(args.pki.as_deref())?;
    let trust_out = match &args.trust_out {
        Some(path) => path.clone(),
        None => trust_file::default_path()?,
    };
    let stop = stopped()?;
    write_trust(&trust_out, args.trust_out.is_none(), &enclave)?;
    announce(&args, &endpoint, &trust_out, &enclave)?;
    tokio::select! {
        never = enclave.serve(listener) => match never {},
        () = stop => Ok(ExitCode::SUCCESS),
    }
}

fn boot(pki: Option<&Path>) -> Result<SimulatedEnclave, Failure> {
    let pki = match pki {
        Some(path) => pki_file::load_or_create(path)?,
        None => pki_file::generate()?,
    };
    SimulatedEnclave::boot(pki, super::verify::present).map_err(|error| {
        Failure::new(FAILED, format!("the simulated enclave did not start: {error}"), "try again")
    })
}

/// Ends with the first SIGINT or SIGTERM.
fn stopped() -> Result<impl Future<Output = ()>, Failure> {
    let catch = |kind| {
        signal(kind).map_err(|error| {
            Failure::new(
                FAILED,
                format!("signals cannot be caught: {error}"),
                "check the limits of this user",
            )
        })
    };
    let (mut interrupt, mut terminate) = (catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Writes the trust file; the directory of the default one is made for its user alone.
fn write_trust(path: &Path, is_default: bool, enclave: &SimulatedEnclave) -> Result<(), Failure> {
    let made = match path.parent() {
        Some(dir) if is_default => DirBuilder::new().recursive(true).mode(0o700).create(dir),
        _ => Ok(()),
    };
    let text = trust_file::to_text(enclave.trust());
    made.and_then(|()| atomic::replace(path, text.as_bytes(), TRUST_MODE)).map_err(|error: io::Error| {
        let what = format!("could not write the trust file {}: {error}", path.display());
        Failure::new(FAILED, what, "name another place with --trust-out")
    })
}

fn announce(args: &Args, endpoint: &str, trust: &Path, enclave: &SimulatedEnclave) -> Result<(), Failure> {
    if args.format.json {
        let ready = json!({
            "event": "ready",
            "simulated": true,
            "listen": endpoint,
            "enclave": enclave.id().to_string(),
            "trust": trust,
            "pki": args.pki,
        });
        return print(&ready.to_string());
    }
    print(&format!("SIMULATED enclave {} serves {endpoint}", enclave.id()))?;
    print(&format!("trust file that accepts it: {}", trust.display()))?;
    if args.pki.is_none() {
        print(
            "its root is made for this start; with --pki FILE the next start keeps it, and is accepted too",
        )?;
    }
    if args.trust_out.is_none()
        && let Err(error) = trust_file::default_trust_file()
    {
        eprintln!("note: {error}");
    }
    Ok(())
}
