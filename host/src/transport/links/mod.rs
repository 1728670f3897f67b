//! The network of links between nodes: mutual TLS with the node keys, dialled and redialled for ever.
//!
//! Every node dials every peer that it knows and lets in those that its [`Admission`] allows, so two healthy voters
//! have two connections. Both are read; each side sends on the one that it dialled, as long as that is up.
//! Sending never waits: each connection has a bounded queue, and what does not fit is dropped and counted, as is
//! what cannot be sent at all. The node asks again; that is its protocol's nature.
//!
//! Whatever comes is held in bounds by not reading on: a peer that sends too fast, or whose frames still wait for
//! the node, finds its own connection's window closed, and nobody else's. A connection that carries garbage, half a
//! frame, or nothing at all is closed with a counted reason.
//!
//! # Driving
//! The node must keep receiving events, must drop each frame's [`Room`] once it has dealt with it, and may call
//! [`Links::send`] at any time. It should [`Links::close`] the links in the end, so that its last words are sent.

pub mod admission;
pub mod config;
pub mod counts;
pub mod event;

mod accept;
mod backoff;
mod connection;
mod dial;
pub(crate) mod greeting;
mod queue;
mod shared;
mod table;
#[cfg(test)]
mod tests;

pub use admission::{Admission, Others, Unwelcome};
pub use config::{Bounds, Class, LinksConfig, Peer};
pub use counts::Counters;
pub use dial::TooManyPeers;
pub use event::{DownReason, LinkEvent, RefusedReason, Room};

use super::endpoint::HostPort;
use super::listen::{BindError, Exposure, bind_tcp};
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::limits::MESSAGE_MAX;
use queue::PushError;
use shared::Shared;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// The links of one node. Dropping them ends every connection, soon after; [`Links::close`] does so politely, and
/// the port is free when it returns.
pub struct Links {
    shared: Arc<Shared>,
    accepting: Option<AbortHandle>,
    address: SocketAddr,
}

/// Why the links do not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened at.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// More peers than can be dialled.
    #[error(transparent)]
    TooManyPeers(#[from] TooManyPeers),
}

impl Links {
    /// Listens, dials, and returns the events to come.
    pub async fn start(mut config: LinksConfig) -> Result<(Links, mpsc::Receiver<LinkEvent>), StartError> {
        let listener = bind_tcp(&config.bind, Exposure::DangerOpen).await?;
        let failed = |cause| BindError::Io { place: config.bind.to_string(), cause };
        let address = listener.local_addr().map_err(failed)?;
        let (events, receiver) = mpsc::channel(config.bounds.events);
        let peers = std::mem::take(&mut config.peers);
        config.bounds = config.bounds.under(config.lease);
        let shared = Arc::new(Shared::new(config, events));
        let accepting = shared.spawn(accept::accept(shared.clone(), listener));
        let links = Links { shared, accepting, address };
        peers.into_iter().try_for_each(|peer| links.know(peer))?;
        Ok((links, receiver))
    }

    /// Where this node listens, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Queues a frame for a peer and returns at once. A frame that cannot be sent is dropped and counted.
    pub fn send(&self, to: &NodeId, frame: Vec<u8>) {
        let counters = &self.shared.counters;
        if frame.is_empty() || frame.len() > MESSAGE_MAX {
            counters.dropped_too_long.up();
            return;
        }
        let pushed = self.shared.sending(to).map(|queue| queue.push(frame));
        match pushed {
            Some(Ok(())) => (),
            Some(Err(PushError::Full)) => counters.dropped_queue_full.up(),
            Some(Err(PushError::Ended)) => counters.dropped_link_ended.up(),
            None => counters.dropped_no_link.up(),
        }
    }

    /// Dials a peer from now on. One with the same key (or, without a key, address) takes the new address at its
    /// next dial; of another class, it is dialled anew.
    pub fn know(&self, peer: Peer) -> Result<(), TooManyPeers> {
        self.shared.know(peer)
    }

    /// Dials this peer no more and ends the connection that this node dialled. The peer may still connect, as the
    /// admission allows.
    pub fn forget(&self, peer: &NodeId) {
        self.shared.forget(peer);
    }

    /// The same for an address that was given without a key.
    pub fn forget_address(&self, address: &HostPort) {
        self.shared.forget_address(address);
    }

    /// Ends every connection to a peer that sent something that is no message. It may come back.
    pub fn hang_up(&self, peer: &NodeId) {
        self.shared.hang_up(peer);
    }

    /// Puts another admission in force; accepted connections of peers that it does not name end.
    pub fn set_admission(&self, admission: Admission) {
        self.shared.set_admission(admission);
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Sends what waits, ends every connection in order, and returns when that is done or `deadline` has passed.
    ///
    /// The events must still be received meanwhile, or their receiver dropped.
    pub async fn close(self, deadline: Duration) {
        self.accepting.iter().for_each(AbortHandle::abort);
        self.shared.begin_closing();
        let mut tasks = self.shared.take_tasks();
        let all = async { while tasks.join_next().await.is_some() {} };
        let _in_time = tokio::time::timeout(deadline, all).await;
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        drop(self.shared.take_tasks());
    }
}
