//! The gate: the one way to a resource that knows nothing of terms, open for whoever proves to lead now (DESIGN §7).
//!
//! ```text
//! program -> connect -> TLS with the node key -> session -> upstream (looks before each write) -> resource
//!                                                   |             |
//!                          proofs -> keeper: rules, door, disk -> pass (a time)
//! ```
//!
//! * The rules are in [`door`], without clock, socket or disk; [`keeper`] gives them a disk and a lock.
//! * Nothing is forwarded but on a valid [`pass`], looked at right before each write; a connection to the resource is
//!   never dropped before its end ([`upstream`]).
//! * Whoever delivers a proof is not trusted: it must answer a nonce of the gate's own, and name the key that TLS proved.
//! * In doubt the gate is closed, and says why at its admin address.
//!
//! A resource has exactly one gate and is reachable only through it; the lock of the state directory keeps a second one on
//! this machine away.

mod admin;
mod ask;
pub mod closed;
pub mod connect;
pub mod counts;
pub mod door;
mod http;
pub mod keeper;
pub mod limits;
mod message;
mod metrics;
pub mod pass;
mod rooms;
mod session;
mod shared;
pub mod upstream;
mod watch;
pub mod wire;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use nitro_elect_protocol::crypto::NodeKey;
use nitro_elect_protocol::ids::{ClusterId, NodeId};
use nitro_elect_protocol::limits::LEASE_DEFAULT;

pub use counts::Counters;
pub use keeper::Situation;
pub use watch::{WordError, leave_word};

use crate::clock;
use crate::fence::{FenceState, Rules, StateError};
use crate::help::Help;
use crate::http::guard::Hosts;
use crate::http::token::Token;
use crate::keys::{self, KeyError};
use crate::private_file::PrivateFileError;
use crate::transport::connect::{ConnectError, resolve};
use crate::transport::endpoint::{Endpoint, HostPort};
use crate::transport::listen::bear;
use crate::transport::seats::neighbourhood;
use crate::transport::socket;
use crate::transport::tls::{TlsIdentity, TlsServer};
use crate::verify::{Accept, Authority};
use keeper::{Gatehouse, Keeper};
use rooms::Rooms;
use shared::Shared;

/// What a gate is started with.
#[derive(Clone, Debug)]
pub struct GateConfig {
    /// Where presenters connect.
    pub listen: HostPort,
    /// The resource: anything but `tls://`.
    pub upstream: Endpoint,
    /// Whose proofs count: a manifest's voters (several manifests of one cluster while one is being replaced), or the
    /// members of an open cluster, which `accept` must allow. At least one.
    pub authorities: Vec<Authority>,
    /// What is enough beside an attested enclave.
    pub accept: Accept,
    /// Its state directory.
    pub state: PathBuf,
    /// Admin addresses of nodes to ask for proofs.
    pub nodes: Vec<HostPort>,
    /// The token that they want.
    pub token: Option<Token>,
    /// How long the resource has to end the connections of a term that is over.
    pub drain: Duration,
    /// What ends them after that, for the shell.
    pub fence_command: Option<String>,
    /// Whether requests are forwarded, not bytes.
    pub is_http: bool,
}

/// Why a gate does not start.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// No manifest, or manifests of several clusters.
    #[error("a gate serves one cluster: give its manifest, and beside it only its successor")]
    NotOneCluster,
    /// Anybody may be a voter of an open cluster, and its gate was not asked for by name.
    #[error("without a manifest this is an open cluster's gate, which lets in whomever anybody elects")]
    OpenCluster,
    /// A proxy is no resource.
    #[error("the resource {0} is a proxy of ours: name the resource's own endpoint")]
    NoResource(Endpoint),
    /// Its state cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its address does not resolve.
    #[error("cannot listen: {0}")]
    Resolve(#[from] ConnectError),
    /// It cannot listen.
    #[error("cannot listen at {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Help for GateError {
    fn help(&self) -> String {
        match self {
            GateError::NotOneCluster => "name the cluster's manifest with --manifest".into(),
            GateError::OpenCluster => {
                "name the cluster's manifest with --manifest; if it has none, whoever reaches one of the accepted \
                 enclaves can make himself the leader, and --allow-open says that you let him in all the same"
                    .into()
            }
            GateError::NoResource(_) => "give --upstream as HOST:PORT or unix://PATH".into(),
            GateError::State(error) => error.help(),
            GateError::Key(error) => error.help(),
            GateError::Resolve(_) | GateError::Bind { .. } => {
                "give --listen an address of this machine and a port that is free".into()
            }
        }
    }
}

/// A running gate. Dropping it ends it at once; [`Gate::shutdown`] waits for the resource.
pub struct Gate {
    shared: Arc<Shared>,
    address: SocketAddr,
    key: NodeId,
    drain: Duration,
    accepting: JoinSet<()>,
    _watching: JoinSet<()>,
    _asking: JoinSet<()>,
}

impl Gate {
    /// Takes its state, listens, and serves from now on.
    pub async fn start(config: GateConfig) -> Result<Gate, GateError> {
        let cluster = check(&config)?;
        let state = FenceState::open(&config.state, cluster)?;
        let key = own_key(&config)?;
        let address = resolve(&config.listen).await?[0];
        let bound =
            TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|source| GateError::Bind { address, source })?;
        let shared = Arc::new(share(&config, state));
        let identity = TlsIdentity::of(&key);
        let (mut accepting, mut watching) = (JoinSet::new(), JoinSet::new());
        watching.spawn(watch::watch_over(shared.clone(), config.state, config.fence_command));
        let server = TlsServer::of_gate(&identity);
        accepting.spawn(accept(shared.clone(), server, listener));
        let asking = ask::ask_all(&shared, config.nodes, config.token);
        let (key, drain) = (identity.id(), config.drain);
        Ok(Gate { shared, address, key, drain, accepting, _watching: watching, _asking: asking })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that it shows, for `connect --gate-key`.
    pub fn key(&self) -> NodeId {
        self.key
    }

    /// What is known now.
    pub fn situation(&self) -> Situation {
        self.shared.gatehouse.now().situation(clock::now())
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// What it answers at its admin address: `/healthz`, `/readyz`, `/status`, `/metrics`.
    pub fn routes(&self, hosts: Hosts) -> axum::Router {
        admin::routes(self.shared.clone(), hosts)
    }

    /// Lets nobody in any more, forwards nothing, and waits until the resource has ended what it has, for as long as it
    /// has to drain. Whether it has: if not, the mark stays and the next start knows.
    pub async fn shutdown(mut self) -> bool {
        self.accepting.shutdown().await;
        self.shared.gatehouse.with(Keeper::stop).await;
        let ended = async {
            while !self.shared.gatehouse.now().is_at_rest() {
                tokio::time::sleep(limits::TICK).await;
            }
        };
        let _in_time = tokio::time::timeout(self.drain, ended).await;
        let told = self.shared.gatehouse.with(|keeper| keeper.tick()).await;
        told.is_ok() && !self.situation().marked
    }
}

fn check(config: &GateConfig) -> Result<ClusterId, GateError> {
    let first = config.authorities.first().ok_or(GateError::NotOneCluster)?;
    if config.authorities.iter().any(|other| other.cluster() != first.cluster()) {
        return Err(GateError::NotOneCluster);
    }
    if first.cluster().is_open() && !config.accept.open {
        return Err(GateError::OpenCluster);
    }
    match &config.upstream {
        Endpoint::Tls(_) => Err(GateError::NoResource(config.upstream.clone())),
        _ => Ok(first.cluster()),
    }
}

/// The gate's key, made at its first start: by it `connect` knows that it speaks with the gate.
fn own_key(config: &GateConfig) -> Result<NodeKey, KeyError> {
    match keys::load(&config.state) {
        Err(KeyError::File(PrivateFileError::Missing { .. })) => {
            let key = keys::generate()?;
            keys::save(&config.state, &key)?;
            Ok(key)
        }
        loaded => loaded,
    }
}

fn share(config: &GateConfig, state: FenceState) -> Shared {
    let rules = Rules::new(config.authorities.clone(), config.accept);
    let lease = config.authorities.iter().map(lease).min().unwrap_or_default();
    let keeper = Keeper::new(rules, state, config.drain, config.fence_command.is_some(), lease);
    let nodes: Vec<String> = config.nodes.iter().map(ToString::to_string).collect();
    let (upstream, gatehouse) = (config.upstream.clone(), Gatehouse::new(keeper));
    Shared::new(gatehouse, upstream, config.is_http, Rooms::of(&config.authorities), lease, &nodes)
}

/// By which the gate paces itself. What a proof is good for is reckoned by its own electorate.
fn lease(authority: &Authority) -> Duration {
    match authority {
        Authority::Manifest(electorate) => electorate.lease(),
        Authority::Open(_) => LEASE_DEFAULT,
    }
}

/// Accepts connections until dropped; those that it accepted end with it.
async fn accept(shared: Arc<Shared>, server: TlsServer, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, from)) => {
                shared.counters.connections.up();
                if socket::notice_absence(&stream).is_err() {
                    continue;
                }
                let (seat, _) = shared.strangers.take(neighbourhood(from.ip()));
                connections.spawn(session::serve(shared.clone(), server.clone(), stream, from, seat));
            }
            Err(error) => bear(&error, &shared.counters.accept_failures, || shared.may_log()).await,
        }
    }
}
