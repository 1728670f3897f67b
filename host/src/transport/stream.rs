//! A connection as the rest of the code sees it: bytes in, bytes out, whatever carries them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncRead, AsyncWrite};

/// Anything that carries bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// A connection over TCP, TLS, a Unix socket or vsock.
pub type Stream = Box<dyn Duplex>;

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A context id and port of a virtual machine, or of its host.
    Vsock {
        /// The context id.
        cid: u32,
        /// The port.
        port: u32,
    },
    /// A process of this machine, over a Unix socket.
    Unix,
}

impl Origin {
    /// The IP address, for bounds per address.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Origin::Ip(address) => Some(address.ip()),
            Origin::Vsock { .. } | Origin::Unix => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Ip(address) => address.fmt(out),
            Origin::Vsock { cid, port } => write!(out, "vsock://{cid}:{port}"),
            Origin::Unix => out.write_str("a Unix socket"),
        }
    }
}
