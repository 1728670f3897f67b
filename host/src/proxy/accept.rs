//! Letting clients in: by their key on a `tls://` port, as they come on a plain one.

use super::counts::Counters;
use super::served::{Client, Served};
use super::session::{Session, farewell};
use super::turns::Turns;
use super::upstream::Upstream;
use super::{ProxyBounds, ProxyConfig};
use crate::limits::{ACCEPT_PAUSE, PROXY_LARGE_REQUESTS_MAX, REFUSAL_LINES_PER_SECOND};
use crate::transport::endpoint::Endpoint;
use crate::transport::listen::Listener;
use crate::transport::rate::Rate;
use crate::transport::seats::{Seats, neighbourhood};
use crate::transport::stream::{Origin, Stream};
use crate::transport::tls::{Service, TlsIdentity, TlsServer};
use nitro_elect_protocol::enclave_api::EnclaveRefusal;
use nitro_elect_protocol::ids::NodeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What all connections of a proxy share.
pub struct Shared {
    pub served: Served,
    pub upstream: Upstream,
    pub turns: Arc<Turns>,
    pub bounds: ProxyBounds,
    pub counters: Counters,
    /// Connections that nobody vouches for.
    pub strangers: Arc<Seats<Client>>,
    /// Connections of admitted keys.
    pub nodes: Arc<Seats<NodeId>>,
    /// Large requests held for each admitted key.
    large_of_key: HashMap<NodeId, Arc<Semaphore>>,
    /// Large requests held for everybody on a plain port.
    large_of_all: Arc<Semaphore>,
    refusal_lines: Mutex<Rate>,
}

impl Shared {
    pub fn new(config: &ProxyConfig) -> Self {
        let bounds = config.bounds;
        let served = Served::new(&config.electorates);
        let one_each = served.keys().map(|key| (*key, Arc::new(Semaphore::new(1)))).collect();
        Shared {
            upstream: Upstream::new(config),
            turns: Turns::new(bounds.turns, bounds.waiting),
            bounds,
            counters: Counters::default(),
            strangers: Seats::new(bounds.strangers, bounds.strangers_per_origin),
            nodes: Seats::new(usize::MAX, bounds.connections_per_key),
            large_of_key: one_each,
            large_of_all: Arc::new(Semaphore::new(PROXY_LARGE_REQUESTS_MAX)),
            refusal_lines: Mutex::new(Rate::new(REFUSAL_LINES_PER_SECOND, REFUSAL_LINES_PER_SECOND)),
            served,
        }
    }

    /// What bounds the large requests held for this client.
    pub fn large(&self, client: &Client) -> Arc<Semaphore> {
        match client {
            Client::Node(key) => self.large_of_key.get(key).unwrap_or(&self.large_of_all).clone(),
            Client::Ip(_) | Client::Vsock(_) | Client::Local => self.large_of_all.clone(),
        }
    }

    /// Says that somebody was not served, if not too often. The counters know of all.
    pub fn log_refusal(&self, client: &Client, why: &dyn fmt::Display) {
        if self.may_log() {
            tracing::warn!(%client, %why, "not served");
        }
    }

    fn may_log(&self) -> bool {
        self.refusal_lines.lock().unwrap_or_else(PoisonError::into_inner).allows(Instant::now())
    }
}

/// Accepts connections for ever.
pub async fn accept(shared: Arc<Shared>, listener: Listener) {
    let is_tls = matches!(listener.endpoint(), Endpoint::Tls(_));
    let tls = is_tls.then(|| TlsServer::new(Service::Enclave, &TlsIdentity::throw_away()));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, origin)) => {
                shared.counters.connections.up();
                connections.spawn(serve(shared.clone(), tls.clone(), stream, origin));
            }
            Err(error) => {
                shared.counters.accept_failed.up();
                if shared.may_log() {
                    tracing::warn!(%error, "cannot accept a connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection from its first byte to its end.
async fn serve(shared: Arc<Shared>, tls: Option<TlsServer>, stream: Stream, origin: Origin) {
    let client = at(origin);
    let Some(server) = tls else {
        return Session::new(&shared, client, stream).serve_plain().await;
    };
    let (mut seat, pushed_out) = shared.strangers.take(client);
    if pushed_out {
        shared.counters.pushed_out.up();
    }
    let admitted = tokio::select! {
        admitted = admit(&shared, &server, client, stream) => admitted,
        () = seat.lost() => return,
    };
    drop(seat);
    if let Some((key, stream)) = admitted {
        Session::new(&shared, Client::Node(key), stream).serve_node(key).await;
    }
}

/// Learns a client's key; one that is not admitted is told so.
async fn admit(
    shared: &Shared,
    server: &TlsServer,
    client: Client,
    stream: Stream,
) -> Option<(NodeId, Stream)> {
    match server.accept(stream, shared.bounds.handshake_deadline).await {
        Ok((stream, key)) if shared.served.admits(&key) => Some((key, Box::new(stream))),
        Ok((mut stream, key)) => {
            shared.counters.not_admitted.up();
            shared.log_refusal(&client, &format_args!("the key {} is in no manifest", key.short()));
            farewell(&mut stream, EnclaveRefusal::NotServed).await;
            None
        }
        Err(error) => {
            shared.counters.handshakes_failed.up();
            shared.log_refusal(&client, &error);
            None
        }
    }
}

fn at(origin: Origin) -> Client {
    match origin {
        Origin::Ip(address) => Client::Ip(neighbourhood(address.ip())),
        Origin::Vsock { cid, .. } => Client::Vsock(cid),
        Origin::Unix => Client::Local,
    }
}
