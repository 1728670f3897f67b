//! Handshakes between those who may, and those who may not.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const LATE: Duration = Duration::from_secs(30);

fn identity(seed: u8) -> TlsIdentity {
    TlsIdentity::of(&NodeKey::from_seed([seed; 32]))
}

type Shaken<T> = Result<(T, NodeId), TlsError>;

async fn shake(
    client: TlsClient,
    expected: ExpectedKey,
    server: TlsServer,
) -> (Shaken<client::TlsStream<DuplexStream>>, Shaken<server::TlsStream<DuplexStream>>) {
    let (ours, theirs) = duplex(64 << 10);
    let accept = async { server.accept(theirs, LATE).await.map(|(stream, key, _)| (stream, key)) };
    tokio::join!(client.connect(ours, expected, LATE), accept)
}

#[tokio::test]
async fn both_sides_learn_who_the_other_is_and_talk() {
    let client = TlsClient::new(Service::Peer, identity(1));
    let server = TlsServer::of_node(&identity(2));
    let (ours, theirs) = shake(client, ExpectedKey::Exactly(identity(2).id()), server).await;
    let (mut ours, server_id) = ours.unwrap();
    let (mut theirs, client_id) = theirs.unwrap();
    assert_eq!((client_id, server_id), (identity(1).id(), identity(2).id()));

    ours.write_all(b"hello").await.unwrap();
    ours.flush().await.unwrap();
    let mut read = [0; 5];
    theirs.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"hello");
}

#[tokio::test]
async fn a_server_with_another_key_is_refused_and_both_keys_are_named() {
    let client = TlsClient::new(Service::Peer, identity(1));
    let server = TlsServer::of_node(&identity(2));
    let (ours, theirs) = shake(client, ExpectedKey::Exactly(identity(3).id()), server).await;
    match ours {
        Err(TlsError::WrongKey { expected, shown }) => {
            assert_eq!((expected, shown), (identity(3).id(), identity(2).id()));
        }
        other => panic!("{other:?}"),
    }
    assert!(theirs.is_err(), "the server never learns who that client was");
}

#[tokio::test]
async fn a_client_that_expects_any_key_learns_it() {
    let client = TlsClient::new(Service::Enclave, identity(1));
    let proxy = TlsIdentity::throw_away();
    let (ours, _) = shake(client, ExpectedKey::Any, TlsServer::of_proxy(&proxy)).await;
    assert_eq!(ours.unwrap().1, proxy.id());
}

#[tokio::test]
async fn a_node_learns_what_a_connection_is_for_and_a_proxy_takes_no_wills() {
    for service in [Service::Peer, Service::Will] {
        let (ours, theirs) = duplex(64 << 10);
        let (client, server) = (TlsClient::new(service, identity(1)), TlsServer::of_node(&identity(2)));
        let (_ours, theirs) =
            tokio::join!(client.connect(ours, ExpectedKey::Any, LATE), server.accept(theirs, LATE));
        assert_eq!(theirs.unwrap().2, service);
    }
    let client = TlsClient::new(Service::Will, identity(1));
    let (ours, theirs) = shake(client, ExpectedKey::Any, TlsServer::of_proxy(&identity(2))).await;
    assert!(matches!(ours, Err(TlsError::OtherService)), "{ours:?}");
    assert!(matches!(theirs, Err(TlsError::OtherService)), "{theirs:?}");
}

#[test]
fn throw_away_identities_differ() {
    assert_ne!(TlsIdentity::throw_away().id(), TlsIdentity::throw_away().id());
}

#[tokio::test]
async fn a_proxys_client_finds_no_service_at_a_nodes_port() {
    let client = TlsClient::new(Service::Enclave, identity(1));
    let (ours, theirs) = shake(client, ExpectedKey::Any, TlsServer::of_node(&identity(2))).await;
    assert!(matches!(ours, Err(TlsError::OtherService)), "{ours:?}");
    assert!(matches!(theirs, Err(TlsError::OtherService)), "{theirs:?}");
}

/// A client that speaks of raw keys and shows none.
#[derive(Debug)]
struct NoKey;

impl rustls::client::ResolvesClientCert for NoKey {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_client_without_a_key_is_refused() {
    let mut config = TlsClient::new(Service::Peer, identity(1)).config(ExpectedKey::Any);
    config.client_auth_cert_resolver = Arc::new(NoKey);
    let (ours, theirs) = duplex(64 << 10);
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("nobody").unwrap();
    let server = TlsServer::of_node(&identity(2));
    let (_, refused) = tokio::join!(connector.connect(name, ours), server.accept(theirs, LATE));
    assert!(matches!(refused, Err(TlsError::Handshake(_))), "{refused:?}");
}

#[tokio::test]
async fn a_client_that_names_no_service_is_refused() {
    let mut config = TlsClient::new(Service::Peer, identity(1)).config(ExpectedKey::Any);
    config.alpn_protocols.clear();
    let (ours, theirs) = duplex(64 << 10);
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("nobody").unwrap();
    let server = TlsServer::of_node(&identity(2));
    let (_, refused) = tokio::join!(connector.connect(name, ours), server.accept(theirs, LATE));
    assert!(matches!(refused, Err(TlsError::OtherService)), "{refused:?}");
}

#[tokio::test]
async fn a_client_that_shows_a_key_it_does_not_hold_is_refused() {
    let mut config = TlsClient::new(Service::Peer, identity(1)).config(ExpectedKey::Any);
    let stolen = CertifiedKey::new(vec![keys::spki_of(&identity(7).id())], identity(1).key.key.clone());
    config.client_auth_cert_resolver = Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::new(stolen)));
    let (ours, theirs) = duplex(64 << 10);
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("nobody").unwrap();
    let server = TlsServer::of_node(&identity(2));
    let (_, refused) = tokio::join!(connector.connect(name, ours), server.accept(theirs, LATE));
    let bad = rustls::Error::InvalidCertificate(CertificateError::BadSignature);
    assert!(matches!(&refused, Err(TlsError::Handshake(found)) if *found == bad), "{refused:?}");
}

#[tokio::test]
async fn bytes_that_are_no_handshake_are_refused() {
    let (mut ours, theirs) = duplex(64 << 10);
    ours.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let refused = TlsServer::of_node(&identity(2)).accept(theirs, LATE).await;
    assert!(matches!(refused, Err(TlsError::Handshake(_))), "{refused:?}");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_dropped_in_time() {
    let (_ours, theirs) = duplex(64 << 10);
    let refused = TlsServer::of_node(&identity(2)).accept(theirs, Duration::from_millis(20)).await;
    assert!(matches!(refused, Err(TlsError::Deadline { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_client_that_leaves_within_the_handshake_is_told_apart() {
    let (ours, theirs) = duplex(64 << 10);
    drop(ours);
    let refused = TlsServer::of_node(&identity(2)).accept(theirs, LATE).await;
    assert!(matches!(refused, Err(TlsError::Io(_))), "{refused:?}");
}

#[test]
fn only_the_one_form_of_an_ed25519_key_names_a_node() {
    let good = keys::spki_of(&identity(1).id());
    assert_eq!(keys::node_of(&good), Some(identity(1).id()));
    let longer = [good.as_ref(), &[0]].concat();
    let mut other_algorithm = good.to_vec();
    other_algorithm[8] = 0x71;
    for bad in [&[][..], &good[..43], &longer, &other_algorithm] {
        assert_eq!(keys::node_of(&bad.to_vec().into()), None);
    }
}

#[test]
fn an_identity_prints_no_secret() {
    assert_eq!(format!("{:?}", identity(0x5a)), format!("TlsIdentity({})", identity(0x5a).id().short()));
}
