//! Listening at endpoints.
//!
//! A port with plain frames is as open as the network it is bound to, so off loopback it must be asked for by its
//! dangerous name. A Unix socket left behind by a dead process is replaced; one that somebody serves is not.

use super::connect::{ConnectError, resolve};
use super::endpoint::{Endpoint, HostPort};
use super::stream::{Origin, Stream};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio_vsock::{VsockAddr, VsockListener};

/// Why nothing listens at an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The host name does not resolve.
    #[error("cannot listen: {0}")]
    Resolve(#[from] ConnectError),
    /// Plain frames off loopback.
    #[error(
        "{place} would offer an unprotected port to the network ({address}): \
         listen on 127.0.0.1 or with tls://, or say --danger-open"
    )]
    Open {
        /// Where it was to be.
        place: String,
        /// What it resolves to.
        address: SocketAddr,
    },
    /// Somebody else listens there.
    #[error("{place} is in use: another process listens there")]
    InUse {
        /// Where it was to be.
        place: String,
    },
    /// An endpoint for connecting only.
    #[error("{place} is a place to connect to: to listen, leave out ?port=")]
    ConnectOnly {
        /// Where it was to be.
        place: String,
    },
    /// The system refused.
    #[error("cannot listen at {place}: {cause}")]
    Io {
        /// Where it was to be.
        place: String,
        /// What the system said.
        cause: io::Error,
    },
}

/// Whether a plain TCP port may be reachable from other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// Loopback only.
    LoopbackOnly,
    /// Wherever the address says: for ports that authenticate, and `--danger-open`.
    DangerOpen,
}

/// A bound endpoint. A Unix socket's file goes with it.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    endpoint: Endpoint,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Vsock(VsockListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

impl Listener {
    /// Listens at `endpoint`. For `tls://` this binds the port; the handshake is the caller's, per connection.
    pub async fn bind(endpoint: &Endpoint, exposure: Exposure) -> Result<Self, BindError> {
        let failed = |cause| bind_failed(endpoint, cause);
        let (socket, endpoint) = match endpoint {
            Endpoint::Tcp(address) => {
                let listener = bind_tcp(address, exposure).await?;
                let bound = HostPort::from(listener.local_addr().map_err(failed)?);
                (Socket::Tcp(listener), Endpoint::Tcp(bound))
            }
            Endpoint::Tls(address) => {
                let listener = bind_tcp(address, Exposure::DangerOpen).await?;
                let bound = HostPort::from(listener.local_addr().map_err(failed)?);
                (Socket::Tcp(listener), Endpoint::Tls(bound))
            }
            Endpoint::Vsock { cid, port } => {
                let listener = VsockListener::bind(VsockAddr::new(*cid, *port)).map_err(failed)?;
                (Socket::Vsock(listener), endpoint.clone())
            }
            Endpoint::Unix(path) => (bind_unix(path).await.map_err(failed)?, endpoint.clone()),
            Endpoint::HybridVsock { .. } => {
                return Err(BindError::ConnectOnly { place: endpoint.to_string() });
            }
        };
        Ok(Listener { socket, endpoint })
    }

    /// Where this listens, with the port the system chose.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<(Stream, Origin)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Origin::Ip(address)))
            }
            Socket::Vsock(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Box::new(stream), Origin::Vsock { cid: address.cid(), port: address.port() }))
            }
            Socket::Unix { listener, .. } => Ok((Box::new(listener.accept().await?.0), Origin::Unix)),
        }
    }
}

fn bind_failed(place: &impl ToString, cause: io::Error) -> BindError {
    let place = place.to_string();
    match cause.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { place },
        _ => BindError::Io { place, cause },
    }
}

/// Binds a TCP port at the first address of `address` that can be had.
pub async fn bind_tcp(address: &HostPort, exposure: Exposure) -> Result<TcpListener, BindError> {
    let found = resolve(address).await?;
    let open = found.iter().find(|address| !address.ip().to_canonical().is_loopback());
    match open {
        Some(ip) if exposure == Exposure::LoopbackOnly => {
            Err(BindError::Open { place: address.to_string(), address: *ip })
        }
        _ => TcpListener::bind(found.as_slice()).await.map_err(|cause| bind_failed(address, cause)),
    }
}

/// Binds a Unix socket, after removing one that a dead process left at its path.
async fn bind_unix(path: &Path) -> io::Result<Socket> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && is_dead(path).await {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    Ok(Socket::Unix { listener, _file: SocketFile::of(path)? })
}

/// Whether nobody serves the socket at this path.
async fn is_dead(path: &Path) -> bool {
    let connected = tokio::net::UnixStream::connect(path).await;
    connected.is_err_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
}

/// Removes a Unix socket's file at the end, unless somebody put another in its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(SocketFile { path: path.to_path_buf(), inode: std::fs::symlink_metadata(path)?.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }
}
