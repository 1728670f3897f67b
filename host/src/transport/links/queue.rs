//! What waits to be sent on one connection. Pushing never waits: beyond the bounds a frame is refused.

use super::event::DownReason;
use crate::limits::WRITE_CHUNK;
use crate::transport::frame::HEADER;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A bounded queue of frames with one writer task at its end.
#[derive(Debug)]
pub struct SendQueue {
    state: Mutex<State>,
    changed: Notify,
    max_frames: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    ending: Option<Ending>,
}

#[derive(Debug)]
enum Ending {
    /// Send what waits, then close.
    Flush,
    /// Close now.
    Now(DownReason),
}

/// Why a frame was not taken; the frame is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// The peer reads too slowly.
    Full,
    /// The connection is ending.
    Ended,
}

/// What the writer is to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Write these frames: one, or several small ones.
    Write(Vec<Vec<u8>>),
    /// Everything is written: close.
    Flushed,
    /// Close without writing.
    Close(DownReason),
}

impl SendQueue {
    /// A queue of at most `max_frames` frames and `max_bytes` bytes.
    pub fn new(max_frames: usize, max_bytes: usize) -> Self {
        SendQueue { state: Mutex::default(), changed: Notify::new(), max_frames, max_bytes }
    }

    /// Appends a frame.
    pub fn push(&self, frame: Vec<u8>) -> Result<(), PushError> {
        let mut state = self.lock();
        if state.ending.is_some() {
            return Err(PushError::Ended);
        }
        if state.frames.len() >= self.max_frames || state.bytes + frame.len() > self.max_bytes {
            return Err(PushError::Full);
        }
        state.bytes += frame.len();
        state.frames.push_back(frame);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Ends the connection after what waits was sent.
    pub fn flush_and_end(&self) {
        self.lock().ending.get_or_insert(Ending::Flush);
        self.changed.notify_one();
    }

    /// Ends the connection at once.
    pub fn end(&self, reason: DownReason) {
        let mut state = self.lock();
        if !matches!(state.ending, Some(Ending::Now(_))) {
            state.ending = Some(Ending::Now(reason));
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for something to do. For one caller.
    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.lock().next() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// Empties the queue of a connection that ended; returns how many frames were lost.
    pub fn discard(&self) -> usize {
        let mut state = self.lock();
        state.ending.get_or_insert(Ending::Flush);
        state.bytes = 0;
        std::mem::take(&mut state.frames).len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Next> {
        if let Some(Ending::Now(reason)) = &self.ending {
            return Some(Next::Close(reason.clone()));
        }
        if !self.frames.is_empty() {
            return Some(Next::Write(self.batch()));
        }
        self.ending.as_ref().map(|_| Next::Flushed)
    }

    /// The first frame and as many after it as fit into one write with it.
    fn batch(&mut self) -> Vec<Vec<u8>> {
        let mut batch = Vec::new();
        let mut room = WRITE_CHUNK;
        while let Some(frame) = self.frames.front() {
            let taken = frame.len() + HEADER;
            if !batch.is_empty() && taken > room {
                break;
            }
            room = room.saturating_sub(taken);
            self.bytes -= frame.len();
            batch.extend(self.frames.pop_front());
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_frames_leave_together_and_in_order() {
        let queue = SendQueue::new(100, 1 << 20);
        let frames: Vec<Vec<u8>> = (0..10).map(|at| vec![at; 10]).collect();
        frames.iter().for_each(|frame| queue.push(frame.clone()).unwrap());
        assert_eq!(queue.next().await, Next::Write(frames));
    }

    #[tokio::test]
    async fn a_batch_is_one_write_or_one_frame() {
        let queue = SendQueue::new(100, 1 << 20);
        for len in [100_000, 10_000, 6_000, 6_000, 100_000] {
            queue.push(vec![0; len]).unwrap();
        }
        let mut batches = Vec::new();
        for _ in 0..4 {
            match queue.next().await {
                Next::Write(batch) => batches.push(batch.iter().map(Vec::len).collect::<Vec<_>>()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(batches, [vec![100_000], vec![10_000, 6_000], vec![6_000], vec![100_000]]);
    }

    #[test]
    fn beyond_its_bounds_it_refuses_and_keeps_what_it_has() {
        let by_count = SendQueue::new(2, 1000);
        let pushed: Vec<_> = (0..4).map(|_| by_count.push(vec![0])).collect();
        assert_eq!(pushed, [Ok(()), Ok(()), Err(PushError::Full), Err(PushError::Full)]);
        let by_bytes = SendQueue::new(100, 10);
        let pushed: Vec<_> = (0..3).map(|_| by_bytes.push(vec![0; 5])).collect();
        assert_eq!(pushed, [Ok(()), Ok(()), Err(PushError::Full)]);
        assert_eq!(by_bytes.discard(), 2);
    }

    #[tokio::test]
    async fn a_flush_sends_what_waits_and_takes_no_more() {
        let queue = SendQueue::new(10, 1000);
        queue.push(vec![1]).unwrap();
        queue.flush_and_end();
        assert_eq!(queue.push(vec![2]), Err(PushError::Ended));
        assert_eq!(queue.next().await, Next::Write(vec![vec![1]]));
        assert_eq!(queue.next().await, Next::Flushed);
    }

    #[tokio::test]
    async fn an_end_at_once_overtakes_what_waits_and_a_flush() {
        let queue = SendQueue::new(10, 1000);
        queue.push(vec![1]).unwrap();
        queue.flush_and_end();
        queue.end(DownReason::Replaced);
        queue.end(DownReason::Forgotten);
        assert_eq!(queue.next().await, Next::Close(DownReason::Replaced));
    }

    #[tokio::test]
    async fn a_waiting_writer_wakes_for_a_frame_and_for_an_end() {
        let queue = std::sync::Arc::new(SendQueue::new(10, 1000));
        let writer = tokio::spawn({
            let queue = queue.clone();
            async move { (queue.next().await, queue.next().await) }
        });
        queue.push(vec![1]).unwrap();
        while queue.lock().bytes > 0 {
            tokio::task::yield_now().await;
        }
        queue.end(DownReason::Replaced);
        let expected = (Next::Write(vec![vec![1]]), Next::Close(DownReason::Replaced));
        assert_eq!(writer.await.unwrap(), expected);
    }
}
