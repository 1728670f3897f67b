//! The node: the rules of [`crate::core`] with a clock, sockets, a disk and enclaves around them.
//!
//! One thread of its own runs the rules, and does what they say in their order: what is to be durable is synced
//! before anything after it leaves. It waits for nobody: sending queues, enclaves are asked aside, whoever watches
//! may miss something. Frames are read and decoded elsewhere and reach it through one bounded queue.
//!
//! ```text
//! links -> inbound -+
//! enclaves ---------+-> driver (core, storage) -> links, enclaves, outlets (log, watchers, leadership)
//! handle (HTTP) ----+
//! ```

pub mod config;
pub mod configure;
pub mod counters;
pub mod handle;
pub mod happening;
pub mod leadership;
pub mod limits;
pub mod measures;
pub mod metrics;
pub mod names;
pub mod outlets;
pub mod recent;
pub mod told_occasion;
pub mod work;

mod driver;
mod enclaves;
mod inbound;
mod interregnum;
mod last_words;
mod start;
mod succession;

pub use config::{NodeConfig, Reach};
pub use configure::{ConfigError, Listed, OpenNode};
pub use driver::Exit;
pub use handle::{Handle, NoAnswer};
#[cfg(test)]
pub(crate) use handle::{Question, Shared};
pub use leadership::{Held, Leadership, Lease, LeaseOver};
pub use start::StartError;
pub use succession::{Named, SuccessionError};
pub use work::Worker;

use nitro_elect_protocol::ids::Nonce;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

use crate::proof_file::ProofFile;

/// A running node. Dropping it ends the node at once; [`Node::shutdown`] does so in order.
pub struct Node {
    handle: Handle,
    address: SocketAddr,
    ended: oneshot::Receiver<Exit>,
    /// Dropping it ends the driver.
    _alive: oneshot::Sender<()>,
    _thread: JoinHandle<()>,
}

impl Node {
    /// Starts a node: listens, dials, and begins its life. Must be called on a tokio runtime, which then carries
    /// the node's connections; the rules have a thread of their own.
    ///
    /// # Errors
    /// [`StartError`]: the state directory is damaged, lost, another key's or another process's, the manifest may not
    /// follow the one before, or the port is taken. Nothing runs then.
    pub async fn start(config: NodeConfig) -> Result<Node, StartError> {
        start::start(config).await
    }

    /// A way to ask the node that can be cloned and handed around.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where the node listens for its peers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the node knows and does now; within a second, or not at all.
    pub async fn status(&self) -> Result<crate::core::status::Status, NoAnswer> {
        self.handle.status().await
    }

    /// The proof of the lease that answers this nonce: what a [`Fence`](crate::fence::Fence) wants to see. It takes a round
    /// trip of the leader to its quorum.
    ///
    /// # Errors
    /// [`NoAnswer::Unproven`] when no leader has answered it within 3 s.
    pub async fn proof(&self, nonce: Nonce) -> Result<ProofFile, NoAnswer> {
        self.handle.proof(nonce).await
    }

    /// Whether this node leads, to ask and to await.
    pub fn leadership(&self) -> Leadership {
        self.handle.leadership()
    }

    /// Waits until the node has ended of its own accord.
    pub async fn ended(&mut self) -> Exit {
        (&mut self.ended).await.unwrap_or(Exit::Died)
    }

    /// Ends the node in order: it gives up what it holds, waits for its successor's certificate for at most two
    /// steps, and sends what it still has to say.
    pub async fn shutdown(mut self) -> Exit {
        self.handle.stop().await;
        self.ended().await
    }
}

#[cfg(test)]
mod tests;
