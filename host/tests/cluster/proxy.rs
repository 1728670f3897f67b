//! The proxy as an operator runs it: this program before a simulated enclave.

use crate::operator::{Cluster, LATE, Operator, signal, until};
use nitro_elect::enclave_client::{EnclaveCallError, EnclaveClient};
use nitro_elect::http::client::Client;
use nitro_elect::keys;
use nitro_elect::manifest::Manifest;
use nitro_elect::transport::endpoint::Endpoint;
use nitro_elect::transport::tls::TlsIdentity;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Request, Response};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};

/// A cluster's enclave and a proxy before it; its nodes are the test's to play.
pub struct Fronted {
    pub cluster: Cluster,
    pub listen: Endpoint,
    /// Where the enclave behind it listens.
    behind: String,
    admin: SocketAddr,
}

impl Fronted {
    /// A proxy on this kind of port, with these flags more, that has its enclave.
    pub async fn new(scheme: &str, more: &[&str]) -> Self {
        let cluster = Cluster::new(4).await;
        let enclave = cluster.enclave.clone();
        Self::before(cluster, scheme, &enclave, more).await
    }

    async fn before(mut cluster: Cluster, scheme: &str, enclave: &str, more: &[&str]) -> Self {
        let ports = cluster.operator.ports.some(2).unwrap();
        let listen = format!("{scheme}://127.0.0.1:{ports}");
        let admin = SocketAddr::from(([127, 0, 0, 1], ports + 1));
        let manifest = cluster.manifest();
        let at = admin.to_string();
        let arguments = ["proxy", "--listen", &listen, "--enclave", enclave, "--admin", &at];
        let manifest = if scheme == "tls" { vec!["--manifest", &manifest] } else { vec![] };
        cluster.operator.start("proxy", &[&arguments[..], &manifest, more].concat());
        let mut fronted = Fronted { cluster, listen: listen.parse().unwrap(), behind: enclave.into(), admin };
        fronted.ready().await;
        fronted
    }

    /// Waits until the proxy says that it is ready.
    pub async fn ready(&mut self) {
        until("readiness", async || {
            self.cluster.operator.all_live();
            (self.probe("/readyz").await?.0 == 200).then_some(())
        })
        .await;
    }

    /// Status code and body of a path of the admin address.
    async fn probe(&self, path: &str) -> Option<(u16, String)> {
        let answer = Client::new(self.admin, LATE).get(path).await.ok()?;
        Some((answer.code.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap()))
    }

    /// A client with the key of a node, and connections of its own.
    pub fn client(&self, node: &str) -> EnclaveClient {
        EnclaveClient::new(self.listen.clone(), Some(self.identity(node)))
    }

    pub fn identity(&self, node: &str) -> TlsIdentity {
        let state = self.cluster.operator.path(&format!("cluster/{node}"));
        TlsIdentity::of(&keys::load(Path::new(&state)).unwrap())
    }

    /// The question after the cluster's latest certificate, of which there is none.
    pub fn latest(&self) -> Request {
        let manifest = Manifest::load(Path::new(&self.cluster.manifest())).unwrap();
        Request::Latest { electorate: manifest.electorate.digest() }
    }

    /// What the proxy's memory was at most, in KiB.
    pub fn memory_peak(&self) -> u64 {
        let pid = self.cluster.operator.pid("proxy");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse().unwrap()
    }

    /// A number of its metrics.
    pub async fn metric(&self, name: &str) -> f64 {
        let (code, text) = self.probe("/metrics").await.expect("the admin address answers");
        assert_eq!(code, 200);
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing: {text}")).parse().unwrap()
    }
}

#[tokio::test]
async fn a_proxy_finds_a_restarted_enclave_and_says_meanwhile_that_it_is_away() {
    let mut fronted = Fronted::new("tls", &[]).await;
    let client = fronted.client("node-1");
    let Response::Health(first) = client.ask(&Request::Health, LATE).await.unwrap() else { panic!() };

    fronted.cluster.operator.kill("enclave");
    let why = until("the loss", async || {
        fronted.probe("/readyz").await.filter(|(code, _)| *code == 503).map(|(_, body)| body)
    });
    let why: Value = serde_json::from_str(&why.await).unwrap();
    assert!(why["error"].as_str().unwrap().starts_with("not ready: the enclave is away: "), "{why}");
    let away = client.ask(&Request::Health, LATE).await.unwrap();
    assert_eq!(away, Response::Refused(EnclaveRefusal::Unreachable));
    assert_eq!(fronted.probe("/healthz").await.unwrap().0, 200);

    fronted.cluster.start_enclave().await;
    let restarted = Instant::now();
    fronted.ready().await;
    assert!(restarted.elapsed() < Duration::from_secs(5), "{:?}", restarted.elapsed());
    let Response::Health(second) = client.ask(&Request::Health, LATE).await.unwrap() else { panic!() };
    assert_ne!(first.enclave, second.enclave);
    assert_eq!(fronted.metric("nitro_elect_proxy_enclave_losses_total").await, 1.0);
}

/// Plays the monitor of a virtual machine whose guest is the enclave at `to`: the first connections find no guest.
async fn monitor(listener: UnixListener, to: SocketAddr, not_ready: usize) {
    for number in 0.. {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; b"CONNECT 5005\n".len()];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"CONNECT 5005\n");
        if number < not_ready {
            continue; // the end of the connection is all that says so
        }
        stream.write_all(b"OK 1073741824\n").await.unwrap();
        let mut guest = TcpStream::connect(to).await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut guest).await });
    }
}

#[tokio::test]
async fn an_enclave_behind_a_monitor_that_is_not_ready_is_tried_until_it_is() {
    let cluster = Cluster::new(4).await;
    let path = cluster.operator.path("vm.vsock");
    let listener = UnixListener::bind(&path).unwrap();
    let enclave = cluster.enclave.trim_start_matches("tcp://").parse().unwrap();
    let monitoring = tokio::spawn(monitor(listener, enclave, 3));
    let endpoint = format!("unix://{path}?port=5005");
    let fronted = Fronted::before(cluster, "tls", &endpoint, &[]).await;
    let none = fronted.client("node-1").ask(&fronted.latest(), LATE).await.unwrap();
    assert_eq!(none, Response::Refused(EnclaveRefusal::NothingCertified));
    let log = fronted.cluster.operator.log("proxy");
    assert!(log.contains("the guest's port 5005 is not ready"), "{log}");
    monitoring.abort();
}

#[tokio::test]
async fn a_cluster_elects_through_a_proxy_that_admits_its_keys() {
    let mut fronted = Fronted::new("tls", &[]).await;
    fronted.cluster.enclave = fronted.listen.to_string();
    let led = fronted.cluster.start_all().await;
    fronted.cluster.operator.kill(&led.leader);
    let next = fronted.cluster.agreement(led.term + 1).await;
    assert_ne!(next.leader, led.leader);
    assert!(fronted.metric("nitro_elect_proxy_answers_total{source=\"enclave\"}").await >= 2.0);
    assert_eq!(
        fronted.metric("nitro_elect_proxy_connections_ended_total{reason=\"not_admitted\"}").await,
        0.0
    );
}

#[tokio::test]
async fn a_proxy_without_its_enclave_is_told_as_an_enclave_that_is_away_until_it_is_back() {
    let mut fronted = Fronted::new("tls", &[]).await;
    fronted.cluster.enclave = fronted.listen.to_string();
    let led = fronted.cluster.start_all().await;
    fronted.cluster.operator.kill("enclave");
    fronted.cluster.operator.kill(&led.leader);
    let left: Vec<String> = fronted.cluster.names().into_iter().filter(|name| *name != led.leader).collect();
    let mut told = String::new();
    until("the reason", async || {
        told = fronted.cluster.answer(&left[0], "/v1/leader").await?;
        told.contains("the proxy cannot reach its enclave").then_some(())
    })
    .await;
    assert!(told.contains("enclave_unreachable") && !told.contains("enclave_refused"), "{told}");

    fronted.cluster.enclave = fronted.behind.clone();
    fronted.cluster.start_enclave().await;
    fronted.cluster.agreement(led.term + 1).await;
    for name in &left {
        until("an enclave that is at hand again", async || {
            let overview = fronted.cluster.overview(name).await?;
            overview.enclaves[0].error.is_none().then_some(())
        })
        .await;
        let elections = fronted.cluster.answer(name, "/v1/elections").await.unwrap();
        assert!(
            elections.contains(&format!("leads term {}", led.term)),
            "the outage is no flood: {elections}"
        );
    }
}

#[tokio::test]
async fn a_proxy_ends_with_0_when_told_to_and_its_port_is_free() {
    let mut fronted = Fronted::new("tcp", &[]).await;
    let idle = fronted.client("node-1");
    idle.ask(&Request::Health, LATE).await.unwrap();
    let status = fronted.cluster.operator.terminate("proxy").await;
    assert_eq!(status.code(), Some(0));
    let refused = EnclaveClient::new(fronted.listen.clone(), None).ask(&Request::Health, LATE).await;
    assert!(matches!(refused, Err(EnclaveCallError::Connect(_))), "{refused:?}");
    assert!(fronted.cluster.operator.log("proxy").contains("stopped"));
}

#[tokio::test]
async fn a_second_signal_ends_a_proxy_that_still_owes_an_answer() {
    let mut operator = Operator::new();
    let silent = UnixListener::bind(operator.path("enclave")).unwrap();
    let port = operator.ports.some(2).unwrap();
    let (listen, admin) = (format!("tcp://127.0.0.1:{port}"), format!("127.0.0.1:{}", port + 1));
    let enclave = format!("unix://{}", operator.path("enclave"));
    let arguments = ["proxy", "--listen", &listen, "--enclave", &enclave, "--admin", &admin];
    operator.start("proxy", &arguments);
    let client = EnclaveClient::new(listen.parse().unwrap(), None);
    until("the port", async || operator.log("proxy").contains("listening at").then_some(())).await;
    let asking = tokio::spawn(async move { client.ask(&Request::Health, LATE).await });
    // The watching connection, and the one for the question.
    let _held = (silent.accept().await.unwrap(), silent.accept().await.unwrap());
    signal(operator.pid("proxy"), libc::SIGINT);
    until("the first signal", async || {
        operator.log("proxy").contains("once more ends at once").then_some(())
    })
    .await;
    assert_eq!(operator.terminate("proxy").await.code(), Some(128 + 15));
    assert!(asking.await.unwrap().is_err());
}
