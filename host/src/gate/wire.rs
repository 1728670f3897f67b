//! What a gate and a presenter say to each other, over TLS with the presenter's node key, before the byte stream: frames
//! of one CBOR message each.
//!
//! ```text
//! presenter                          gate
//!   Hello { purpose }        ->
//!                            <-      Nonce           (not where a proof of this key's term still holds)
//!   Proof (or NoProof)       ->
//!                            <-      Open { .. }     or Closed { why }
//!   bytes of the program     <->     bytes of the resource        (purpose Data, after Open)
//!                            <-      Nonce ...                    (purpose Prove: again and again)
//! ```
//!
//! A connection for proofs carries nothing else, so that no program's bytes can hold a proof up; its proofs prolong every
//! connection of the key. Proofs are the text of a [`ProofFile`](crate::proof_file::ProofFile).

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tokio::io::{AsyncRead, AsyncWrite};

use nitro_elect_protocol::codec::{self, DecodeError};
use nitro_elect_protocol::ids::{Nonce, Term};

use super::limits::{MESSAGE_DEADLINE, MESSAGE_MAX, PROOF_MESSAGE_MAX, REASON_MAX};
use crate::transport::frame::{Deadlines, FrameError, FrameReader, write_frame};

/// How long a message may take. Versions are told apart by ALPN, before the first message.
pub const DEADLINES: Deadlines = Deadlines { idle: MESSAGE_DEADLINE, frame: MESSAGE_DEADLINE };

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Proofs alone, as long as it lasts.
    Prove,
    /// One connection to the resource.
    Data,
}

/// From whoever wants in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGate {
    /// The first message.
    Hello(Purpose),
    /// The proof that answers the nonce: the text of a proof file.
    Proof(ByteBuf),
    /// There is none at present: the node does not lead.
    NoProof,
}

/// From the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromGate {
    /// What the next proof has to answer.
    Nonce(Nonce),
    /// The key is admitted.
    Open {
        /// In this term.
        term: Term,
        /// For so many milliseconds, unless another proof comes.
        left_ms: u64,
    },
    /// It is not.
    Closed {
        /// Why, in words.
        why: String,
    },
}

impl FromGate {
    /// A refusal in words, cut to its bound.
    pub fn closed(why: &impl ToString) -> Self {
        FromGate::Closed { why: why.to_string().chars().take(REASON_MAX).collect() }
    }
}

/// Why nothing was understood.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No whole message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// No message of this protocol.
    #[error("not a message of a gate's protocol: {0}")]
    Decode(#[from] DecodeError),
}

/// Reads what a presenter says; a proof may be longer than the rest.
pub async fn read_to_gate(
    reader: &mut FrameReader<impl AsyncRead + Unpin>,
    may_be_proof: bool,
) -> Result<ToGate, WireError> {
    let max = if may_be_proof { PROOF_MESSAGE_MAX } else { MESSAGE_MAX };
    Ok(codec::decode(&reader.read(max, DEADLINES).await?)?)
}

/// Reads what a gate says.
pub async fn read_from_gate(
    reader: &mut FrameReader<impl AsyncRead + Unpin>,
    deadlines: Deadlines,
) -> Result<FromGate, WireError> {
    Ok(codec::decode(&reader.read(MESSAGE_MAX, deadlines).await?)?)
}

/// Sends a message.
pub async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> Result<(), WireError> {
    let bytes = codec::encode(message);
    Ok(write_frame(stream, &bytes, PROOF_MESSAGE_MAX, MESSAGE_DEADLINE).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PROOF_FILE_MAX;

    #[tokio::test]
    async fn every_message_arrives_as_it_was_sent_and_what_follows_stays() {
        let proof = ToGate::Proof(ByteBuf::from(vec![7; PROOF_FILE_MAX]));
        let (mut near, far) = tokio::io::duplex(4 << 20);
        for message in [ToGate::Hello(Purpose::Data), proof.clone(), ToGate::NoProof] {
            send(&mut near, &message).await.unwrap();
        }
        let mut reader = FrameReader::new(far);
        assert_eq!(read_to_gate(&mut reader, false).await.unwrap(), ToGate::Hello(Purpose::Data));
        assert_eq!(read_to_gate(&mut reader, true).await.unwrap(), proof);
        assert_eq!(read_to_gate(&mut reader, true).await.unwrap(), ToGate::NoProof);
        let open = FromGate::Open { term: Term(7), left_ms: 980 };
        for message in [FromGate::Nonce(Nonce([1; 32])), open.clone(), FromGate::closed(&"x".repeat(9000))] {
            send(&mut near, &message).await.unwrap();
            let read = read_from_gate(&mut reader, DEADLINES).await.unwrap();
            assert!(read == message, "{read:?}");
        }
    }

    #[tokio::test]
    async fn a_long_message_where_no_proof_is_due_is_not_read() {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        send(&mut near, &ToGate::Proof(ByteBuf::from(vec![7; MESSAGE_MAX]))).await.unwrap();
        let refused = read_to_gate(&mut FrameReader::new(far), false).await;
        assert!(matches!(refused, Err(WireError::Frame(FrameError::TooLong { .. }))));
    }
}
