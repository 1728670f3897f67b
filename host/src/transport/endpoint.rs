//! Names of places to connect to or listen at:
//!
//! | text | meaning |
//! | --- | --- |
//! | `tcp://HOST:PORT`, `HOST:PORT` | plain frames over TCP |
//! | `tls://HOST:PORT` | a proxy that admits a manifest's keys only |
//! | `vsock://CID:PORT` | plain frames to a virtual machine; to listen, `vsock://any:PORT` |
//! | `unix://PATH` | plain frames over a Unix socket |
//! | `unix://PATH?port=PORT` | the Unix socket of a virtual machine monitor that forwards to the guest's vsock port (Firecracker, vhost-device-vsock): `CONNECT PORT` and `OK` come before the first frame |
//!
//! A host name is kept as a name and resolved at each dial, since addresses change and keys identify.

use crate::limits::UNIX_PATH_MAX;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The context id that means "any" for a listener (`VMADDR_CID_ANY`).
pub const CID_ANY: u32 = u32::MAX;

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseEndpointError {
    /// An unknown word before `://`.
    #[error("{scheme:?} in {text:?} is not a kind of endpoint: use tcp://, tls://, vsock:// or unix://")]
    Scheme {
        /// The word.
        scheme: String,
        /// The whole text.
        text: String,
    },
    /// No port.
    #[error("{text:?} has no port: write HOST:PORT, like 127.0.0.1:5000")]
    NoPort {
        /// The text.
        text: String,
    },
    /// Something else than a port.
    #[error("{port:?} in {text:?} is not a port from 1 to {max}")]
    Port {
        /// What stands for the port.
        port: String,
        /// The text.
        text: String,
        /// The largest port of this kind.
        max: u32,
    },
    /// No or an impossible host.
    #[error("{host:?} in {text:?} is not a host: use a name, an IPv4 address or an IPv6 address in brackets")]
    Host {
        /// What stands for the host.
        host: String,
        /// The text.
        text: String,
    },
    /// Something else than a context id.
    #[error("{cid:?} in {text:?} is not a vsock context id: use a number, or \"any\" to listen")]
    Cid {
        /// What stands for the context id.
        cid: String,
        /// The text.
        text: String,
    },
    /// No or an impossible path.
    #[error("{text:?} needs a path of 1 to {UNIX_PATH_MAX} bytes without '?', like unix:///run/enclave.sock")]
    Path {
        /// The text.
        text: String,
    },
}

/// A host and port, not resolved: `HOST:PORT` with a DNS name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// The name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0, which only an address of ours can have, lets the system choose.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl From<std::net::SocketAddr> for HostPort {
    fn from(address: std::net::SocketAddr) -> Self {
        HostPort { host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(out, "[{}]:{}", self.host, self.port),
            false => write!(out, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for HostPort {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, ParseEndpointError> {
        let no_port = || ParseEndpointError::NoPort { text: text.into() };
        let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
        let host = parse_host(host)
            .ok_or_else(|| ParseEndpointError::Host { host: host.into(), text: text.into() })?;
        let port = parse_number(port)
            .and_then(|port| u16::try_from(port).ok())
            .ok_or_else(|| bad_port(port, text, u16::MAX.into()))?;
        Ok(HostPort { host, port })
    }
}

/// A place to connect to or to listen at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Plain frames over TCP.
    Tcp(HostPort),
    /// Frames over TLS with a node's key: a proxy with a manifest.
    Tls(HostPort),
    /// Plain frames over vsock.
    Vsock {
        /// The context id: 16 and so on for guests, 3 for an enclave's parent, [`CID_ANY`] to listen.
        cid: u32,
        /// The port.
        port: u32,
    },
    /// Plain frames over a Unix socket.
    Unix(PathBuf),
    /// Plain frames to a guest's vsock port through its monitor's Unix socket. For connecting only.
    HybridVsock {
        /// The monitor's socket.
        path: PathBuf,
        /// The guest's vsock port.
        port: u32,
    },
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, ParseEndpointError> {
        match text.split_once("://") {
            None => text.parse().map(Endpoint::Tcp),
            Some(("tcp", rest)) => rest.parse().map(Endpoint::Tcp),
            Some(("tls", rest)) => rest.parse().map(Endpoint::Tls),
            Some(("vsock", rest)) => parse_vsock(rest, text),
            Some(("unix", rest)) => parse_unix(rest, text),
            Some((scheme, _)) => Err(ParseEndpointError::Scheme { scheme: scheme.into(), text: text.into() }),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(address) => write!(out, "tcp://{address}"),
            Endpoint::Tls(address) => write!(out, "tls://{address}"),
            Endpoint::Vsock { cid: CID_ANY, port } => write!(out, "vsock://any:{port}"),
            Endpoint::Vsock { cid, port } => write!(out, "vsock://{cid}:{port}"),
            Endpoint::Unix(path) => write!(out, "unix://{}", path.display()),
            Endpoint::HybridVsock { path, port } => write!(out, "unix://{}?port={port}", path.display()),
        }
    }
}

fn parse_vsock(rest: &str, text: &str) -> Result<Endpoint, ParseEndpointError> {
    let no_port = || ParseEndpointError::NoPort { text: text.into() };
    let (cid, port) = rest.rsplit_once(':').ok_or_else(no_port)?;
    let bad_cid = || ParseEndpointError::Cid { cid: cid.into(), text: text.into() };
    let cid = match cid {
        "any" => CID_ANY,
        number => parse_number(number).filter(|cid| *cid != CID_ANY).ok_or_else(bad_cid)?,
    };
    let port = vsock_port(port, text)?;
    Ok(Endpoint::Vsock { cid, port })
}

fn parse_unix(rest: &str, text: &str) -> Result<Endpoint, ParseEndpointError> {
    let bad_path = || ParseEndpointError::Path { text: text.into() };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query.strip_prefix("port=").ok_or_else(bad_path)?)),
        None => (rest, None),
    };
    if path.is_empty() || path.len() > UNIX_PATH_MAX || path.contains('\0') {
        return Err(bad_path());
    }
    let path = Path::new(path).to_path_buf();
    Ok(match query {
        Some(port) => Endpoint::HybridVsock { path, port: vsock_port(port, text)? },
        None => Endpoint::Unix(path),
    })
}

/// A vsock port; `VMADDR_PORT_ANY` (all ones) is not one.
fn vsock_port(port: &str, text: &str) -> Result<u32, ParseEndpointError> {
    let max = u32::MAX - 1;
    parse_number(port).filter(|port| (1..=max).contains(port)).ok_or_else(|| bad_port(port, text, max))
}

fn bad_port(port: &str, text: &str, max: u32) -> ParseEndpointError {
    ParseEndpointError::Port { port: port.into(), text: text.into(), max }
}

/// Digits only: the standard parser would also take a plus sign.
fn parse_number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A host without its brackets, if it is one.
fn parse_host(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(address.to_string());
    }
    let is_address = text.parse::<Ipv4Addr>().is_ok();
    (is_address || is_name(text)).then(|| text.to_string())
}

/// A DNS name (RFC 1123; underscores occur in container names) that nobody could take for a mistyped address.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(allowed) && !label.starts_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let looks_numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && !looks_numeric && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Endpoint, ParseEndpointError> {
        text.parse()
    }

    #[test]
    fn every_kind_is_read_and_printed_as_it_was_written() {
        let texts = [
            "tcp://127.0.0.1:5000",
            "tcp://[2001:db8::1]:5000",
            "tls://proxy.example.com:5443",
            "vsock://16:5005",
            "vsock://any:5005",
            "unix:///run/enclave.sock",
            "unix://relative/socket",
            "unix:///run/vm.vsock?port=5005",
        ];
        for text in texts {
            assert_eq!(parse(text).map(|endpoint| endpoint.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_bare_host_and_port_mean_tcp() {
        assert_eq!(parse("node-1:5000"), parse("tcp://node-1:5000"));
    }

    #[test]
    fn port_zero_lets_the_system_choose_a_tcp_port_only() {
        assert!(parse("127.0.0.1:0").is_ok());
        assert!(parse("vsock://any:0").is_err());
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        assert!(matches!(parse("http://a:1"), Err(ParseEndpointError::Scheme { .. })));
        assert!(matches!(parse("localhost"), Err(ParseEndpointError::NoPort { .. })));
        for port in ["", "65536", "+80", "-1", "8o", "99999999999999999999"] {
            assert!(matches!(parse(&format!("a:{port}")), Err(ParseEndpointError::Port { .. })), "{port}");
        }
        for host in ["", "a b", "2001:db8::1", "[::1", "[a]", "256.1.1.1", "1.2.3", "-a", "a..b", "é"] {
            assert!(matches!(parse(&format!("{host}:80")), Err(ParseEndpointError::Host { .. })), "{host}");
        }
        for cid in ["", "x", "4294967295", "4294967296"] {
            assert!(
                matches!(parse(&format!("vsock://{cid}:1")), Err(ParseEndpointError::Cid { .. })),
                "{cid}"
            );
        }
        assert!(matches!(parse("vsock://3"), Err(ParseEndpointError::NoPort { .. })));
        for unix in ["unix://", "unix://a?b", "unix://a?port", &format!("unix:///{}", "x".repeat(107))] {
            assert!(matches!(parse(unix), Err(ParseEndpointError::Path { .. })), "{unix}");
        }
        assert!(matches!(parse("unix://a?port=0"), Err(ParseEndpointError::Port { .. })));
    }
}
