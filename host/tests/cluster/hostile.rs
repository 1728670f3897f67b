//! Strangers at every port while elections go on.

use crate::operator::{Cluster, until};
use nitro_elect::transport::links::{
    Admission, Bounds, Class, DownReason, LinkEvent, Links, LinksConfig, Others, Peer, Unwelcome,
};
use nitro_elect::transport::tls::TlsIdentity;
use nitro_elect_protocol::crypto::NodeKey;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What strangers send: noise, lengths that promise too much, half a frame, a slow head, a handshake's beginning.
const GARBAGE: [&[u8]; 6] = [
    b"\xff\xff\xff\xff and more",
    b"\x00\x10\x00\x00\x01",
    b"\x00\x00\x00\x00",
    b"GET /v1/leader HTTP/1.1\r\nho",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00\x00\x00\x05\xa1\x61\x76\x01\x01",
];

/// Opens connections to a port, sends garbage on each and leaves it open for a while.
async fn pester(port: u16, end: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    let mut open = Vec::new();
    for garbage in GARBAGE.iter().cycle() {
        if end.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await
            && stream.write_all(garbage).await.is_ok()
        {
            sent.fetch_add(1, Ordering::Relaxed);
            open.push(stream);
        }
        if open.len() > 20 {
            open.clear();
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn garbage_on_every_port_stops_no_election() {
    let (mut cluster, first) = Cluster::led(4).await;
    let (end, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let enclave: u16 = cluster.enclave.rsplit(':').next().unwrap().parse().unwrap();
    let ports = (0..cluster.nodes).flat_map(|at| [cluster.first_port + at, cluster.first_admin + at]);
    let pests: Vec<_> =
        ports.chain([enclave]).map(|port| tokio::spawn(pester(port, end.clone(), sent.clone()))).collect();
    until("some garbage", async || (sent.load(Ordering::Relaxed) > 500).then_some(())).await;
    cluster.operator.kill(&first.leader);
    let second = cluster.agreement(first.term + 1).await;
    cluster.start_node(&first.leader);
    cluster.agreement(second.term).await;
    cluster.operator.all_live();
    end.store(true, Ordering::Relaxed);
    for pest in pests {
        pest.await.unwrap();
    }
    let refused = cluster.overview(&second.leader).await.unwrap().counters["refused_not_a_node"];
    assert!(refused > 0, "what was dropped is counted");
}

#[tokio::test]
async fn a_peer_with_a_foreign_key_is_turned_away_and_counted() {
    let (mut cluster, led) = Cluster::led(4).await;
    let config = LinksConfig {
        identity: TlsIdentity::of(&NodeKey::from_seed([7; 32])),
        bind: "127.0.0.1:0".parse().unwrap(),
        peers: vec![Peer {
            key: None,
            address: format!("127.0.0.1:{}", cluster.port("node-1")).parse().unwrap(),
            class: Class::Voter,
        }],
        admission: Admission { voters: BTreeSet::new(), others: Others::Open(9) },
        lease: Duration::from_secs(1),
        bounds: Bounds::default(),
    };
    let (_links, mut events) = Links::start(config).await.unwrap();
    let told = until("an answer to the stranger", async || match events.recv().await {
        Some(LinkEvent::Unreachable { reason, .. }) => Some(reason),
        _ => None,
    });
    assert_eq!(told.await, DownReason::TurnedAway(Unwelcome::NotAdmitted));
    let overview = cluster.overview("node-1").await.unwrap();
    assert!(overview.counters["refused_not_admitted"] > 0);
    assert_eq!(overview.members.members.len(), 4);
    assert_eq!(cluster.agreement(led.term).await, led);
}
