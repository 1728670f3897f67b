//! `nitro-elect gate`: the one way to a resource, open for whoever proves to lead.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nitro_elect_protocol::ids::Term;

use super::flags::accept::AcceptOpenFlags;
use crate::descriptors;
use crate::duration;
use crate::gate::limits::{DESCRIPTORS, DRAIN_DEFAULT};
use crate::gate::{Gate, GateConfig, GateError, leave_word};
use crate::help::Help;
use crate::http::guard::Hosts;
use crate::http::token::Token;
use crate::http::{self, Admin, Bounds};
use crate::logging::{self, LogFormat};
use crate::manifest::Manifest;
use crate::secrecy;
use crate::signals::{NoProcess, Signals};
use crate::transport::endpoint::{Endpoint, HostPort};
use crate::verify::Authority;

use super::failure::{FAILED, Failure, USAGE};
use super::flags::trust::trust_of_open;

const AFTER_HELP: &str = "\
A connection is let in, and kept, only while the gate holds a lease proof with a
nonce of its own that names the node key by which the connection authenticated.
A higher term closes the connections of the lower one: nothing more of them is
forwarded, and the next leader is let in when the resource has ended each. What
the resource does not end in --drain ends with --fence-cmd, or waits for your
word: --drained TERM. Without a proof, nothing passes.

An open cluster (node -p, -n) has no manifest, and anybody who reaches an accepted
enclave can lead one; its gate keeps two leaders apart and no stranger out. It is
refused without --allow-open.

A resource has exactly one gate, and must be reachable through it alone; see
docs/FENCING.md, also for which resources this is enough.

Examples:
  nitro-elect gate --listen 0.0.0.0:6432 --upstream 127.0.0.1:5432 \\
      --manifest cluster.toml --state /var/lib/nitro-elect/gate

  By the database's Unix socket, with a command that ends what is left of a term:
    nitro-elect gate --listen 0.0.0.0:6432 --upstream unix:///run/postgresql/.s.PGSQL.5432 \\
        --manifest cluster.toml --state gate --fence-cmd ./end-backends

  Requests of HTTP, each with its term:
    nitro-elect gate --http --listen 0.0.0.0:6480 --upstream 127.0.0.1:8080 \\
        --manifest cluster.toml --state gate

  Before what an open cluster's leader writes to, on this machine alone, for trying out:
    nitro-elect gate --listen 127.0.0.1:6432 --upstream 127.0.0.1:5432 --state gate --allow-open

  Is it open, and if not, why; and your word that term 7 is over:
    curl --fail http://127.0.0.1:16432/readyz
    nitro-elect gate --drained 7 --state gate

The fence command is run by /bin/sh with NITRO_ELECT_TERM, the term that is over. It
must return 0 only when nothing of that term works in the resource any more.

Exit codes:
  0        stopped as told, and the resource had ended what it had
  1        could not start or run, or stopped with connections of a term in doubt
  2        wrong usage, or a file could not be read
  128 + n  ended at once by a second signal n";

/// Let only the leader through to a resource
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where leaders connect, with `nitro-elect connect`
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "drained")]
    listen: Option<HostPort>,
    /// The resource: HOST:PORT, unix://PATH or vsock://CID:PORT
    #[arg(long, value_name = "ENDPOINT", required_unless_present = "drained")]
    upstream: Option<Endpoint>,
    /// The cluster's manifest; its successor too, while that is being introduced. An open cluster has none: --allow-open
    #[arg(
        long,
        value_name = "FILE",
        env = "NITRO_ELECT_MANIFEST",
        hide_env_values = true,
        value_delimiter = ','
    )]
    manifest: Vec<PathBuf>,
    /// For an open cluster: the enclaves you accept [default: the simulated enclave's]
    #[arg(long, value_name = "FILE", conflicts_with = "manifest", requires = "allow_open")]
    trust: Option<PathBuf>,
    /// The gate's state directory, made if it is not there; one for each resource
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Admin address of a node to ask for proofs, so that the gate hears of a new leader early; may be given again
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    node: Vec<HostPort>,
    /// The admin token that those nodes want
    #[arg(long, value_name = "FILE", requires = "node")]
    token_file: Option<PathBuf>,
    /// How long the resource has to end the connections of a term that is over
    #[arg(long, value_name = "SPAN", value_parser = duration::parse, default_value = DRAIN_DEFAULT)]
    drain: Duration,
    /// A command that ends, in the resource, what is left of a term
    #[arg(long, value_name = "CMD")]
    fence_cmd: Option<String>,
    /// Forward requests of HTTP/1.1 instead of bytes, each with its term
    #[arg(long)]
    http: bool,
    /// Say that nothing of this term works in the resource any more, to the gate of this state directory
    #[arg(long, value_name = "TERM", conflicts_with_all = ["listen", "upstream", "node", "fence_cmd", "http"])]
    drained: Option<u64>,
    /// Where to serve /healthz, /readyz, /status and /metrics [default: 127.0.0.1, the port of --listen + 10000, or any]
    #[arg(long, value_name = "HOST:PORT", env = "NITRO_ELECT_GATE_ADMIN", hide_env_values = true)]
    admin: Option<HostPort>,
    /// Let other machines reach the admin address
    #[arg(long)]
    danger_open: bool,
    #[command(flatten)]
    accept: AcceptOpenFlags,
    /// How log lines look [default: human on a terminal, json otherwise]
    #[arg(long, value_enum, env = "NITRO_ELECT_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<LogFormat>,
}

/// Serves until it is told to stop, or leaves an operator's word.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    if let Some(term) = args.drained {
        return say_drained(&args, Term(term));
    }
    logging::start(args.log_format);
    secrecy::keep_memory().map_err(NoProcess)?;
    let config = config(&args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(NoProcess)?;
    let served = runtime.block_on(serve(&args, config));
    runtime.shutdown_background();
    served
}

fn say_drained(args: &Args, term: Term) -> Result<ExitCode, Failure> {
    leave_word(&args.state, term).map_err(|error| Failure::new(FAILED, &error, error.help()))?;
    eprintln!(
        "noted for term {term}: the gate takes it within a second, or at its start; its log and /readyz tell"
    );
    Ok(ExitCode::SUCCESS)
}

fn config(args: &Args) -> Result<GateConfig, Failure> {
    let (Some(listen), Some(upstream)) = (args.listen.clone(), args.upstream.clone()) else {
        return Err(Failure::new(USAGE, "--listen and --upstream are missing", "give both"));
    };
    let token = args.token_file.as_deref().map(Token::read).transpose().map_err(Failure::unreadable)?;
    Ok(GateConfig {
        listen,
        upstream,
        authorities: authorities(args)?,
        accept: args.accept.accept(),
        state: args.state.clone(),
        nodes: args.node.clone(),
        token,
        drain: args.drain,
        fence_command: args.fence_cmd.clone(),
        is_http: args.http,
    })
}

/// Those of the manifests; of an open cluster the trust file given, or the default one.
fn authorities(args: &Args) -> Result<Vec<Authority>, Failure> {
    let of_manifest = |path: &PathBuf| {
        let manifest = Manifest::load(path).map_err(Failure::unreadable)?;
        Ok(Authority::Manifest(Box::new(manifest.electorate)))
    };
    match (args.manifest.is_empty(), args.accept.accept().open) {
        (false, _) => args.manifest.iter().map(of_manifest).collect(),
        (true, false) => Err(Failure::new(USAGE, GateError::OpenCluster, GateError::OpenCluster.help())),
        (true, true) => Ok(vec![Authority::Open(Box::new(trust_of_open(args.trust.as_deref())?))]),
    }
}

async fn serve(args: &Args, config: GateConfig) -> Result<ExitCode, Failure> {
    let mut signals = Signals::take().map_err(NoProcess)?;
    let admin = match &args.admin {
        Some(address) => Admin::At { address: address.clone(), may_expose: args.danger_open },
        None => Admin::Beside { port: config.listen.port() },
    };
    let admin = http::bind(&admin).await?;
    let admin_address = admin.local_addr().map_err(NoProcess)?;
    descriptors::allow_or_warn(DESCRIPTORS);
    let gate = Gate::start(config.clone()).await?;
    introduce(&config);
    tracing::info!(
        "listening at {} with key {}, at http://{admin_address} for probes",
        gate.address(),
        gate.key()
    );
    let hosts = args.admin.as_ref().map(|admin| Hosts::of(admin.host())).unwrap_or_default();
    let routes = gate.routes(hosts);
    let probes = tokio::spawn(async move { http::serve_routes(admin, routes, &Bounds::default()).await });
    signals.next().await;
    tracing::info!("stopping: nothing more is forwarded; once more ends at once");
    let is_drained = tokio::select! {
        is_drained = gate.shutdown() => is_drained,
        signal = signals.next() => return Ok(ExitCode::from(signal.exit_code())),
    };
    probes.abort();
    if !is_drained {
        tracing::error!("stopped with connections in doubt: the next start begins with them");
        return Ok(ExitCode::from(FAILED));
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn introduce(config: &GateConfig) {
    let version = env!("CARGO_PKG_VERSION");
    let upstream = &config.upstream;
    match config.authorities.first() {
        Some(Authority::Manifest(electorate)) => {
            tracing::info!("nitro-elect {version}: gate of cluster {:?} before {upstream}", electorate.name);
        }
        _ => {
            tracing::info!("nitro-elect {version}: gate of an OPEN cluster before {upstream}");
            tracing::warn!(
                "whoever reaches an accepted enclave can make himself its leader and is let in, as you say"
            );
        }
    }
    if config.accept.simulated || config.accept.debug {
        tracing::warn!("accepts proofs that are worth less than attested, as you say");
    }
    if config.fence_command.is_none() {
        tracing::info!("no --fence-cmd: what the resource does not end by itself waits for an operator");
    }
}
