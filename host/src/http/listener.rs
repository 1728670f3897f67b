//! The admin listener of any process: bounded connections, each with deadlines.
//!
//! A flood takes places, never the process's time. Nor does it keep a probe out: with all places taken, a newcomer
//! pushes out one of those who sit, by chance ([`Seats`]), so that connections held open for nothing are worth
//! nothing. A watcher that is pushed out takes up where it was.

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::counters::HttpCounters;
use super::guard::Access;
use super::limits::{CONNECTIONS_MAX, EXCHANGE_DEADLINE, FIELDS_MAX, HEAD_DEADLINE, HEAD_MAX, WATCHERS_MAX};
use super::routes::router;
use crate::help::Help;
use crate::node::Handle;
use crate::transport::connect::{ConnectError, resolve};
use crate::transport::endpoint::HostPort;
use crate::transport::listen::pause_after;
use crate::transport::seats::Seats;
use crate::transport::socket;

/// How far the default admin port is from the port that a process serves.
pub const PORT_OFFSET: u16 = 10_000;

/// Where the admin address is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// On loopback, [`PORT_OFFSET`] above the port that is served, or at any free port if that is taken.
    Beside {
        /// The port that is served; 0 where it is no TCP port.
        port: u16,
    },
    /// Where the operator said.
    At {
        /// The address.
        address: HostPort,
        /// Whether other machines may reach it: what they may ask is the guard's matter.
        may_expose: bool,
    },
}

/// Why nothing listens at the admin address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The name does not resolve.
    #[error("the admin address: {0}")]
    Resolve(#[from] ConnectError),
    /// Other machines could reach it.
    #[error("the admin address {0} can be reached from other machines, and nothing protects it")]
    Exposed(SocketAddr),
    /// Somebody else listens there.
    #[error("the admin address {0} is in use: another process listens there")]
    InUse(SocketAddr),
    /// The system refused.
    #[error("cannot listen at the admin address {address}: {source}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Help for BindError {
    fn help(&self) -> String {
        match self {
            BindError::Resolve(_) => "give --admin as HOST:PORT, such as 127.0.0.1:15000".into(),
            BindError::Exposed(_) => {
                "listen on 127.0.0.1 and reach it through a tunnel; for a node, name a token with --token-file; or say \
                 --danger-open"
                    .into()
            }
            BindError::InUse(_) => "choose another port with --admin, or stop that process".into(),
            BindError::Io { .. } => "choose an address of this machine with --admin".into(),
        }
    }
}

/// Listens at the admin address.
pub async fn bind(admin: &Admin) -> Result<TcpListener, BindError> {
    match admin {
        Admin::Beside { port: 0 } => listen(loopback(0)).await,
        Admin::Beside { port } => {
            let beside = port.checked_add(PORT_OFFSET);
            match listen(loopback(beside.unwrap_or(0))).await {
                Err(BindError::InUse(_)) => listen(loopback(0)).await,
                bound => bound,
            }
        }
        Admin::At { address, may_expose } => {
            let address = resolve(address).await?[0];
            if !address.ip().is_loopback() && !may_expose {
                return Err(BindError::Exposed(address));
            }
            listen(address).await
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(address),
        _ => BindError::Io { address, source },
    })
}

/// How much of everything; [`Bounds::default`] is right for production, tests make them small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections served at once.
    pub connections: usize,
    /// Watchers among them.
    pub watchers: usize,
    /// How long a request's head may take.
    pub head_deadline: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { connections: CONNECTIONS_MAX, watchers: WATCHERS_MAX, head_deadline: HEAD_DEADLINE }
    }
}

/// Serves a node's admin address until the returned future is dropped.
pub async fn serve(listener: TcpListener, access: Access, node: Handle, bounds: Bounds) {
    let counters = node.http().clone();
    serve_counted(listener, router(node, access, bounds.watchers), &bounds, counters).await;
}

/// Serves these routes until the returned future is dropped.
pub async fn serve_routes(listener: TcpListener, routes: axum::Router, bounds: &Bounds) {
    serve_counted(listener, routes, bounds, Arc::default()).await;
}

async fn serve_counted(
    listener: TcpListener,
    routes: axum::Router,
    bounds: &Bounds,
    counters: Arc<HttpCounters>,
) {
    let seats = Seats::new(bounds.connections, bounds.connections);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if let Some(pause) = pause_after(&error) {
                    tracing::warn!(%error, "cannot accept a connection at the admin address");
                    tokio::time::sleep(pause).await;
                }
                continue;
            }
        };
        counters.connections.up();
        let (mut seat, pushed_out) = seats.take(());
        if pushed_out {
            counters.connections_pushed_out.up();
            tracing::debug!("all {} admin connections were taken: one had to go", bounds.connections);
        }
        let (routes, counters, head_deadline) = (routes.clone(), counters.clone(), bounds.head_deadline);
        connections.spawn(async move {
            tokio::select! {
                served = serve_connection(stream, routes, head_deadline) => if served.is_err() {
                    counters.connections_failed.up();
                },
                () = seat.lost() => (),
            }
            counters.connections_closed.up();
        });
    }
}

/// Serves one connection to its end; an error is the client's, or its system's.
async fn serve_connection(
    stream: TcpStream,
    routes: axum::Router,
    head_deadline: Duration,
) -> Result<(), Failed> {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_deadline);
    http.max_buf_size(HEAD_MAX).max_headers(FIELDS_MAX);
    // A client that takes nothing of what it is sent does not keep its place for ever.
    socket::prepare(&stream, EXCHANGE_DEADLINE).map_err(|error| failed(&error))?;
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    connection.await.map_err(|error| failed(&error))
}

/// A connection that did not end in order.
struct Failed;

fn failed(error: &dyn std::error::Error) -> Failed {
    tracing::debug!(%error, "an admin connection ended");
    Failed
}
