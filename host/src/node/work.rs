//! Who works only while this node leads: the command that it runs, programs beside it, tasks of its own process.
//!
//! The node must know of the work *before* it begins, and hear of its end from nobody but whoever saw it: a
//! [`Worker`] that is dropped in between, as where a process goes to pieces, counts as one that still works, and then
//! the node hands over to nobody and the lease decides (DESIGN §3.4).

use tokio::sync::{Mutex, watch};

use super::handle::{Handle, NoAnswer};
use super::leadership::Held;
use crate::core::event::Command;

/// How many work now.
#[derive(Debug, Default)]
pub(crate) struct Workers(Mutex<usize>);

/// Somebody who works only while the node leads.
///
/// # Driving
/// Ask [`Worker::begin`] before anything starts, and start nothing without its answer. Stop when
/// [`Worker::is_to_end`] says so or the lease nears its end, and say [`Worker::ended`] when nothing is left.
#[derive(Debug)]
pub struct Worker {
    node: Handle,
    held: watch::Receiver<Option<Held>>,
    ends: watch::Receiver<bool>,
    works: bool,
}

impl Worker {
    pub(super) fn new(node: Handle) -> Self {
        let (held, ends) = (node.held(), node.work_ends());
        Worker { node, held, ends, works: false }
    }

    /// The lease as the node last reported it.
    pub fn held(&self) -> Option<Held> {
        *self.held.borrow()
    }

    /// Whether work is to end, and none to begin, as the node means to hand over.
    pub fn is_to_end(&self) -> bool {
        *self.ends.borrow()
    }

    /// Whether this worker counts as working.
    pub fn works(&self) -> bool {
        self.works
    }

    /// Waits until one of these may have changed; an error once the node has ended.
    pub async fn news(&mut self) -> Result<(), NoAnswer> {
        let news = tokio::select! {
            news = self.held.changed() => news,
            news = self.ends.changed() => news,
        };
        news.map_err(|_| NoAnswer::Ended)
    }

    /// Counts as working from now on, if the node holds a lease and does not mean to give it up: that lease.
    pub async fn begin(&mut self) -> Result<Option<Held>, NoAnswer> {
        if !self.works {
            self.works = true;
            self.count(|working| *working += 1).await?;
        }
        // The answer follows the order through the same queue: the node knows of the work when it gives it.
        let held = self.node.status().await?.held.map(|(term, until)| Held { term, until });
        let held = held.filter(|_| !self.is_to_end());
        if held.is_none() {
            self.ended().await?;
        }
        Ok(held)
    }

    /// Nothing runs any more, and nothing will before the next [`Worker::begin`].
    pub async fn ended(&mut self) -> Result<(), NoAnswer> {
        if std::mem::take(&mut self.works) { self.count(|working| *working -= 1).await } else { Ok(()) }
    }

    async fn count(&self, change: impl FnOnce(&mut usize)) -> Result<(), NoAnswer> {
        let mut working = self.node.workers().0.lock().await;
        let before = *working > 0;
        change(&mut working);
        let now = *working > 0;
        if before == now { Ok(()) } else { self.node.order(Command::Working(now)).await }
    }
}
