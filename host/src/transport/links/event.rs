//! What the links tell the node.

use super::admission::Unwelcome;
use crate::transport::connect::ConnectError;
use crate::transport::frame::FrameError;
use crate::transport::tls::TlsError;
use nitro_elect_protocol::ids::NodeId;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Something that happened on the links. Events of one peer come in the order in which they happened.
#[derive(Debug)]
pub enum LinkEvent {
    /// There is a way to send to this peer now. Comes again when a better one takes its place.
    Up {
        /// The peer, authenticated.
        peer: NodeId,
        /// The other end of the connection. Of an accepted one the port says nothing about the peer.
        address: SocketAddr,
        /// Whether this node dialled it: then the peer was reached at this address.
        dialled: bool,
    },
    /// There is no way to send to this peer, or the one in use is gone (then an [`LinkEvent::Up`] with the other
    /// connection follows at once): what was sent last may be lost. Comes again with each failed dial.
    Down {
        /// The peer.
        peer: NodeId,
        /// Why.
        reason: DownReason,
    },
    /// A frame came.
    Frame {
        /// Who sent it, authenticated.
        from: NodeId,
        /// Its content, of 1 byte to [`MESSAGE_MAX`](nitro_elect_protocol::limits::MESSAGE_MAX).
        bytes: Vec<u8>,
        /// The place its bytes take among those that wait: drop it when they are dealt with.
        room: Room,
    },
    /// A node's supervisor brought its last will, over a connection that is no link.
    Will {
        /// Whose, authenticated by the same key.
        from: NodeId,
        /// The frame, of at most [`LAST_WILL_MAX`](crate::limits::LAST_WILL_MAX) bytes.
        bytes: Vec<u8>,
    },
    /// Somebody who connected was turned away. Not every one is told: there may be many.
    Refused {
        /// From where.
        address: SocketAddr,
        /// With which key, if it got that far.
        key: Option<NodeId>,
        /// Why.
        reason: RefusedReason,
    },
    /// A dial of an address without a known key failed.
    Unreachable {
        /// The address, as it was given.
        address: String,
        /// Why.
        reason: DownReason,
    },
}

/// A share of the bytes that may wait for the node; given back when dropped.
#[derive(Debug, Default)]
pub struct Room {
    _of_peer: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// A share of one peer's bytes and of everybody's.
    pub(super) fn new(of_peer: OwnedSemaphorePermit, of_all: OwnedSemaphorePermit) -> Self {
        Room { _of_peer: Some(of_peer), _of_all: Some(of_all) }
    }
}

/// Why there is no link to a peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer's system reset the connection.
    #[error("the connection was reset")]
    Reset,
    /// A dial was refused: nobody listens at the peer's address.
    #[error("connection refused: nobody listens there")]
    DialRefused,
    /// No connection and greeting in time.
    #[error("no answer within {0:?}")]
    DialDeadline(Duration),
    /// The peer's name does not resolve.
    #[error("its name does not resolve")]
    NoSuchName,
    /// The system could not connect or lost the connection.
    #[error("the network failed: {0}")]
    Network(ErrorKind),
    /// Somebody else has the peer's address.
    #[error("another node ({}) has its address", .shown.short())]
    WrongKey {
        /// Who answered there.
        shown: NodeId,
    },
    /// What listens there is no node of this version.
    #[error("what listens there is no node of this version")]
    NotANode,
    /// The peer does not let this node in.
    #[error("it does not let this node in: {0}")]
    TurnedAway(Unwelcome),
    /// This node does not let the peer in.
    #[error("it is not admitted here: {0}")]
    NotAdmitted(Unwelcome),
    /// The address leads to a peer that is connected through another one.
    #[error("the address leads to a peer that is connected already")]
    Duplicate,
    /// Nothing was sent or received for too long.
    #[error("silent for {0:?}")]
    Silent(Duration),
    /// A frame did not pass in time, or sent bytes were not acknowledged.
    #[error("it stalled")]
    Stalled,
    /// The peer sent something that is no frame.
    #[error("it broke the framing")]
    BadFrame,
    /// The peer connected anew.
    #[error("it connected anew")]
    Replaced,
    /// It was forgotten.
    #[error("it is not dialled any more")]
    Forgotten,
    /// This node's links are closing.
    #[error("this node is closing its links")]
    Closing,
}

impl DownReason {
    /// Whether the peer's system itself said that the process is not there or has hung up. Such a peer cannot be
    /// expected to answer what it was asked; after any other reason it may merely be cut off.
    pub fn is_answer(&self) -> bool {
        matches!(self, DownReason::Closed | DownReason::Reset | DownReason::DialRefused)
    }
}

impl From<FrameError> for DownReason {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Closed | FrameError::HalfFrame { .. } => DownReason::Closed,
            FrameError::TooLong { .. } | FrameError::Empty => DownReason::BadFrame,
            FrameError::Silence { waited } => DownReason::Silent(waited),
            FrameError::Deadline { .. } => DownReason::Stalled,
            FrameError::Io(cause) => from_kind(cause.kind()),
        }
    }
}

impl From<TlsError> for DownReason {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::WrongKey { shown, .. } => DownReason::WrongKey { shown },
            TlsError::Deadline { waited } => DownReason::DialDeadline(waited),
            TlsError::Io(cause) => from_kind(cause.kind()),
            TlsError::NotANodeKey | TlsError::OtherService | TlsError::Handshake(_) => DownReason::NotANode,
        }
    }
}

impl From<ConnectError> for DownReason {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Refused { .. } => DownReason::DialRefused,
            ConnectError::Deadline { waited, .. } => DownReason::DialDeadline(waited),
            ConnectError::Resolve { .. } => DownReason::NoSuchName,
            ConnectError::Io { cause, .. } => DownReason::Network(cause.kind()),
            ConnectError::Tls { cause, .. } => cause.into(),
            ConnectError::Hybrid { .. } | ConnectError::NoIdentity { .. } | ConnectError::AnyCid { .. } => {
                DownReason::NotANode
            }
        }
    }
}

fn from_kind(kind: ErrorKind) -> DownReason {
    match kind {
        ErrorKind::UnexpectedEof => DownReason::Closed,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            DownReason::Reset
        }
        ErrorKind::TimedOut => DownReason::Stalled,
        ErrorKind::InvalidData => DownReason::BadFrame,
        other => DownReason::Network(other),
    }
}

/// Why somebody who connected was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RefusedReason {
    /// Its key is not welcome.
    #[error("{0}")]
    Unwelcome(Unwelcome),
    /// It did not finish its handshake in time.
    #[error("it did not finish its handshake in time")]
    TooSlow,
    /// It left within the handshake.
    #[error("it left within the handshake")]
    Left,
    /// It does not speak to nodes of this version.
    #[error("it does not speak this version of the protocol between nodes")]
    NotANode,
}

impl From<TlsError> for RefusedReason {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Deadline { .. } => RefusedReason::TooSlow,
            TlsError::Io(_) => RefusedReason::Left,
            TlsError::WrongKey { .. }
            | TlsError::NotANodeKey
            | TlsError::OtherService
            | TlsError::Handshake(_) => RefusedReason::NotANode,
        }
    }
}
