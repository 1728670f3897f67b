//! Dialling endpoints: resolve, connect, shake hands, all within one deadline.
//!
//! Names are resolved at each dial. A resolver that hangs keeps a thread until it gives up, so lookups in flight are
//! bounded: beyond the bound a dial waits, and fails by its own deadline.

use super::endpoint::{CID_ANY, Endpoint, HostPort};
use super::socket;
use super::stream::Stream;
use super::tls::{ExpectedKey, Service, TlsClient, TlsError, TlsIdentity};
use crate::limits::{HYBRID_ANSWER_MAX, LOOKUPS_MAX};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_vsock::{VsockAddr, VsockStream};

/// Why there is no connection to an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name did not resolve.
    #[error("{address}: the name does not resolve: {cause}")]
    Resolve {
        /// What was asked for.
        address: String,
        /// What the resolver said.
        cause: io::Error,
    },
    /// Nobody listens there: the process is gone, which is an answer of a kind.
    #[error("{address}: connection refused: nobody listens there")]
    Refused {
        /// What was dialled.
        address: String,
    },
    /// No connection in time.
    #[error("{address}: no connection within {}", crate::duration::format(*waited))]
    Deadline {
        /// What was dialled.
        address: String,
        /// How long it was tried.
        waited: Duration,
    },
    /// The system could not connect.
    #[error("{address}: cannot connect: {cause}")]
    Io {
        /// What was dialled.
        address: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The monitor of a virtual machine did not connect to the guest's port.
    #[error("{}: the guest's port {port} is not ready: the monitor answered {answer:?}", .path.display())]
    Hybrid {
        /// The monitor's socket.
        path: PathBuf,
        /// The guest's port.
        port: u32,
        /// The bytes it answered, if any.
        answer: String,
    },
    /// The TLS handshake failed.
    #[error("{address}: {cause}")]
    Tls {
        /// What was dialled.
        address: String,
        /// Why.
        cause: TlsError,
    },
    /// A `tls://` endpoint without a key to show.
    #[error("{endpoint}: a tls:// proxy admits keys of its manifest only, and there is no node key to show")]
    NoIdentity {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// An endpoint for listening only.
    #[error("{endpoint}: \"any\" is a place to listen at: name the context id to connect to")]
    AnyCid {
        /// The endpoint.
        endpoint: Endpoint,
    },
}

impl ConnectError {
    fn from_io(address: impl ToString, cause: io::Error) -> Self {
        let address = address.to_string();
        match cause.kind() {
            io::ErrorKind::ConnectionRefused => ConnectError::Refused { address },
            _ => ConnectError::Io { address, cause },
        }
    }
}

/// Connects to any endpoint; `identity` is shown to `tls://` endpoints, whose own key is not checked: a proxy is
/// trusted with nothing.
pub async fn connect(
    endpoint: &Endpoint,
    identity: Option<&TlsIdentity>,
    deadline: Duration,
) -> Result<Stream, ConnectError> {
    let connecting = connect_without_deadline(endpoint, identity, deadline);
    match tokio::time::timeout(deadline, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(ConnectError::Deadline { address: endpoint.to_string(), waited: deadline }),
    }
}

async fn connect_without_deadline(
    endpoint: &Endpoint,
    identity: Option<&TlsIdentity>,
    deadline: Duration,
) -> Result<Stream, ConnectError> {
    match endpoint {
        Endpoint::Tcp(address) => Ok(Box::new(connect_tcp(address, deadline).await?.0)),
        Endpoint::Tls(address) => {
            let no_identity = || ConnectError::NoIdentity { endpoint: endpoint.clone() };
            let client = TlsClient::new(Service::Enclave, identity.cloned().ok_or_else(no_identity)?);
            let (stream, _) = connect_tcp(address, deadline).await?;
            let shaken = client.connect(stream, ExpectedKey::Any, deadline).await;
            let tls = |cause| ConnectError::Tls { address: endpoint.to_string(), cause };
            Ok(Box::new(shaken.map_err(tls)?.0))
        }
        Endpoint::Vsock { cid: CID_ANY, .. } => Err(ConnectError::AnyCid { endpoint: endpoint.clone() }),
        Endpoint::Vsock { cid, port } => {
            let connected = VsockStream::connect(VsockAddr::new(*cid, *port)).await;
            Ok(Box::new(connected.map_err(|cause| ConnectError::from_io(endpoint, cause))?))
        }
        Endpoint::Unix(path) => Ok(Box::new(connect_unix(path).await?)),
        Endpoint::HybridVsock { path, port } => Ok(Box::new(connect_hybrid(path, *port).await?)),
    }
}

/// Connects to `address`, trying each IP address that it resolves to with a share of the time.
pub async fn connect_tcp(
    address: &HostPort,
    deadline: Duration,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let ends = Instant::now() + deadline;
    let late = || ConnectError::Deadline { address: address.to_string(), waited: deadline };
    let found = timeout_at(ends, resolve(address)).await.map_err(|_| late())??;
    let mut last = late();
    for (tried, ip) in found.iter().enumerate() {
        let left = ends.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(found.len() - tried).unwrap_or(u32::MAX);
        match tokio::time::timeout(share, TcpStream::connect(ip)).await {
            Ok(Ok(stream)) => {
                let prepared = socket::notice_absence(&stream);
                prepared.map_err(|cause| ConnectError::from_io(address, cause))?;
                return Ok((stream, *ip));
            }
            Ok(Err(cause)) => last = ConnectError::from_io(address, cause),
            Err(_) => last = late(),
        }
    }
    Err(last)
}

/// The addresses of a name, at least one.
pub async fn resolve(address: &HostPort) -> Result<Vec<SocketAddr>, ConnectError> {
    static LOOKUPS: std::sync::LazyLock<Arc<Semaphore>> =
        std::sync::LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS_MAX)));
    if let Ok(ip) = address.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port())]);
    }
    let failed = |cause| ConnectError::Resolve { address: address.to_string(), cause };
    let place = LOOKUPS.clone().acquire_owned().await.expect("the semaphore is never closed");
    let (host, port) = (address.host().to_string(), address.port());
    let lookup = tokio::task::spawn_blocking(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        drop(place); // only now: an abandoned lookup keeps its thread until here
        found
    });
    let found = lookup.await.map_err(|died| failed(io::Error::other(died)))?.map_err(failed)?;
    match found.is_empty() {
        true => Err(failed(io::Error::new(io::ErrorKind::NotFound, "no address"))),
        false => Ok(found),
    }
}

async fn connect_unix(path: &Path) -> Result<UnixStream, ConnectError> {
    UnixStream::connect(path).await.map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => ConnectError::Refused { address: format!("unix://{}", path.display()) },
        _ => ConnectError::from_io(format!("unix://{}", path.display()), cause),
    })
}

/// Asks the monitor behind a Unix socket for the guest's port; the stream continues right after its answer line.
async fn connect_hybrid(path: &Path, port: u32) -> Result<UnixStream, ConnectError> {
    let mut stream = connect_unix(path).await?;
    let failed = |cause| ConnectError::from_io(format!("unix://{}?port={port}", path.display()), cause);
    stream.write_all(format!("CONNECT {port}\n").as_bytes()).await.map_err(failed)?;
    let answer = read_line(&mut stream).await.map_err(failed)?;
    match answer.strip_prefix(b"OK ").and_then(|rest| rest.strip_suffix(b"\n")) {
        Some(port) if !port.is_empty() && port.iter().all(u8::is_ascii_digit) => Ok(stream),
        _ => {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            Err(ConnectError::Hybrid { path: path.to_path_buf(), port, answer })
        }
    }
}

/// Reads byte by byte, so as not to take what follows the line; ends at its line feed, its bound or the end.
async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while line.len() < HYBRID_ANSWER_MAX && line.last() != Some(&b'\n') {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            break;
        }
        line.push(byte[0]);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, UnixListener};

    const LATE: Duration = Duration::from_secs(30);
    const SOON: Duration = Duration::from_millis(50);

    async fn dial(text: &str, deadline: Duration) -> Result<Stream, ConnectError> {
        connect(&text.parse().unwrap(), None, deadline).await
    }

    /// A monitor that answers with these bytes once it was asked for a port, and the result of dialling it.
    async fn through_monitor(answer: &[u8]) -> (Vec<u8>, Result<Stream, ConnectError>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vm.vsock");
        let listener = UnixListener::bind(&path).unwrap();
        let monitor = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; b"CONNECT 5005\n".len()];
            stream.read_exact(&mut asked).await.unwrap();
            stream.write_all(answer).await.unwrap();
            let stays_open = if answer.len() > HYBRID_ANSWER_MAX { Some(stream) } else { None };
            (asked, stays_open)
        };
        let text = format!("unix://{}?port=5005", path.display());
        let ((asked, _stays_open), dialled) = tokio::join!(monitor, dial(&text, LATE));
        (asked, dialled)
    }

    #[tokio::test]
    async fn a_monitor_that_agrees_gives_the_stream_right_after_its_line() {
        let (asked, stream) = through_monitor(b"OK 1073741824\nfirst bytes").await;
        assert_eq!(asked, b"CONNECT 5005\n");
        let mut read = Vec::new();
        stream.unwrap().read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"first bytes");
    }

    #[tokio::test]
    async fn a_monitor_that_does_not_agree_is_quoted() {
        let endless = [b'1'; 100];
        for answer in [&b""[..], b"OK", b"OK \n", b"ERR 5005\n", b"OK 12x\n", b"\n", &endless] {
            let (_, refused) = through_monitor(answer).await;
            assert!(matches!(refused, Err(ConnectError::Hybrid { port: 5005, .. })));
        }
    }

    #[tokio::test]
    async fn a_place_where_nobody_listens_refuses() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let unix = format!("unix://{}", path.display());
        assert!(matches!(dial(&gone.to_string(), LATE).await, Err(ConnectError::Refused { .. })));
        assert!(matches!(dial(&unix, LATE).await, Err(ConnectError::Refused { .. })));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(matches!(dial(&unix, LATE).await, Err(ConnectError::Refused { .. })));
    }

    #[tokio::test]
    async fn a_server_that_accepts_and_says_nothing_is_given_up_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vm.vsock");
        let _silent = UnixListener::bind(&path).unwrap();
        let late = dial(&format!("unix://{}?port=5005", path.display()), SOON).await;
        assert!(matches!(late, Err(ConnectError::Deadline { waited: SOON, .. })));

        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint::Tls(silent.local_addr().unwrap().into());
        let late = connect(&endpoint, Some(&TlsIdentity::throw_away()), SOON).await;
        assert!(matches!(
            late,
            Err(ConnectError::Deadline { .. } | ConnectError::Tls { cause: TlsError::Deadline { .. }, .. })
        ));
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_its_addresses_are_tried_in_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: HostPort =
            format!("localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
        let (_, reached) = connect_tcp(&address, LATE).await.unwrap();
        assert_eq!(reached, listener.local_addr().unwrap());
    }

    #[tokio::test]
    async fn any_context_id_is_for_listening_only() {
        assert!(matches!(dial("vsock://any:5005", LATE).await, Err(ConnectError::AnyCid { .. })));
    }
}
