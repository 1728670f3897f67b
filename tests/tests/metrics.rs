//! What `/metrics` answers, and the alert rules, judged by Prometheus' own checker.
#![allow(clippy::unwrap_used)]

use nitro_elect::change_file::Shown;
use nitro_elect::clock;
use nitro_elect::core::config::{FANOUT_DEFAULT, Membership, Observers};
use nitro_elect::demo::ports::Ports;
use nitro_elect::http::guard::{Access, Hosts};
use nitro_elect::http::{self, Admin, Bounds};
use nitro_elect::node::{Node, NodeConfig, Reach};
use nitro_elect::proxy::{Proxy, ProxyBounds, ProxyConfig};
use nitro_elect::simulated::SimulatedPki;
use nitro_elect::simulated::enclave::SimulatedEnclave;
use nitro_elect::storage::give_birth;
use nitro_elect::transport::listen::{Exposure, Listener};
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::ids::ClusterId;
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_tests::skip::skip;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Where the alert rules are.
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus");
const LATE: Duration = Duration::from_secs(30);

/// What promtool says of this; nothing where it is not installed.
fn promtool(arguments: &[&str], input: &[u8]) -> Option<Output> {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(RULES);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skip("promtool", "make deps");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    Some(child.wait_with_output().unwrap())
}

/// Fails if promtool has anything to say of these metrics.
fn no_fault_in(metrics: &[u8]) {
    let Some(judged) = promtool(&["check", "metrics"], metrics) else { return };
    let said = [judged.stdout, judged.stderr].concat();
    assert!(judged.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

async fn scraped(address: SocketAddr) -> Vec<u8> {
    let answer = http::client::Client::new(address, LATE).get("/metrics").await.unwrap();
    assert_eq!(answer.code.as_u16(), 200);
    answer.body.to_vec()
}

/// The metrics of a proxy before an enclave that is not there.
async fn of_a_proxy() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let config = ProxyConfig {
        listen: "tcp://127.0.0.1:0".parse().unwrap(),
        enclave: format!("unix://{}/enclave", directory.path().display()).parse().unwrap(),
        electorates: Vec::new(),
        exposure: Exposure::LoopbackOnly,
        bounds: ProxyBounds::default(),
    };
    let proxy = Proxy::start(config).await.unwrap();
    let listener = http::bind(&Admin::Beside { port: 0 }).await.unwrap();
    let (address, routes) = (listener.local_addr().unwrap(), proxy.routes(Hosts::default()));
    let serving = tokio::spawn(async move { http::serve_routes(listener, routes, &Bounds::default()).await });
    let metrics = scraped(address).await;
    serving.abort();
    metrics
}

/// A cluster of one, with a simulated enclave at this place.
fn alone(state: &Path, port: u16, enclave: &SimulatedEnclave, place: &str) -> NodeConfig {
    let key = NodeKey::from_seed([1; 32]);
    give_birth(state, &key).unwrap();
    let address = format!("127.0.0.1:{port}");
    let electorate = Electorate {
        version: VERSION,
        cluster: ClusterId([9; 16]),
        name: "te\"st".into(),
        epoch: 1,
        previous: None,
        f: 0,
        policy: Policy::of(Rule::Priority),
        lease_ms: 1000,
        trust: enclave.trust().clone(),
        voters: vec![Voter { key: key.id(), name: "node-1".into(), address: address.clone(), weight: 1 }],
    };
    let observers = Observers::Off;
    NodeConfig {
        name: "node-1".into(),
        reach: Reach { bind: address.parse().unwrap(), address, peers: vec![] },
        membership: Membership::Manifest { electorate: Box::new(electorate), observers },
        key,
        state: state.into(),
        danger_forget_votes: false,
        enclaves: vec![place.parse().unwrap()],
        fanout: FANOUT_DEFAULT,
        shown: Shown::default(),
        supervisor: None,
    }
}

/// The metrics of a node that leads, by a certificate of a simulated enclave.
async fn of_a_leader() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let place = format!("unix://{}/enclave", directory.path().display());
    let enclave = SimulatedEnclave::boot(SimulatedPki::generate().unwrap(), clock::wall).unwrap();
    let mut ports = Ports::find().unwrap();
    let config = alone(&directory.path().join("state"), ports.some(1).unwrap(), &enclave, &place);
    let listener = Listener::bind(&place.parse().unwrap(), Exposure::LoopbackOnly).await.unwrap();
    let enclave = tokio::spawn(async move { enclave.serve(listener).await });
    let node = Node::start(config).await.unwrap();
    tokio::time::timeout(LATE, node.leadership().gained()).await.unwrap().unwrap();
    let listener = http::bind(&Admin::Beside { port: 0 }).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving =
        tokio::spawn(http::serve(listener, Access::default(), node.handle().clone(), Bounds::default()));
    let metrics = scraped(address).await;
    serving.abort();
    enclave.abort();
    metrics
}

#[tokio::test]
async fn promtool_finds_no_fault_in_the_metrics_of_a_proxy() {
    no_fault_in(&of_a_proxy().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_no_fault_in_the_metrics_of_a_leader() {
    let metrics = of_a_leader().await;
    let text = String::from_utf8(metrics.clone()).unwrap();
    for sample in [
        "is_leader 1",
        "ready 1",
        "certificate_assurance{assurance=\"simulated\"} 1",
        "enclaves{state=\"accepted\"} 1",
        "elections_total{outcome=\"certified\"} 1",
        "election_seconds_count 1",
        "certificates_verified_total{reason=\"policy\"} 1",
    ] {
        assert!(text.contains(&format!("\nnitro_elect_node_{sample}\n")), "{sample} is missing in:\n{text}");
    }
    no_fault_in(&metrics);
}

#[test]
fn promtool_would_find_a_fault() {
    let Some(judged) = promtool(&["check", "metrics"], b"# TYPE requests counter\nrequests 1\n") else {
        return;
    };
    assert!(!judged.status.success(), "a counter without help and without _total passed");
}

#[test]
fn promtool_finds_no_fault_in_the_alert_rules_and_each_fires_when_it_should() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let Some(judged) = promtool(&arguments, b"") else { return };
        let said = [judged.stdout, judged.stderr].concat();
        assert!(judged.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    }
}
