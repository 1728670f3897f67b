//! The word to the parent instance that the enclave is up.
//!
//! `nitro-cli run-enclave` waits on vsock port 9000 for one byte and sends it back. The parent is not trusted and
//! owes nothing: if it does not listen, does not answer or answers with something else, the enclave serves all the
//! same. What it sends is compared and forgotten.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_vsock::{VsockAddr, VsockStream};

use crate::limits::{HEARTBEAT_PORT, HEARTBEAT_TIMEOUT};

/// What both sides send (aws-nitro-enclaves-cli, its `enclave_proc` and its image's init).
const HEARTBEAT: u8 = 0xb7;

/// Why the parent is not known to have heard.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// Nobody listens, or the connection broke.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// Nothing came back in time.
    #[error("no answer in {} s", HEARTBEAT_TIMEOUT.as_secs())]
    Silence,
    /// Something else came back.
    #[error("the answer is not the byte that was sent")]
    OtherByte,
}

/// Tells the parent with this context id.
pub async fn tell(parent_cid: u32) -> Result<(), HeartbeatError> {
    let exchange = async {
        let stream = VsockStream::connect(VsockAddr::new(parent_cid, HEARTBEAT_PORT)).await?;
        exchange(stream).await
    };
    timeout(HEARTBEAT_TIMEOUT, exchange).await.unwrap_or(Err(HeartbeatError::Silence))
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> Result<(), HeartbeatError> {
    stream.write_all(&[HEARTBEAT]).await?;
    match stream.read_u8().await? {
        HEARTBEAT => Ok(()),
        _ => Err(HeartbeatError::OtherByte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    async fn answered(answer: &'static [u8]) -> (Result<(), HeartbeatError>, u8) {
        let (near, mut far) = duplex(8);
        let parent = async {
            let heard = far.read_u8().await.unwrap();
            far.write_all(answer).await.unwrap();
            drop(far);
            heard
        };
        tokio::join!(exchange(near), parent)
    }

    #[tokio::test]
    async fn a_parent_that_sends_the_byte_back_has_heard() {
        let (result, heard) = answered(&[0xb7]).await;
        assert!(result.is_ok());
        assert_eq!(heard, 0xb7);
    }

    #[tokio::test]
    async fn a_parent_that_answers_otherwise_or_not_at_all_is_told_apart() {
        assert!(matches!(answered(&[0xb8]).await.0, Err(HeartbeatError::OtherByte)));
        assert!(matches!(answered(&[]).await.0, Err(HeartbeatError::Connection(_))));
    }
}
