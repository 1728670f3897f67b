//! TLS 1.3 with raw public keys (RFC 8446, RFC 7250): the key that authenticates a connection *is* the node.
//!
//! There is no certificate, no name and no authority: each side shows one Ed25519 SubjectPublicKeyInfo and proves
//! that it holds the private half. No session tickets, no resumption, no early data, no server name.
//!
//! A server learns who its client is and decides right after whether to serve it. A client states which key it
//! expects ([`ExpectedKey`]). In TLS 1.3 a client's handshake ends before the server has judged the client's key:
//! only the server's first bytes show that it was let in.
//!
//! The services of a node key ([`Service`]) are told apart by ALPN (RFC 7301), so that a proxy can never relay
//! its client's handshake to a node's peer port, and so that unequal versions end with an alert that says so.

mod keys;

use keys::{ClientKeyVerifier, ServerKeyVerifier, WrongKey};
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::ids::NodeId;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{AlertDescription, CertificateError, ClientConfig, OtherError, ServerConfig};
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// What an Ed25519 private key in PKCS#8 begins with (RFC 8410 §7); the 32 bytes of the seed follow.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Node to node.
    Peer,
    /// Node to enclave, through a proxy.
    Enclave,
    /// A node's supervisor to its peers, once: the node's last will.
    Will,
    /// Whoever leads to a gate, with the node's key.
    Gate,
}

impl Service {
    /// The ALPN protocol name, with the version of what is spoken inside.
    fn alpn(self) -> &'static [u8] {
        match self {
            Service::Peer => b"nitro-elect/1/peer",
            Service::Enclave => b"nitro-elect/1/enclave",
            Service::Will => b"nitro-elect/1/will",
            Service::Gate => b"nitro-elect/1/gate",
        }
    }
}

/// Which key a client accepts from its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedKey {
    /// This one.
    Exactly(NodeId),
    /// Any: it is learnt (first contact in an open cluster), or its holder is not trusted anyway (a proxy).
    Any,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server is somebody else.
    #[error("expected the node {} there, found {}", .expected.short(), .shown.short())]
    WrongKey {
        /// Whom the caller wanted.
        expected: NodeId,
        /// Who answered.
        shown: NodeId,
    },
    /// The other side has a key of another kind, or a certificate.
    #[error("the other side does not show an Ed25519 key")]
    NotANodeKey,
    /// The other side offers another service, or another version of it.
    #[error("the other side does not speak this service in this version (a node's port for a proxy's?)")]
    OtherService,
    /// No time left.
    #[error("no TLS handshake within {}", crate::duration::format(*waited))]
    Deadline {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The bytes that came are not this handshake.
    #[error("the TLS handshake failed: {0}")]
    Handshake(rustls::Error),
    /// The connection ended or failed during the handshake.
    #[error("the connection failed during the TLS handshake: {0}")]
    Io(io::Error),
}

/// A key as TLS shows and uses it. Cheap to clone.
#[derive(Clone)]
pub struct TlsIdentity {
    id: NodeId,
    key: Arc<CertifiedKey>,
}

impl TlsIdentity {
    /// The identity of a node.
    pub fn of(key: &NodeKey) -> Self {
        let pkcs8 = PrivatePkcs8KeyDer::from([PKCS8_PREFIX.as_slice(), key.seed()].concat());
        let signing = provider::sign::any_eddsa_type(&pkcs8).expect("RFC 8410 bytes of a 32-byte seed");
        let shown = keys::spki_of(&key.id());
        TlsIdentity { id: key.id(), key: Arc::new(CertifiedKey::new(vec![shown], signing)) }
    }

    /// A fresh identity that ends with this process: a proxy's, whom nobody trusts.
    pub fn throw_away() -> Self {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).expect("the operating system has random bytes");
        Self::of(&NodeKey::from_seed(seed))
    }

    /// The node.
    pub fn id(&self) -> NodeId {
        self.id
    }
}

impl std::fmt::Debug for TlsIdentity {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "TlsIdentity({})", self.id.short())
    }
}

/// Connects to one service with one identity.
#[derive(Debug, Clone)]
pub struct TlsClient {
    service: Service,
    identity: TlsIdentity,
}

impl TlsClient {
    /// A client that shows `identity`.
    pub fn new(service: Service, identity: TlsIdentity) -> Self {
        TlsClient { service, identity }
    }

    /// Shakes hands over `stream`; returns the connection and the key of its server.
    pub async fn connect<S>(
        &self,
        stream: S,
        expected: ExpectedKey,
        deadline: Duration,
    ) -> Result<(client::TlsStream<S>, NodeId), TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(Arc::new(self.config(expected)));
        let no_name = ServerName::from(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let stream = within(deadline, connector.connect(no_name, stream)).await?;
        let (_, connection) = stream.get_ref();
        let (id, _) = authenticated(connection, &[self.service])?;
        Ok((stream, id))
    }

    fn config(&self, expected: ExpectedKey) -> ClientConfig {
        let key = AlwaysResolvesClientRawPublicKeys::new(self.identity.key.clone());
        let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has TLS 1.3 suites")
            .dangerous() // in the library's words: a verifier of our own, since there are no certificates
            .with_custom_certificate_verifier(Arc::new(ServerKeyVerifier(expected)))
            .with_client_cert_resolver(Arc::new(key));
        config.alpn_protocols = vec![self.service.alpn().to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_sni = false;
        config
    }
}

/// Accepts clients of the services that it offers.
#[derive(Clone)]
pub struct TlsServer {
    services: &'static [Service],
    acceptor: TlsAcceptor,
}

impl TlsServer {
    /// A node's server, for its peers and for what their supervisors bring.
    pub fn of_node(identity: &TlsIdentity) -> Self {
        Self::offering(&[Service::Peer, Service::Will], identity)
    }

    /// A proxy's server, for nodes that ask an enclave.
    pub fn of_proxy(identity: &TlsIdentity) -> Self {
        Self::offering(&[Service::Enclave], identity)
    }

    /// A gate's server, for whoever leads.
    pub fn of_gate(identity: &TlsIdentity) -> Self {
        Self::offering(&[Service::Gate], identity)
    }

    /// A server that shows `identity` and wants a node key from every client.
    fn offering(services: &'static [Service], identity: &TlsIdentity) -> Self {
        let key = AlwaysResolvesServerRawPublicKeys::new(identity.key.clone());
        let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has TLS 1.3 suites")
            .with_client_cert_verifier(Arc::new(ClientKeyVerifier))
            .with_cert_resolver(Arc::new(key));
        config.alpn_protocols = services.iter().map(|service| service.alpn().to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        TlsServer { services, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    /// Shakes hands over `stream`; returns the connection, the key its client proved to hold, and what it is for.
    ///
    /// Whether that key may do anything is the caller's decision.
    pub async fn accept<S>(
        &self,
        stream: S,
        deadline: Duration,
    ) -> Result<(server::TlsStream<S>, NodeId, Service), TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = within(deadline, self.acceptor.accept(stream)).await?;
        let (_, connection) = stream.get_ref();
        let (id, service) = authenticated(connection, self.services)?;
        Ok((stream, id, service))
    }
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "TlsServer({:?})", self.services)
    }
}

/// X25519 and the TLS 1.3 suites of ring.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let kx_groups = vec![provider::kx_group::X25519];
    Arc::new(CryptoProvider { kx_groups, ..provider::default_provider() })
});

/// Runs a handshake against its deadline and names its error.
async fn within<T>(
    deadline: Duration,
    handshake: impl Future<Output = io::Result<T>>,
) -> Result<T, TlsError> {
    let shaken = tokio::time::timeout(deadline, handshake).await;
    shaken.map_err(|_| TlsError::Deadline { waited: deadline })?.map_err(named)
}

/// The error inside the one that the stream reports.
fn named(error: io::Error) -> TlsError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        None => TlsError::Io(error),
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause)))) => match cause
            .downcast_ref::<WrongKey>(
        ) {
            Some(WrongKey { expected, shown }) => TlsError::WrongKey { expected: *expected, shown: *shown },
            None => TlsError::NotANodeKey,
        },
        Some(rustls::Error::InvalidCertificate(CertificateError::BadEncoding)) => TlsError::NotANodeKey,
        Some(rustls::Error::NoApplicationProtocol)
        | Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
            TlsError::OtherService
        }
        Some(other) => TlsError::Handshake(other.clone()),
    }
}

/// Who the other side of a finished handshake is, and which of these services it speaks.
fn authenticated(
    connection: &rustls::CommonState,
    services: &[Service],
) -> Result<(NodeId, Service), TlsError> {
    let spoken = services.iter().find(|service| connection.alpn_protocol() == Some(service.alpn()));
    let service = *spoken.ok_or(TlsError::OtherService)?;
    match connection.peer_certificates() {
        Some([key]) => Ok((keys::node_of(key).ok_or(TlsError::NotANodeKey)?, service)),
        _ => Err(TlsError::NotANodeKey),
    }
}

#[cfg(test)]
mod tests;
