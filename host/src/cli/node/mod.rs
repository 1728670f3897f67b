//! `nitro-elect node`: runs one node and its admin address until it is told to stop.

mod config;

use clap::ArgGroup;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::Failure;
use super::flags::check::CheckFlags;
use super::flags::work::WorkFlags;
use super::never_leads::Asked;
use crate::exec;
use crate::exec::place::Place;
use crate::help::Help;
use crate::http::{self, Bounds};
use crate::logging::{self, LogFormat};
use crate::node::{Exit, Node, NodeConfig};
use crate::run::command::{CANNOT_START, look_for};
use crate::run::led::{Outcome, Work};
use crate::run::limits::END_OF_WORK;
use crate::run::rules;
use crate::secrecy;
use crate::signals::{EndSignal, NoProcess};
use crate::supervisor::estate::HALTED;
use crate::supervisor::orders::Orders;
use crate::supervisor::{self, Birth, Link};
use crate::transport::endpoint::{Endpoint, HostPort};
use config::{access, admin, config};

/// Where a simulated enclave listens when nothing else is said.
const ENCLAVE_DEFAULT: &str = "tcp://127.0.0.1:5900";

const AFTER_HELP: &str = "\
With --manifest the node is one of that cluster's voters, or, with a key of its own
that the manifest admits, an observer: it follows, verifies and serves the same
admin address, votes in nothing and asks no enclave. --observe makes sure of that.
An observer never leads: CMD or --check with it is refused.
With -p it is one of an open cluster, for trying out and for networks you trust.
SIGTERM, SIGINT and SIGHUP end it in order, a second one at once.

The process that is started is a supervisor; the node is its one child. When the
node dies, the supervisor makes an end of what it ran and then tells the voters, so
that another leads within milliseconds; in doubt the lease decides.

CMD runs only while this node leads: started when it holds the lease, asked to end
by SIGTERM when a third of the lease is left and no renewal came, killed with all
that it has started before the lease ends, and started again when the node leads
again. NITRO_ELECT_TERM is its fencing token, NITRO_ELECT_PROOF_FILE the newest
proof that this node leads. If it ends by itself, it is started again after a while.
SIGUSR1, SIGUSR2 and SIGWINCH are passed on to it.
docs/LEADER_ONLY_WORK.md says what this cannot stop.

Examples:
  nitro-elect node --manifest cluster.toml --state node-1 --enclave vsock://16:5005
  nitro-elect node --manifest cluster.toml --state node-1 --enclave tls://proxy-a:5443
  nitro-elect node --manifest cluster.toml --state observer --observe \\
    --admin 127.0.0.1:16000
  nitro-elect node --manifest cluster.2.toml --state node-1 \\
    --approvals a.approval b.approval c.approval

  A command that runs on the leader alone, and is stopped before the next leader's
  begins:
    nitro-elect node --manifest cluster.toml --state node-1 --stop-timeout 30s -- \\
      /usr/local/bin/scheduler

  A node that may lead only while its database answers:
    nitro-elect node --manifest cluster.toml --state node-1 \\
      --check 'pg_isready --quiet' --check-interval 1s

  The two lines of an open cluster on one machine:
    nitro-elect node -p 5000 -n 5001
    nitro-elect node -p 5001 -n 5000

Exit codes:
  0  stopped as told
  1  could not start or run
  2  wrong usage, or a file could not be read
  4  must not go on under its key: starting it again does not help
  128 + the signal that ended the node
  CMD's own with --resign-on-exit, 128 + the signal that ended it; 126 and 127 if it
  cannot be run or is not there

Environment:
  NITRO_ELECT_LOG  what to log: error, warn, info, debug or trace";

/// Run one node: gossip, elect, hold leases, serve the admin address
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, group(ArgGroup::new("cluster").args(["manifest", "port"]).required(true)))]
pub struct Args {
    /// The cluster's manifest; without it the node is one of an open cluster
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_MANIFEST", hide_env_values = true, requires = "state", conflicts_with_all = ["port", "neighbours", "trust", "alone"])]
    manifest: Option<PathBuf>,
    /// Follow the cluster and vote in nothing; the key must not be a voter's, and the manifest must admit observers
    #[arg(long, requires = "manifest")]
    observe: bool,
    /// The state directory, with the node's key [open cluster: nitro-elect/open-PORT in the user's state directory]
    #[arg(long, value_name = "DIR", env = "NITRO_ELECT_STATE", hide_env_values = true)]
    state: Option<PathBuf>,
    /// What `manifest approve` wrote, to move to this manifest from the one before [default: the manifest's name with the
    /// ending .approvals, if there is such a file]
    #[arg(long, value_name = "FILE", num_args = 1.., env = "NITRO_ELECT_APPROVALS", hide_env_values = true, value_delimiter = ',', requires = "manifest")]
    approvals: Vec<PathBuf>,
    /// Where an enclave is, or a proxy in front of one: tcp://, tls://, vsock://CID:PORT, unix://; several in order
    /// of preference
    #[arg(long = "enclave", value_name = "ENDPOINT", env = "NITRO_ELECT_ENCLAVE", hide_env_values = true, value_delimiter = ',', default_value = ENCLAVE_DEFAULT)]
    enclaves: Vec<Endpoint>,
    /// Where to listen when that is not the manifest's address
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "port")]
    listen: Option<HostPort>,
    /// Open cluster: the port to listen at, on loopback unless an address is given
    #[arg(short = 'p', long = "port", value_name = "[IP:]PORT", value_parser = parse_place)]
    port: Option<HostPort>,
    /// Open cluster: other nodes to begin with; a bare PORT means this machine
    #[arg(short = 'n', long = "neighbours", value_name = "[HOST:]PORT", num_args = 1.., value_parser = parse_place)]
    neighbours: Vec<HostPort>,
    /// Open cluster: the file that says which enclaves are accepted [default: the simulated enclave's]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Open cluster: lead even while no other node is there
    #[arg(long)]
    alone: bool,
    /// What people call this node, if the manifest does not say
    #[arg(long)]
    name: Option<String>,
    /// Where to serve JSON over HTTP [default: 127.0.0.1, the node's port + 10000, or any free port]
    #[arg(long, value_name = "HOST:PORT", env = "NITRO_ELECT_ADMIN", hide_env_values = true)]
    admin: Option<HostPort>,
    /// The token without which nobody changes anything at the admin address, nor reads it from other machines
    /// [default: one drawn at start, left where the user's own commands find it]
    #[arg(long, value_name = "FILE", env = "NITRO_ELECT_TOKEN_FILE", hide_env_values = true)]
    token_file: Option<PathBuf>,
    /// Let other machines read the admin address without a token
    #[arg(long)]
    danger_open: bool,
    /// Go on though the key's earlier votes are lost: until it gets a new key, the node counts as one of the f
    #[arg(long)]
    danger_forget_votes: bool,
    #[command(flatten)]
    check: CheckFlags,
    #[command(flatten)]
    work: WorkFlags,
    /// Once CMD has ended by itself, resign and end with its exit code, instead of starting it again
    #[arg(long, requires = "command")]
    resign_on_exit: bool,
    /// How log lines look [default: human on a terminal, json otherwise]
    #[arg(long, value_enum, env = "NITRO_ELECT_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<LogFormat>,
    /// A command to run only while this node leads, with NITRO_ELECT_TERM and NITRO_ELECT_PROOF_FILE set
    #[arg(last = true, num_args = 1.., value_name = "CMD")]
    command: Vec<OsString>,
}

impl Args {
    /// What is asked for that has a meaning for a node that may lead alone.
    fn asked_of_a_leader(&self) -> Option<Asked> {
        let check = self.check.check().map(|_| Asked::Check);
        if self.command.is_empty() { check } else { Some(Asked::Command) }
    }
}

fn parse_place(text: &str) -> Result<HostPort, String> {
    let bare = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("127.0.0.1:{text}"));
    let place: HostPort = bare.as_deref().unwrap_or(text).parse().map_err(|error| format!("{error}"))?;
    if place.port() == 0 { Err("port 0 is nobody's: give one from 1 to 65535".into()) } else { Ok(place) }
}

/// Runs the node to its end, below a supervisor that is this very process when a user starts it.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    match supervisor::birth().map_err(NoProcess)? {
        Birth::ByUser => Ok(supervisor::supervise(|| logging::start(args.log_format))?),
        Birth::Node(link) => run_node(args, &link),
    }
}

fn run_node(args: &Args, link: &Link) -> Result<ExitCode, Failure> {
    secrecy::keep_memory().map_err(NoProcess)?;
    let log = logging::start_aside(args.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(NoProcess)?;
    let ended = runtime.block_on(serve(args, link));
    runtime.shutdown_background();
    log.finish();
    ended
}

async fn serve(args: &Args, link: &Link) -> Result<ExitCode, Failure> {
    args.command
        .first()
        .map_or(Ok(()), look_for)
        .map_err(|why| Failure::new(why.exit_code(), &why, why.help()))?;
    let mut orders = Orders::take(Some(link)).map_err(NoProcess)?;
    let config = NodeConfig { supervisor: Some(link.clone()), ..config(args).await? };
    let admin = http::bind(&admin(args, &config)).await?;
    let admin_address = admin.local_addr().map_err(NoProcess)?;
    let (access, _drawn) = access(args, admin_address)?;
    introduce(&config);
    let (me, state) = (config.id(), config.state.clone());
    let mut node = Node::start(config).await?;
    let mut work = work(args, &node, link, &state).await?;
    let checking = args.check.check().map(|check| tokio::spawn(check.run(node.handle().clone())));
    let beside = tokio::spawn(exec::server::serve(
        Place::listen(&state)?,
        node.handle().clone(),
        me,
        Some(link.clone()),
    ));
    tracing::info!(
        "listening at {} for nodes; the page for people is http://{admin_address}/",
        node.address()
    );
    let serving = tokio::spawn(http::serve(admin, access, node.handle().clone(), Bounds::default()));
    let (exit, outcome) = tokio::select! {
        exit = node.ended() => (exit, None),
        outcome = work.outcome() => (node.shutdown().await, Some(outcome)),
        signal = orders.next() => {
            tracing::info!("stopping; once more ends at once");
            tokio::select! {
                exit = stop(node, &work, args.work.patience(), signal) => (exit, None),
                signal = orders.next() => return Ok(ExitCode::from(signal.exit_code())),
            }
        }
    };
    checking.iter().for_each(tokio::task::JoinHandle::abort);
    beside.abort();
    serving.abort();
    Ok(outcome.and_then(after_work).unwrap_or_else(|| conclude(&exit)))
}

/// The command of this line, ready to run whenever the node leads.
async fn work(args: &Args, node: &Node, link: &Link, state: &Path) -> Result<Work, Failure> {
    if args.command.is_empty() {
        return Ok(Work::none());
    }
    let settings = args.work.settings(args.resign_on_exit);
    Ok(Work::begin(node.handle(), Some(link.clone()), state, &args.command, settings).await?)
}

/// Ends the node in order: first all that works while it leads, then itself.
async fn stop(node: Node, work: &Work, patience: Duration, signal: EndSignal) -> Exit {
    work.quit(signal.number());
    if !node.handle().end_work(patience + END_OF_WORK).await {
        tracing::error!("what works while this node leads does not end: the lease has to run out");
    }
    node.shutdown().await
}

/// The exit code that the command's end gives; none if that is the node's matter.
fn after_work(outcome: Outcome) -> Option<ExitCode> {
    match outcome {
        Outcome::Ended(exit) => {
            let code = exit.map_or(CANNOT_START, rules::Exit::code);
            tracing::info!("ends with the command's exit code {code}");
            Some(ExitCode::from(code))
        }
        Outcome::Broken(error) => {
            tracing::error!("{error}");
            Some(ExitCode::FAILURE)
        }
        Outcome::Over => None,
    }
}

fn conclude(exit: &Exit) -> ExitCode {
    match exit {
        Exit::Stopped => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Exit::Halted(reason) => {
            tracing::error!("halted: {reason}");
            ExitCode::from(HALTED)
        }
        Exit::Died => {
            tracing::error!("the node's thread ended without a word");
            ExitCode::FAILURE
        }
    }
}

/// Says what kind of node begins.
fn introduce(config: &NodeConfig) {
    let (name, state) = (&config.name, config.state.display());
    let version = super::VERSION.as_str();
    let role = if config.votes() { "voter" } else { "observer" };
    tracing::info!("nitro-elect {version}: node {name}, {role}, state in {state}");
    if config.is_open() {
        tracing::warn!(
            "OPEN mode: whoever can reach this port becomes a voter; its certificates say OPEN and prove nothing about \
             who may vote. For trying out and for networks you trust; else give --manifest"
        );
    }
}
