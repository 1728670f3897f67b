//! Frames: a 4-byte big-endian length, then that many bytes (one CBOR message).
//!
//! A length is a claim by a stranger: it is compared with the caller's cap at once, and the buffer grows only as
//! bytes arrive. Every read and write has a deadline; a frame that has begun must end within
//! [`Deadlines::frame`], so that nobody holds a connection with half a header. Writes are at most
//! [`WRITE_CHUNK`] bytes each.
//!
//! [`FrameReader::read`] may be dropped at any await point and called again: what has arrived stays. A write that
//! is dropped leaves half a frame behind, so its connection must be dropped too.

use crate::limits::{READ_CHUNK, WRITE_CHUNK};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// Bytes of a frame's length header.
pub const HEADER: usize = 4;

/// Why no frame could be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The header claims more than the cap, or the caller wants to send more.
    #[error("a frame of {len} bytes is over the limit of {max}")]
    TooLong {
        /// The length claimed, in bytes.
        len: usize,
        /// The cap, in bytes.
        max: usize,
    },
    /// The header says zero: no message is empty.
    #[error("a frame of no bytes")]
    Empty,
    /// The other side closed the connection between two frames.
    #[error("the other side closed the connection")]
    Closed,
    /// The other side closed the connection within a frame.
    #[error("the connection ended within a frame, after {got} bytes of it")]
    HalfFrame {
        /// Bytes of the frame that came, its header included.
        got: usize,
    },
    /// No frame began in time.
    #[error("no frame began within {}", crate::duration::format(*waited))]
    Silence {
        /// How long it was waited for.
        waited: Duration,
    },
    /// A frame began and did not end in time, or could not be written in time.
    #[error("a frame did not pass within {}", crate::duration::format(*waited))]
    Deadline {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// How long to wait for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Until its first byte.
    pub idle: Duration,
    /// From its first byte to its last.
    pub frame: Duration,
}

/// Reads frames from a stream, one after the other.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    header: [u8; HEADER],
    header_len: usize,
    body: Vec<u8>,
    /// When the frame that is under way must be complete.
    ends: Option<Instant>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader at the start of a frame.
    pub fn new(stream: R) -> Self {
        FrameReader { stream, header: [0; HEADER], header_len: 0, body: Vec::new(), ends: None }
    }

    /// The stream underneath, to write to it.
    pub fn stream_mut(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Whether part of a frame has arrived that no call returned yet.
    pub fn is_within_frame(&self) -> bool {
        self.header_len > 0
    }

    /// The next frame's content, of 1 to `max` bytes. One that is [`FrameError::TooLong`] may still be read with a
    /// larger cap, within the same deadline.
    pub async fn read(&mut self, max: usize, deadlines: Deadlines) -> Result<Vec<u8>, FrameError> {
        if !self.is_within_frame() {
            let first = Instant::now() + deadlines.idle;
            let read = timeout_at(first, self.fill_header()).await;
            read.map_err(|_| FrameError::Silence { waited: deadlines.idle })??;
        }
        let ends = *self.ends.get_or_insert_with(|| Instant::now() + deadlines.frame);
        let read = timeout_at(ends, self.finish(max)).await;
        read.map_err(|_| FrameError::Deadline { waited: deadlines.frame })?
    }

    /// Reads the rest of the frame that has begun.
    async fn finish(&mut self, max: usize) -> Result<Vec<u8>, FrameError> {
        while self.header_len < HEADER {
            self.fill_header().await?;
        }
        let len = checked_length(self.header, max)?;
        while self.body.len() < len {
            self.fill_body(len).await?;
        }
        self.header_len = 0;
        self.ends = None;
        Ok(std::mem::take(&mut self.body))
    }

    /// One read towards the header.
    async fn fill_header(&mut self) -> Result<(), FrameError> {
        match or_end(self.stream.read(&mut self.header[self.header_len..]).await)? {
            0 => Err(self.ended()),
            read => {
                self.header_len += read;
                Ok(())
            }
        }
    }

    /// One read towards a body of `len` bytes.
    async fn fill_body(&mut self, len: usize) -> Result<(), FrameError> {
        let room = (len - self.body.len()).min(READ_CHUNK);
        self.body.reserve(room);
        match or_end((&mut self.stream).take(room as u64).read_buf(&mut self.body).await)? {
            0 => Err(self.ended()),
            _ => Ok(()),
        }
    }

    fn ended(&self) -> FrameError {
        match self.header_len + self.body.len() {
            0 => FrameError::Closed,
            got => FrameError::HalfFrame { got },
        }
    }
}

/// A TLS stream whose peer died without a farewell reports that; the frames' own lengths tell what is missing.
fn or_end(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        other => other,
    }
}

/// The length in a header, if a frame may be that long.
fn checked_length(header: [u8; HEADER], max: usize) -> Result<usize, FrameError> {
    match u32::from_be_bytes(header) as usize {
        0 => Err(FrameError::Empty),
        len if len > max => Err(FrameError::TooLong { len, max }),
        len => Ok(len),
    }
}

/// Appends a frame of 1 to `max` bytes, header first, to what will be written.
pub fn append_frame(to: &mut Vec<u8>, frame: &[u8], max: usize) -> Result<(), FrameError> {
    let too_long = FrameError::TooLong { len: frame.len(), max };
    let header = u32::try_from(frame.len()).map(u32::to_be_bytes).map_err(|_| too_long)?;
    checked_length(header, max)?;
    to.extend_from_slice(&header);
    to.extend_from_slice(frame);
    Ok(())
}

/// Writes `bytes` in chunks of at most [`WRITE_CHUNK`] and flushes them, all within `deadline`.
pub async fn write_bytes<W: AsyncWrite + Unpin>(
    stream: &mut W,
    bytes: &[u8],
    deadline: Duration,
) -> Result<(), FrameError> {
    let write = async {
        for chunk in bytes.chunks(WRITE_CHUNK) {
            stream.write_all(chunk).await?;
        }
        stream.flush().await
    };
    let written = tokio::time::timeout(deadline, write).await;
    Ok(written.map_err(|_| FrameError::Deadline { waited: deadline })??)
}

/// Writes one frame of 1 to `max` bytes within `deadline`.
pub async fn write_frame<W: AsyncWrite + Unpin>(
    stream: &mut W,
    frame: &[u8],
    max: usize,
    deadline: Duration,
) -> Result<(), FrameError> {
    let mut bytes = Vec::with_capacity(HEADER + frame.len());
    append_frame(&mut bytes, frame, max)?;
    write_bytes(stream, &bytes, deadline).await
}

#[cfg(test)]
mod tests;
