//! Whole links over loopback: real sockets, real handshakes. Waiting is for events, each with a generous deadline.

mod abuse;
mod churn;
mod peers;

use super::*;
use crate::transport::connect::connect_tcp;
use crate::transport::counters::Counter;
use crate::transport::frame::{Deadlines, FrameError, FrameReader, write_frame};
use crate::transport::stream::Stream;
use crate::transport::tls::{ExpectedKey, Service, TlsClient, TlsIdentity, TlsServer};
use greeting::{GREETING_MAX, Greeting};
use nitro_elect_protocol::crypto::NodeKey;
use std::collections::BTreeSet;
use tokio::net::TcpListener;

const LATE: Duration = Duration::from_secs(30);
const DEADLINES: Deadlines = Deadlines { idle: LATE, frame: LATE };

fn identity(seed: u8) -> TlsIdentity {
    TlsIdentity::of(&NodeKey::from_seed([seed; 32]))
}

fn id(seed: u8) -> NodeId {
    identity(seed).id()
}

fn loopback(port: u16) -> HostPort {
    SocketAddr::from(([127, 0, 0, 1], port)).into()
}

/// The voters are the nodes of seeds 1 to 4.
fn config(seed: u8) -> LinksConfig {
    LinksConfig {
        identity: identity(seed),
        bind: loopback(0),
        peers: vec![],
        admission: Admission { voters: (1..=4).map(id).collect(), others: Others::Off },
        lease: Duration::from_millis(400),
        bounds: Bounds::default(),
    }
}

fn voter(seed: u8, address: SocketAddr) -> Peer {
    Peer { key: Some(id(seed)), address: address.into(), class: Class::Voter }
}

/// A node with its links, and the events that it has.
struct Node {
    links: Links,
    events: mpsc::Receiver<LinkEvent>,
}

impl Node {
    async fn start(config: LinksConfig) -> Node {
        let (links, events) = Links::start(config).await.unwrap();
        Node { links, events }
    }

    fn address(&self) -> SocketAddr {
        self.links.local_addr()
    }

    /// The first event that `pick` takes; others are dropped.
    async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(LinkEvent) -> Option<T>) -> T {
        let found = tokio::time::timeout(LATE, async {
            loop {
                let event = self.events.recv().await.expect("the links live");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    async fn up(&mut self, seed: u8) -> bool {
        self.wait("Up", |event| match event {
            LinkEvent::Up { peer, dialled, .. } if peer == id(seed) => Some(dialled),
            _ => None,
        })
        .await
    }

    async fn up_dialled(&mut self, seed: u8) {
        while !self.up(seed).await {}
    }

    async fn down(&mut self, seed: u8) -> DownReason {
        self.wait("Down", |event| match event {
            LinkEvent::Down { peer, reason } if peer == id(seed) => Some(reason),
            _ => None,
        })
        .await
    }

    async fn refused(&mut self) -> (Option<NodeId>, RefusedReason) {
        self.wait("Refused", |event| match event {
            LinkEvent::Refused { key, reason, .. } => Some((key, reason)),
            _ => None,
        })
        .await
    }

    async fn unreachable(&mut self) -> DownReason {
        self.wait("Unreachable", |event| match event {
            LinkEvent::Unreachable { reason, .. } => Some(reason),
            _ => None,
        })
        .await
    }

    async fn frame(&mut self, seed: u8) -> Vec<u8> {
        self.wait("Frame", |event| match event {
            LinkEvent::Frame { from, bytes, .. } if from == id(seed) => Some(bytes),
            _ => None,
        })
        .await
    }

    /// Waits until a counter has reached a number.
    async fn counted(&self, counter: impl Fn(&Counters) -> &Counter, number: u64) {
        let reached = async {
            while counter(self.links.counters()).get() < number {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let counted = tokio::time::timeout(LATE, reached).await;
        counted.unwrap_or_else(|_| panic!("counted only {}", counter(self.links.counters()).get()));
    }
}

/// Two voters, 1 and 2, each dialling the other, both ways up.
async fn pair() -> (Node, Node) {
    pair_of(config(1), config(2)).await
}

async fn pair_of(first: LinksConfig, second: LinksConfig) -> (Node, Node) {
    let mut first = Node::start(first).await;
    let mut second = Node::start(second).await;
    first.links.know(voter(2, second.address())).unwrap();
    second.links.know(voter(1, first.address())).unwrap();
    first.up_dialled(2).await;
    second.up_dialled(1).await;
    (first, second)
}

/// A peer driven by hand: connected to `node`, authenticated, its greeting read.
async fn by_hand(seed: u8, node: &Node) -> (Stream, Greeting) {
    let (stream, _) = connect_tcp(&node.address().into(), LATE).await.unwrap();
    let client = TlsClient::new(Service::Peer, identity(seed));
    let (mut stream, _) = client.connect(stream, ExpectedKey::Any, LATE).await.unwrap();
    let greeting = FrameReader::new(&mut stream).read(GREETING_MAX, DEADLINES).await.unwrap();
    (Box::new(stream), Greeting::decode(&greeting).unwrap())
}

/// The same, welcome.
async fn welcome_by_hand(seed: u8, node: &Node) -> Stream {
    let (stream, greeting) = by_hand(seed, node).await;
    assert_eq!(greeting, Greeting::Welcome);
    stream
}
