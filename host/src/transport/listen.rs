//! Listening at endpoints.
//!
//! A port with plain frames is as open as the network it is bound to, so off loopback it must be asked for by its
//! dangerous name. A Unix socket left behind by a dead process is replaced; one that somebody serves is not.

use super::connect::{ConnectError, resolve};
use super::counters::Counter;
use super::endpoint::{Endpoint, HostPort};
use super::socket;
use super::stream::{Origin, Stream};
use crate::limits::ACCEPT_PAUSE;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
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
                socket::notice_absence(&stream).map_err(|_| io::ErrorKind::ConnectionAborted)?;
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

/// Bears a failed `accept`: counts it, says so where that may be logged, and waits a moment. Nothing of this when it was
/// one connection that failed.
pub async fn bear(error: &io::Error, failures: &Counter, may_log: impl FnOnce() -> bool) {
    let Some(pause) = pause_after(error) else { return };
    failures.up();
    if may_log() {
        tracing::warn!(%error, "cannot accept a connection");
    }
    tokio::time::sleep(pause).await;
}

/// How long to wait after a failed `accept`. Not at all when it was one connection that failed (accept(2) reports
/// what happened to it): whoever resets connections would else hold up all others.
pub fn pause_after(error: &io::Error) -> Option<Duration> {
    const OF_ONE_CONNECTION: [i32; 9] = [
        libc::ENETDOWN,
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::EHOSTDOWN,
        libc::ENONET,
        libc::EHOSTUNREACH,
        libc::EOPNOTSUPP,
        libc::ENETUNREACH,
        libc::EPERM, // a firewall's rule
    ];
    let by_kind = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    );
    let by_number = error.raw_os_error().is_some_and(|number| OF_ONE_CONNECTION.contains(&number));
    (!by_kind && !by_number).then_some(ACCEPT_PAUSE)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::connect::connect;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LATE: Duration = Duration::from_secs(30);

    async fn bind(text: &str) -> Result<Listener, BindError> {
        Listener::bind(&text.parse().unwrap(), Exposure::LoopbackOnly).await
    }

    async fn assert_carries_bytes(listener: &Listener) -> Origin {
        let (ours, theirs) = tokio::join!(connect(listener.endpoint(), None, LATE), listener.accept());
        let ((mut theirs, origin), mut read) = (theirs.unwrap(), [0; 5]);
        ours.unwrap().write_all(b"hello").await.unwrap();
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"hello");
        origin
    }

    #[tokio::test]
    async fn tcp_on_every_loopback_carries_bytes_and_says_its_port() {
        for text in ["tcp://127.0.0.1:0", "tcp://[::1]:0", "tcp://localhost:0"] {
            let listener = match bind(text).await {
                Err(BindError::Io { .. }) if text.contains("::1") => continue, // a machine without IPv6
                bound => bound.unwrap(),
            };
            assert!(!listener.endpoint().to_string().ends_with(":0"));
            assert!(matches!(assert_carries_bytes(&listener).await, Origin::Ip(_)));
        }
    }

    #[tokio::test]
    async fn plain_tcp_off_loopback_is_refused_unless_asked_for_by_its_name() {
        for text in ["tcp://0.0.0.0:0", "tcp://[::]:0", "192.0.2.1:5000"] {
            let refused = bind(text).await;
            assert!(matches!(refused, Err(BindError::Open { .. })), "{text}: {refused:?}");
        }
        let open = Listener::bind(&"tcp://0.0.0.0:0".parse().unwrap(), Exposure::DangerOpen).await;
        assert!(open.is_ok(), "{open:?}");
        assert!(bind("tls://0.0.0.0:0").await.is_ok(), "a port that authenticates is not plain");
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let first = bind("tcp://127.0.0.1:0").await.unwrap();
        let second = bind(&first.endpoint().to_string()).await;
        match second {
            Err(BindError::InUse { place }) => assert!(first.endpoint().to_string().ends_with(&place)),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_unix_socket_carries_bytes_and_its_file_goes_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = bind(&format!("unix://{}", path.display())).await.unwrap();
        assert_eq!(assert_carries_bytes(&listener).await, Origin::Unix);
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_unix_socket_of_a_dead_process_is_replaced_and_a_living_ones_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let text = format!("unix://{}", path.display());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead process leaves its socket behind");
        let listener = bind(&text).await.unwrap();
        assert!(matches!(bind(&text).await, Err(BindError::InUse { .. })));
        listener.accept().await.expect("the attempt itself has tried whether anybody lives here");
        assert_eq!(assert_carries_bytes(&listener).await, Origin::Unix);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("precious");
        std::fs::write(&path, "text").unwrap();
        assert!(matches!(bind(&format!("unix://{}", path.display())).await, Err(BindError::InUse { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
    }

    #[tokio::test]
    async fn the_file_of_a_successor_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = bind(&format!("unix://{}", path.display())).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let _successor = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(listener);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_monitors_socket_is_for_connecting_only() {
        assert!(matches!(bind("unix:///tmp/vm?port=5005").await, Err(BindError::ConnectOnly { .. })));
    }

    #[test]
    fn only_a_want_of_resources_holds_up_the_next_connection() {
        for number in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::EINVAL] {
            assert_eq!(pause_after(&io::Error::from_raw_os_error(number)), Some(ACCEPT_PAUSE));
        }
        for number in [libc::ECONNABORTED, libc::ECONNRESET, libc::EINTR, libc::EPROTO, libc::EPERM] {
            assert_eq!(pause_after(&io::Error::from_raw_os_error(number)), None, "{number}");
        }
    }
}
