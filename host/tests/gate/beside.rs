//! What stands beside a real node: `connect`, whose port leads through the gate, and the gate's own questions to nodes.

use nitro_elect::gate::Gate;
use nitro_elect::gate::connect::{ConnectConfig, serve};
use nitro_elect::http::{self, Admin, Bounds, guard::Access};
use nitro_elect::keys;
use nitro_elect::node::Node;
use nitro_elect::simulated::SimulatedCluster;
use nitro_elect::transport::endpoint::Endpoint;
use nitro_elect::transport::listen::{Exposure, Listener};
use nitro_elect::transport::tls::{ExpectedKey, TlsIdentity};
use nitro_elect::verify::Authority;
use nitro_elect_protocol::ids::NodeId;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::AbortHandle;

use crate::presenter::{config, until};
use crate::resource::Resource;

/// A node that leads by itself, its admin address, and a gate that asks it.
struct Beside {
    cluster: SimulatedCluster,
    node: Node,
    admin: SocketAddr,
    serving: AbortHandle,
    resource: Resource,
    gate: Gate,
}

impl Beside {
    /// With the gate asking the node, or not.
    async fn set(asks: bool) -> Self {
        let cluster = SimulatedCluster::make(1).unwrap();
        let node = Node::start(cluster.config(0).unwrap()).await.unwrap();
        node.leadership().gained().await.unwrap();
        let listener = http::bind(&Admin::Beside { port: 0 }).await.unwrap();
        let admin = listener.local_addr().unwrap();
        let serving = answer(listener, &node);
        let resource = Resource::start();
        let mut config = config(&cluster.directory().join("gate"), &resource);
        config.authorities = vec![Authority::Manifest(Box::new(cluster.electorate().clone()))];
        config.nodes = if asks { vec![admin.to_string().parse().unwrap()] } else { Vec::new() };
        let gate = Gate::start(config).await.unwrap();
        Beside { cluster, node, admin, serving, resource, gate }
    }

    /// `connect` with this gate's key, or another; the path of its local socket.
    async fn connect(&self, name: &str, gate_key: NodeId) -> PathBuf {
        let path = self.cluster.directory().join(name);
        let local = Endpoint::Unix(path.clone());
        let listener = Listener::bind(&local, Exposure::LoopbackOnly).await.unwrap();
        let config = ConnectConfig {
            gate: self.gate.address().to_string().parse().unwrap(),
            gate_key: ExpectedKey::Exactly(gate_key),
            identity: TlsIdentity::of(&keys::load(&self.cluster.state(0)).unwrap()),
            admin: (self.admin, None),
            wait: Duration::from_secs(1),
        };
        tokio::spawn(serve(config, listener));
        path
    }

    fn why(&self) -> String {
        self.gate.situation().closed.map(|(_, why)| why).unwrap_or_default()
    }
}

fn answer(listener: TcpListener, node: &Node) -> AbortHandle {
    tokio::spawn(http::serve(listener, Access::default(), node.handle().clone(), Bounds::default()))
        .abort_handle()
}

/// Writes a line through a local port; what comes back.
async fn through(path: &PathBuf, line: &str) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let _hung_up = stream.write_all(format!("{line}\n").as_bytes()).await;
    let mut answer = [0; 3];
    match stream.read_exact(&mut answer).await {
        Ok(_) => String::from_utf8(answer.to_vec()).unwrap(),
        Err(_) => "hung up".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_reaches_the_resource_by_the_local_port_while_its_node_leads() {
    let mut beside = Beside::set(false).await;
    let port = beside.connect("port", beside.gate.key()).await;
    assert_eq!(through(&port, "one").await, "ok\n");
    let lease = beside.node.leadership().current().unwrap();
    assert_eq!(beside.gate.situation().term, lease.term().unwrap());
    beside.serving.abort();
    until("the end of the proof", || beside.why().contains("no newer one came")).await;
    assert_eq!(through(&port, "without proofs").await, "hung up");
    let listener = TcpListener::bind(beside.admin).await.unwrap();
    beside.serving = answer(listener, &beside.node);
    until("the gate to open again", || beside.gate.situation().closed.is_none()).await;
    assert_eq!(through(&port, "two").await, "ok\n");
    assert_eq!(beside.resource.text(), "one\ntwo\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_port_does_not_speak_to_a_gate_with_another_key() {
    let beside = Beside::set(false).await;
    let port = beside.connect("port", NodeId([9; 32])).await;
    assert_eq!(through(&port, "secret").await, "hung up");
    assert!(beside.gate.counters().handshakes_failed.get() > 0);
    assert_eq!(beside.resource.text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_hung_up_on_at_once_though_its_node_waits_for_the_next_leader() {
    let beside = Beside::set(false).await;
    let leader = r#"{"leader":null,"term":0,"lease_ms":0,"as_of":null,"self":false,"assurance":null,"proof":null,"diagnosis":[]}"#;
    let node = axum::Router::new()
        .route("/v1/leader", axum::routing::get(move || async move { leader }))
        .route("/v1/proof", axum::routing::get(async || std::future::pending::<&str>().await));
    let listener = http::bind(&Admin::Beside { port: 0 }).await.unwrap();
    let admin = listener.local_addr().unwrap();
    tokio::spawn(async move { http::serve_routes(listener, node, &Bounds::default()).await });
    let path = beside.cluster.directory().join("port");
    let local = Listener::bind(&Endpoint::Unix(path.clone()), Exposure::LoopbackOnly).await.unwrap();
    let config = ConnectConfig {
        gate: beside.gate.address().into(),
        gate_key: ExpectedKey::Exactly(beside.gate.key()),
        identity: TlsIdentity::of(&keys::load(&beside.cluster.state(0)).unwrap()),
        admin: (admin, None),
        wait: Duration::ZERO,
    };
    tokio::spawn(serve(config, local));
    let said = tokio::time::timeout(Duration::from_secs(5), through(&path, "early")).await;
    assert_eq!(said.expect("it does not wait for the node"), "hung up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_asks_nodes_hears_of_the_leader_and_says_when_none_answers() {
    let beside = Beside::set(true).await;
    let term = beside.node.leadership().current().unwrap().term().unwrap();
    until("what the node delivers", || beside.gate.situation().closed.is_none()).await;
    assert_eq!(beside.gate.situation().term, term, "though nobody has come yet");
    beside.serving.abort();
    until("the partition", || beside.gate.situation().closed.is_some()).await;
    let address = beside.admin.to_string();
    let admin = Admin::Beside { port: 0 };
    let listener = http::bind(&admin).await.unwrap();
    let probes = listener.local_addr().unwrap();
    let routes = beside.gate.routes(Default::default());
    tokio::spawn(async move { http::serve_routes(listener, routes, &Bounds::default()).await });
    let mut client = http::client::Client::new(probes, Duration::from_secs(30));
    let status: serde_json::Value = client.get_json("/status").await.unwrap();
    assert_eq!((&status["open"], &status["reason"]), (&false.into(), &"no_proof".into()), "{status}");
    let why = status["closed_because"].as_str().unwrap();
    assert!(why.contains("none of the 1 nodes asked answers"), "{why}");
    assert_eq!(status["nodes"][0]["address"], address);
    let ready = client.get("/readyz").await.unwrap();
    let told = String::from_utf8(ready.body.to_vec()).unwrap();
    assert!(ready.code == 503 && told.contains("none of the 1 nodes asked answers"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lying_node_delivers_opens_nothing() {
    let liar = axum::Router::new().fallback(async || "{}");
    let listener = http::bind(&Admin::Beside { port: 0 }).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { http::serve_routes(listener, liar, &Bounds::default()).await });
    let (home, resource) = (tempfile::tempdir().unwrap(), Resource::start());
    let mut config = config(home.path(), &resource);
    config.nodes = vec![address.to_string().parse().unwrap()];
    let gate = Gate::start(config).await.unwrap();
    until("some lies", || gate.counters().proofs_refused.get() >= 2).await;
    assert!(gate.situation().closed.is_some());
}
