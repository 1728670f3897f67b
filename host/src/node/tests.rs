//! Whole nodes in this process: real sockets, real disks, a simulated enclave.

use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::ids::{ClusterId, Generation};
use nitro_elect_protocol::peer::{Envelope, PeerMessage, open_envelope};
use nitro_elect_protocol::policy::{Policy, Rule};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{Exit, Node, NodeConfig, Reach, StartError};
use crate::clock;
use crate::core::config::{FANOUT_DEFAULT, Membership, Observers};
use crate::core::status::Status;
use crate::demo::ports::Ports;
use crate::simulated::SimulatedPki;
use crate::simulated::enclave::SimulatedEnclave;
use crate::storage::{StorageError, give_birth};
use crate::transport::endpoint::HostPort;
use crate::transport::links::{Admission, Bounds, Class, LinkEvent, Links, LinksConfig, Others, Peer};
use crate::transport::listen::{Exposure, Listener};
use crate::transport::tls::TlsIdentity;

const LATE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

/// A cluster of so many voters, of which a test runs those it needs.
struct Cluster {
    directory: TempDir,
    enclave: SimulatedEnclave,
    electorate: Electorate,
    _ports: Ports,
}

impl Cluster {
    fn of(voters: u8) -> Self {
        let mut ports = Ports::find().unwrap();
        let first = ports.some(voters.into()).unwrap();
        let enclave = SimulatedEnclave::boot(SimulatedPki::generate().unwrap(), clock::wall).unwrap();
        let voter = |number: u8| Voter {
            key: key(number).id(),
            name: format!("node-{number}"),
            address: format!("127.0.0.1:{}", first + u16::from(number)),
            weight: 1,
        };
        let mut electorate = Electorate {
            version: VERSION,
            cluster: ClusterId([9; 16]),
            name: "test".into(),
            epoch: 1,
            previous: None,
            f: 0,
            policy: Policy::of(Rule::Priority),
            lease_ms: 1000,
            trust: enclave.trust().clone(),
            voters: (0..voters).map(voter).collect(),
        };
        electorate.sort();
        assert_eq!(electorate.faults(), []);
        Cluster { directory: tempfile::tempdir().unwrap(), enclave, electorate, _ports: ports }
    }

    fn enclave_place(&self) -> String {
        format!("unix://{}", self.directory.path().join("enclave").display())
    }

    /// Serves the enclave until the test ends.
    async fn serve_enclave(&self) -> tokio::task::AbortHandle {
        let listener =
            Listener::bind(&self.enclave_place().parse().unwrap(), Exposure::LoopbackOnly).await.unwrap();
        let serving = self.enclave.clone();
        tokio::spawn(async move { serving.serve(listener).await }).abort_handle()
    }

    fn state(&self, number: u8) -> PathBuf {
        self.directory.path().join(number.to_string())
    }

    fn address(&self, number: u8) -> String {
        self.electorate.voter(&key(number).id()).unwrap().address.clone()
    }

    fn config(&self, number: u8) -> NodeConfig {
        let _born_before = give_birth(&self.state(number), &key(number));
        let address = self.address(number);
        NodeConfig {
            name: format!("node-{number}"),
            reach: Reach { bind: address.parse().unwrap(), address, peers: vec![] },
            membership: Membership::Manifest {
                electorate: Box::new(self.electorate.clone()),
                observers: Observers::Off,
            },
            key: key(number),
            state: self.state(number),
            danger_forget_votes: false,
            shown: Default::default(),
            enclaves: vec![self.enclave_place().parse().unwrap()],
            fanout: FANOUT_DEFAULT,
            supervisor: None,
        }
    }

    /// The links of a voter whose node the test plays itself.
    async fn play(&self, number: u8) -> (Links, mpsc::Receiver<LinkEvent>) {
        let peers = self.electorate.voters.iter().filter(|voter| voter.key != key(number).id());
        let peer = |voter: &Voter| Peer {
            key: Some(voter.key),
            address: voter.address.parse().unwrap(),
            class: Class::Voter,
        };
        let config = LinksConfig {
            identity: TlsIdentity::of(&key(number)),
            bind: self.address(number).parse::<HostPort>().unwrap(),
            peers: peers.map(peer).collect(),
            admission: Admission { voters: BTreeSet::from([key(0).id()]), others: Others::Off },
            lease: self.electorate.lease(),
            bounds: Bounds::default(),
        };
        Links::start(config).await.unwrap()
    }
}

fn key(number: u8) -> NodeKey {
    NodeKey::from_seed([number + 1; 32])
}

async fn status_when(node: &Node, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
    let looking = async {
        loop {
            let status = node.status().await.unwrap();
            if is_so(&status) {
                return status;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(LATE, looking).await.unwrap_or_else(|_| panic!("{what} in time"))
}

fn counted(node: &Node, name: &str) -> u64 {
    node.handle().counters().iter().find(|count| count.name == name).unwrap().value
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_leads_and_its_lease_is_there_to_ask_until_it_stops() {
    let cluster = Cluster::of(1);
    let enclave = cluster.serve_enclave().await;
    let node = Node::start(cluster.config(0)).await.unwrap();
    let mut leadership = node.leadership();
    let lease = tokio::time::timeout(LATE, leadership.gained()).await.unwrap().unwrap();
    let left = lease.remaining();
    assert!(left > Duration::ZERO && left < cluster.electorate.lease(), "{left:?}");
    let status = node.status().await.unwrap();
    assert_eq!(lease.term(), Ok(status.term));
    assert_eq!(status.held.map(|held| held.0), Some(status.term));
    enclave.abort();
    assert_eq!(node.shutdown().await, Exit::Stopped);
    assert_eq!(lease.remaining(), Duration::ZERO);
    assert!(leadership.current().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_start_is_a_new_life_and_two_at_once_are_refused() {
    let cluster = Cluster::of(1);
    let node = Node::start(cluster.config(0)).await.unwrap();
    assert_eq!(node.status().await.unwrap().generation, Generation(1));
    let second = Node::start(cluster.config(0)).await.err().unwrap();
    assert!(matches!(second, StartError::Storage(StorageError::Locked { .. })), "{second}");
    assert_eq!(node.shutdown().await, Exit::Stopped);
    let node = Node::start(cluster.config(0)).await.unwrap();
    assert_eq!(node.status().await.unwrap().generation, Generation(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_stops_votes_and_nothing_else_and_heals() {
    let cluster = Cluster::of(1);
    let node = Node::start(cluster.config(0)).await.unwrap();
    status_when(&node, "the enclave is missed", |status| status.enclaves[0].error.is_some()).await;
    let (state, away) = (cluster.state(0), cluster.directory.path().join("away"));
    std::fs::rename(&state, &away).unwrap();
    let _enclave = cluster.serve_enclave().await;
    let failing = async {
        while counted(&node, "records_failed") < 2 {
            assert_eq!(node.status().await.unwrap().held, None);
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(LATE, failing).await.expect("the node tries to vote");
    let failing = node.status().await.unwrap();
    assert!(failing.write_error.is_some() && failing.ready.is_err(), "{:?}", failing.ready);
    std::fs::rename(&away, &state).unwrap();
    let healed = status_when(&node, "it votes again", |status| status.held.is_some()).await;
    assert_eq!((healed.write_error, healed.ready), (None, Ok(())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_no_message_ends_its_connection_and_is_counted() {
    let cluster = Cluster::of(2);
    let node = Node::start(cluster.config(0)).await.unwrap();
    let (links, mut events) = cluster.play(1).await;
    wait_for(&mut events, |event| matches!(event, LinkEvent::Up { dialled: true, .. })).await;
    links.send(&key(0).id(), b"no message at all".to_vec());
    wait_for(&mut events, |event| matches!(event, LinkEvent::Down { .. })).await;
    assert_eq!(counted(&node, "frames_malformed"), 1);
    wait_for(&mut events, |event| matches!(event, LinkEvent::Up { .. })).await;
    assert!(node.status().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_later_version_is_answered_once_in_a_while() {
    let cluster = Cluster::of(2);
    let node = Node::start(cluster.config(0)).await.unwrap();
    let (links, mut events) = cluster.play(1).await;
    wait_for(&mut events, |event| matches!(event, LinkEvent::Up { dialled: true, .. })).await;
    let later = codec::encode(&Envelope { v: 9, body: b"news".to_vec() });
    links.send(&key(0).id(), later.clone());
    wait_for(&mut events, |event| answers_version(event, 9)).await;
    links.send(&key(0).id(), later);
    let both = async {
        while counted(&node, "frames_unknown_version") < 2 {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(LATE, both).await.unwrap();
    let silent = Duration::from_millis(300);
    let again = wait_for(&mut events, |event| answers_version(event, 9));
    assert!(tokio::time::timeout(silent, again).await.is_err(), "it answers at most once a second");
}

fn answers_version(event: &LinkEvent, version: u32) -> bool {
    let LinkEvent::Frame { bytes, .. } = event else { return false };
    open_envelope::<PeerMessage>(bytes) == Ok(PeerMessage::UnknownVersion { v: version })
}

async fn wait_for(events: &mut mpsc::Receiver<LinkEvent>, is_it: impl Fn(&LinkEvent) -> bool) {
    let looking = async {
        loop {
            let event = events.recv().await.expect("the links live");
            if is_it(&event) {
                return;
            }
        }
    };
    tokio::time::timeout(LATE, looking).await.expect("the event comes in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_port_is_taken_says_so() {
    let cluster = Cluster::of(1);
    let _taken = std::net::TcpListener::bind(cluster.address(0)).unwrap();
    let error = Node::start(cluster.config(0)).await.err().unwrap();
    assert!(error.to_string().contains("is in use"), "{error}");
}
