//! One link at work: frames from the queue to the peer, frames from the peer to the node.

use super::event::{DownReason, LinkEvent, Room};
use super::queue::{Next, SendQueue};
use super::shared::{Shared, lock};
use crate::transport::frame::{Deadlines, FrameError, FrameReader, append_frame, write_bytes};
use crate::transport::rate::Rate;
use crate::transport::stream::Stream;
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::limits::MESSAGE_MAX;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Reads and writes until one of the two ends; returns why.
pub async fn run(shared: &Arc<Shared>, peer: NodeId, stream: Stream, queue: &SendQueue) -> DownReason {
    let (read, write) = tokio::io::split(stream);
    let link = Link { shared, peer, last_write: Mutex::new(Instant::now()) };
    tokio::select! {
        reason = link.read(FrameReader::new(read)) => reason,
        reason = link.write(write, queue) => reason,
    }
}

struct Link<'a> {
    shared: &'a Shared,
    peer: NodeId,
    last_write: Mutex<Instant>,
}

impl Link<'_> {
    async fn read(&self, mut reader: FrameReader<ReadHalf<Stream>>) -> DownReason {
        let bounds = &self.shared.bounds;
        let mut rate = Rate::new(bounds.frames_per_second, bounds.frames_burst);
        let inbox = Arc::new(Semaphore::new(bounds.inbox_bytes_per_peer));
        loop {
            let frame = match self.next_frame(&mut reader).await {
                Ok(frame) => frame,
                Err(reason) => return reason,
            };
            self.shared.counters.frames_received.up();
            self.shared.counters.bytes_received.add(frame.len());
            let room = self.room_for(&frame, &inbox).await;
            let event = LinkEvent::Frame { from: self.peer, bytes: frame, room };
            if self.shared.events.send(event).await.is_err() {
                return DownReason::Closing;
            }
            self.pause(rate.pause_after(Instant::now())).await;
        }
    }

    /// The next frame. Silence ends the link only if this side was silent too.
    async fn next_frame(&self, reader: &mut FrameReader<ReadHalf<Stream>>) -> Result<Vec<u8>, DownReason> {
        let silence = self.shared.bounds.silence;
        let mut idle = silence;
        loop {
            let deadlines = Deadlines { idle, frame: self.shared.bounds.frame_deadline };
            match reader.read(MESSAGE_MAX, deadlines).await {
                Err(FrameError::Silence { .. }) => {
                    idle = silence.saturating_sub(lock(&self.last_write).elapsed());
                    if idle.is_zero() {
                        return Err(DownReason::Silent(silence));
                    }
                }
                other => return Ok(other?),
            }
        }
    }

    /// Waits until the frame's bytes have a place among those that wait for the node.
    async fn room_for(&self, frame: &[u8], inbox: &Arc<Semaphore>) -> Room {
        let of_peer = self.place(inbox, frame.len()).await;
        let of_all = self.place(&self.shared.inbox, frame.len()).await;
        Room::new(of_peer, of_all)
    }

    async fn place(&self, inbox: &Arc<Semaphore>, len: usize) -> OwnedSemaphorePermit {
        let len = u32::try_from(len).expect("a frame's length came from 32 bits");
        if let Ok(place) = inbox.clone().try_acquire_many_owned(len) {
            return place;
        }
        self.shared.counters.pauses_inbox.up();
        inbox.clone().acquire_many_owned(len).await.expect("the semaphore is never closed")
    }

    async fn pause(&self, pause: Duration) {
        if !pause.is_zero() {
            self.shared.counters.pauses_rate.up();
            tokio::time::sleep(pause).await;
        }
    }

    async fn write(&self, mut stream: WriteHalf<Stream>, queue: &SendQueue) -> DownReason {
        loop {
            match queue.next().await {
                Next::Write(batch) => {
                    if let Err(error) = self.write_batch(&mut stream, &batch).await {
                        return error.into();
                    }
                }
                Next::Flushed => {
                    let end = stream.shutdown();
                    let _ended_by_the_peer =
                        tokio::time::timeout(self.shared.bounds.frame_deadline, end).await;
                    return DownReason::Closing;
                }
                Next::Close(reason) => return reason,
            }
        }
    }

    async fn write_batch(&self, stream: &mut WriteHalf<Stream>, batch: &[Vec<u8>]) -> Result<(), FrameError> {
        let mut bytes = Vec::new();
        for frame in batch {
            append_frame(&mut bytes, frame, MESSAGE_MAX)?;
        }
        write_bytes(stream, &bytes, self.shared.bounds.frame_deadline).await?;
        *lock(&self.last_write) = Instant::now();
        self.shared.counters.frames_sent.add(batch.len());
        self.shared.counters.bytes_sent.add(bytes.len());
        Ok(())
    }
}
