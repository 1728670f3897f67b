//! Frames with deadlines: a length (u32, big-endian), then that many bytes (DESIGN §6).
//!
//! A length reserves nothing: bytes are counted as they arrive. The first [`READ_STEP`] of a frame are the connection's
//! own, the others are taken from the room of all: so whoever fills that keeps nobody from sending a small request.

use nitro_elect_protocol::limits::MESSAGE_MAX;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::{FAREWELL_TIMEOUT, FRAME_TIMEOUT, IDLE_TIMEOUT, READ_STEP, WRITE_MAX};

/// A whole frame, and its share of the bytes in flight.
pub struct Frame {
    /// What the frame carried.
    pub bytes: Vec<u8>,
    /// For what is above [`READ_STEP`]; given back when dropped.
    pub room: Vec<OwnedSemaphorePermit>,
}

/// Why there is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadError {
    /// The other end closed, failed, or was too slow.
    Closed,
    /// The frame is longer than any message.
    TooLong,
    /// Too many bytes are in flight.
    NoRoom,
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        ReadError::Closed
    }
}

/// Reads the next frame.
pub async fn read_frame<S: AsyncRead + Unpin>(
    stream: &mut S,
    room: &Arc<Semaphore>,
) -> Result<Frame, ReadError> {
    let length = timeout(IDLE_TIMEOUT, stream.read_u32()).await.map_err(|_| ReadError::Closed)??;
    let length = usize::try_from(length).map_err(|_| ReadError::TooLong)?;
    if length > MESSAGE_MAX {
        return Err(ReadError::TooLong);
    }
    timeout(FRAME_TIMEOUT, read_bytes(stream, length, room)).await.map_err(|_| ReadError::Closed)?
}

async fn read_bytes<S: AsyncRead + Unpin>(
    stream: &mut S,
    length: usize,
    room: &Arc<Semaphore>,
) -> Result<Frame, ReadError> {
    let mut frame = Frame { bytes: Vec::new(), room: Vec::new() };
    while frame.bytes.len() < length {
        let start = frame.bytes.len();
        let step = READ_STEP.min(length - start);
        if start > 0 {
            let permits = u32::try_from(step).map_err(|_| ReadError::NoRoom)?;
            let taken = Arc::clone(room).try_acquire_many_owned(permits).map_err(|_| ReadError::NoRoom)?;
            frame.room.push(taken);
        }
        frame.bytes.reserve_exact(step);
        frame.bytes.resize(start + step, 0);
        stream.read_exact(&mut frame.bytes[start..]).await?;
    }
    Ok(frame)
}

/// Writes one frame, in writes of at most [`WRITE_MAX`] bytes.
pub async fn write_frame<S: AsyncWrite + Unpin>(stream: &mut S, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    let frame = [&length.to_be_bytes(), message].concat();
    let write = async {
        for chunk in frame.chunks(WRITE_MAX) {
            stream.write_all(chunk).await?;
        }
        stream.flush().await
    };
    timeout(FRAME_TIMEOUT, write).await?
}

/// Writes a last frame and closes. What the other end still sends is read and dropped for a moment, since closing
/// over unread bytes would take the answer away from it.
pub async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, message: &[u8]) {
    let goodbye = async {
        write_frame(&mut stream, message).await?;
        stream.shutdown().await?;
        copy(&mut stream.take((size_of::<u32>() + MESSAGE_MAX) as u64), &mut sink()).await
    };
    // Nothing is left to do for a connection that fails while it is being closed.
    let _: Result<io::Result<u64>, _> = timeout(FAREWELL_TIMEOUT, goodbye).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// Takes all that is written, and remembers how.
    #[derive(Default)]
    struct Writes(Vec<Vec<u8>>);

    impl AsyncWrite for Writes {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn no_write_is_larger_than_a_vsock_device_takes() {
        let (mut writes, message) = (Writes::default(), vec![7; 3 * WRITE_MAX]);
        write_frame(&mut writes, &message).await.unwrap();
        assert_eq!(writes.0.iter().map(Vec::len).max(), Some(WRITE_MAX));
        let written = writes.0.concat();
        assert_eq!((&written[..4], &written[4..]), (&(3 * WRITE_MAX as u32).to_be_bytes()[..], &message[..]));
    }

    #[tokio::test]
    async fn a_frame_comes_back_as_it_was_written_and_counts_until_it_is_dropped() {
        let (mut near, mut far) = tokio::io::duplex(4 * READ_STEP);
        let (room, message) = (Arc::new(Semaphore::new(MESSAGE_MAX)), vec![7; READ_STEP + 5]);
        write_frame(&mut near, &message).await.unwrap();
        let frame = read_frame(&mut far, &room).await.ok().unwrap();
        assert_eq!(frame.bytes, message);
        assert_eq!(room.available_permits(), MESSAGE_MAX - 5, "the first step is the connection's own");
        drop(frame);
        assert_eq!(room.available_permits(), MESSAGE_MAX);
    }
}
