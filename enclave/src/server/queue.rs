//! A bounded queue of computations on blocking threads.

use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::limits::QUEUE_TIMEOUT;

/// So many may wait or run, so many of them run.
pub struct Queue {
    places: Semaphore,
    turns: Arc<Semaphore>,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// All places are taken, or the wait was too long.
    Busy,
    /// The computation panicked: a defect of this program.
    Panicked,
}

impl Queue {
    pub fn new(places: usize, workers: usize) -> Self {
        Queue { places: Semaphore::new(places), turns: Arc::new(Semaphore::new(workers)) }
    }

    /// Runs the work when its turn comes. Once begun it goes on to its end, and keeps its turn, even if nobody
    /// waits for it any more.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
        let _place = self.places.try_acquire().map_err(|_| Lost::Busy)?;
        let turn = timeout(QUEUE_TIMEOUT, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Lost::Busy)?.map_err(|_| Lost::Busy)?;
        let work = move || {
            let result = work();
            drop(turn);
            result
        };
        spawn_blocking(work).await.map_err(|_| Lost::Panicked)
    }
}
