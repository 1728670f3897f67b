//! Who works only while this node leads: the command that it runs, programs beside it, tasks of its own process.
//!
//! The node must know of the work *before* it begins, and hear of its end from nobody but whoever saw it: a
//! [`Worker`] that is dropped in between, as where a process goes to pieces, counts as one that still works, and then
//! the node hands over to nobody and the lease decides (DESIGN §3.4).

use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::handle::{Handle, NoAnswer};
use super::leadership::Held;
use crate::core::event::Command;

/// How many work now, and whether all of them are to end because the node does.
#[derive(Debug)]
pub(crate) struct Workers {
    working: watch::Sender<usize>,
    closing: watch::Sender<bool>,
    /// Held while the number changes and the node is told: it hears of changes in their order.
    turn: Mutex<()>,
}

impl Default for Workers {
    fn default() -> Self {
        Workers { working: watch::channel(0).0, closing: watch::channel(false).0, turn: Mutex::new(()) }
    }
}

impl Workers {
    /// Asks all to end; whether none worked any more in time. None begins from now on.
    pub(super) async fn end(&self, patience: Duration) -> bool {
        self.closing.send_replace(true);
        let mut working = self.working.subscribe();
        let ended = timeout(patience, working.wait_for(|working| *working == 0)).await;
        matches!(ended, Ok(Ok(_)))
    }

    async fn change(&self, node: &Handle, change: impl FnOnce(&mut usize)) -> Result<(), NoAnswer> {
        let _turn = self.turn.lock().await;
        let before = *self.working.borrow() > 0;
        let mut working = *self.working.borrow();
        change(&mut working);
        if before != (working > 0) {
            node.order(Command::Working(working > 0)).await?;
        }
        // Told last: whoever waits for the end finds that the node knows of it.
        self.working.send_replace(working);
        Ok(())
    }
}

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
    closing: watch::Receiver<bool>,
    works: bool,
}

impl Worker {
    pub(super) fn new(node: Handle) -> Self {
        let (held, ends, closing) = (node.held(), node.work_ends(), node.workers().closing.subscribe());
        Worker { node, held, ends, closing, works: false }
    }

    /// The lease as the node last reported it.
    pub fn held(&self) -> Option<Held> {
        *self.held.borrow()
    }

    /// Whether work is to end, and none to begin: the node means to hand over, or to end.
    pub fn is_to_end(&self) -> bool {
        *self.ends.borrow() || *self.closing.borrow()
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
            news = self.closing.changed() => news,
        };
        news.map_err(|_| NoAnswer::Ended)
    }

    /// Counts as working from now on, if the node holds a lease and does not mean to give it up: that lease.
    pub async fn begin(&mut self) -> Result<Option<Held>, NoAnswer> {
        if !self.works {
            self.works = true;
            self.node.workers().change(&self.node, |working| *working += 1).await?;
        }
        // The answer follows the order through the same queue: the node knows of the work when it gives it.
        let status = match self.node.status().await {
            Ok(status) => status,
            Err(error) => {
                self.ended().await?;
                return Err(error);
            }
        };
        let held = status.held.map(|(term, until)| Held { term, until }).filter(|_| !self.is_to_end());
        if held.is_none() {
            self.ended().await?;
        }
        Ok(held)
    }

    /// Nothing runs any more, and nothing will before the next [`Worker::begin`].
    pub async fn ended(&mut self) -> Result<(), NoAnswer> {
        match std::mem::take(&mut self.works) {
            true => self.node.workers().change(&self.node, |working| *working -= 1).await,
            false => Ok(()),
        }
    }
}
