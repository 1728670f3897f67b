//! The admin address of a leader under attack, while it holds and renews its lease.
//!
//! Nothing is sampled: the nodes count every lease lost and every moment without a leader, and at the end there must
//! have been none. Meanwhile a probe asks on fresh connections, and one of a few tries must be answered within [`BOUND`]:
//! a probe can be pushed out by chance, as anybody can. Attackers share two cores with four nodes.

use crate::operator::{Cluster, LATE, Led};
use nitro_elect::http::client::Client;
use nitro_elect::http::limits::{CONNECTIONS_MAX, WATCHERS_MAX};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long a probe may take, with the tries that were pushed out.
const BOUND: Duration = Duration::from_secs(5);
/// What an attack may cost the node, in KiB.
const MEMORY: u64 = 64 << 10;
/// How long each kind of attacker goes on: several leases, and longer than the deadline of a head.
const ATTACK: Duration = Duration::from_secs(6);

/// Long leases would hide a lease that is not renewed, so they are those of the default: a second.
struct Attacked {
    cluster: Cluster,
    led: Led,
    memory: u64,
    renewals: f64,
}

impl Attacked {
    async fn begin() -> Self {
        let (cluster, led) = Cluster::led(4).await;
        let renewals = cluster.metric(&led.leader, "nitro_elect_node_lease_renewals_total").await;
        let memory = memory_peak(cluster.operator.pid(&led.leader));
        Attacked { cluster, led, memory, renewals }
    }

    fn admin(&self) -> SocketAddr {
        self.cluster.admin(&self.led.leader)
    }

    /// Probes while the attackers are at it, then looks at what the nodes have counted.
    async fn withstands(mut self, attackers: JoinSet<()>) {
        let (mut probes, mut worst) = (0, Duration::ZERO);
        let end = Instant::now() + ATTACK;
        while Instant::now() < end {
            let begun = Instant::now();
            self.probe(begun).await;
            (probes, worst) = (probes + 1, worst.max(begun.elapsed()));
        }
        drop(attackers);
        let cost = memory_peak(self.cluster.operator.pid(&self.led.leader)) - self.memory;
        eprintln!("{probes} probes, the slowest {worst:?}; {cost} KiB");
        assert!(probes > 5 && cost < MEMORY, "{probes} probes, {cost} KiB");
        assert_eq!(self.cluster.agreement(self.led.term).await, self.led, "the same leader in the same term");
        self.held_throughout().await;
    }

    async fn probe(&self, begun: Instant) {
        while Client::new(self.admin(), BOUND).get("/healthz").await.is_err() {
            assert!(begun.elapsed() < BOUND, "no probe was answered within {BOUND:?}");
        }
    }

    async fn held_throughout(&self) {
        for name in self.cluster.names() {
            let gaps = self.cluster.metric(&name, "nitro_elect_node_leaderless_seconds_count").await;
            assert_eq!(gaps, 0.0, "{name} knew of no lease for a while");
        }
        let leader = &self.led.leader;
        for reason in ["ran_out", "stepped_down", "superseded"] {
            let lost = format!("nitro_elect_node_leases_lost_total{{reason=\"{reason}\"}}");
            assert_eq!(self.cluster.metric(leader, &lost).await, 0.0, "{reason}");
        }
        let renewals = self.cluster.metric(leader, "nitro_elect_node_lease_renewals_total").await;
        let least = ATTACK.as_secs_f64();
        assert!(
            renewals - self.renewals > least,
            "one a second at least: {} in {ATTACK:?}",
            renewals - self.renewals
        );
        let connections = self.cluster.metric(leader, "nitro_elect_node_http_connections_total").await;
        assert!(
            connections > 2.0 * CONNECTIONS_MAX as f64,
            "only {connections} connections: that was no attack"
        );
        let open = self.cluster.metric(leader, "nitro_elect_node_http_open_connections").await;
        assert!(open <= CONNECTIONS_MAX as f64 + 1.0, "{open} connections");
    }
}

/// The most memory that a node's process ever had, in KiB: it is a child of the one that was started.
fn memory_peak(supervisor: u32) -> u64 {
    let children = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap();
    let node = children.split_whitespace().next().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{node}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// So many attackers that do the same again and again until they are dropped.
fn again(attackers: &mut JoinSet<()>, number: usize, to: SocketAddr, attack: impl AsyncAttack) {
    for _ in 0..number {
        let attack = attack.clone();
        attackers.spawn(async move {
            loop {
                if let Ok(stream) = TcpStream::connect(to).await {
                    attack.clone().on(stream).await;
                }
                tokio::task::yield_now().await;
            }
        });
    }
}

/// What is done with one connection.
trait AsyncAttack: Clone + Send + 'static {
    fn on(self, stream: TcpStream) -> impl Future<Output = ()> + Send;
}

/// Says the beginning, then a byte now and then, and reads nothing.
#[derive(Clone)]
struct Slow(&'static str);

impl AsyncAttack for Slow {
    async fn on(self, mut stream: TcpStream) {
        let _ended = stream.write_all(self.0.as_bytes()).await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Asks the same over and over and reads what comes, as fast as it goes.
#[derive(Clone)]
struct Hasty(&'static str);

impl AsyncAttack for Hasty {
    async fn on(self, mut stream: TcpStream) {
        let mut chunk = [0; 16 << 10];
        while stream.write_all(self.0.as_bytes()).await.is_ok() {
            if !stream.read(&mut chunk).await.is_ok_and(|read| read > 0) {
                return;
            }
        }
    }
}

/// Asks over and over and reads nothing.
#[derive(Clone)]
struct Deaf(&'static str);

impl AsyncAttack for Deaf {
    async fn on(self, mut stream: TcpStream) {
        while stream.write_all(self.0.as_bytes()).await.is_ok() {}
    }
}

/// Closes its own side at once, and waits.
#[derive(Clone)]
struct HalfOpen;

impl AsyncAttack for HalfOpen {
    async fn on(self, mut stream: TcpStream) {
        let _ended = stream.write_all(b"GET /v1/watch HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        let _ended = stream.shutdown().await;
        let _ended = stream.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_and_deaf_clients_cost_no_lease() {
    let attacked = Attacked::begin().await;
    let (to, mut attackers) = (attacked.admin(), JoinSet::new());
    for slow in [
        "GET /v1/leader HTTP/1.1\r\nhost: localhost\r\nx-slow: ",
        "POST /v1/drain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000\r\n\r\n",
        "POST /v1/resign HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1000\r\n",
        "",
    ] {
        again(&mut attackers, CONNECTIONS_MAX / 2, to, Slow(slow));
    }
    again(&mut attackers, WATCHERS_MAX * 2, to, Slow("GET /v1/watch HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    again(&mut attackers, 8, to, Deaf("GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    again(&mut attackers, 8, to, HalfOpen);
    attacked.withstands(attackers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_connections_and_requests_cost_no_lease() {
    let attacked = Attacked::begin().await;
    let (to, mut attackers) = (attacked.admin(), JoinSet::new());
    for request in [
        "GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET /v1/proof HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "POST /v1/resign HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n",
        "GET /v1/leader HTTP/1.1\r\nhost: evil.example\r\n\r\n",
        "\u{16}\u{3}\u{1}",
    ] {
        again(&mut attackers, 2, to, Hasty(request));
    }
    again(
        &mut attackers,
        4,
        to,
        Hasty("GET /v1/leader HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
    );
    attacked.withstands(attackers).await;
}

/// The head of the answer to a request that is sent as far as the node takes it.
async fn answer_to(to: SocketAddr, request: &[u8]) -> String {
    let (mut read, mut write) = TcpStream::connect(to).await.unwrap().into_split();
    let request = request.to_owned();
    let sending = tokio::spawn(async move { write.write_all(&request).await.is_ok() });
    let mut answer = Vec::new();
    let _reset =
        tokio::time::timeout(LATE, read.read_to_end(&mut answer)).await.expect("the connection ends");
    sending.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_head_or_a_body_over_its_bound_is_refused_as_soon_as_it_is() {
    let (cluster, led) = Cluster::led(4).await;
    let to = cluster.admin(&led.leader);
    let before = memory_peak(cluster.operator.pid(&led.leader));
    let long = format!("GET /v1/leader HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(8 << 20));
    let many = format!("GET /v1/leader HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(100_000));
    for head in [long, many] {
        let answer = answer_to(to, head.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let file = cluster.operator.path(&format!("nitro-elect/run/admin-{}.token", to.port()));
    let token = std::fs::read_to_string(file).unwrap();
    let order = format!("POST /v1/resign HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n");
    let length = format!("{order}content-length: 1000000000\r\n\r\n{}", "x".repeat(1 << 20));
    let chunks = format!("{order}transfer-encoding: chunked\r\n\r\n800000\r\n{}", "x".repeat(8 << 20));
    for body in [length, chunks] {
        let answer = answer_to(to, body.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    let cost = memory_peak(cluster.operator.pid(&led.leader)) - before;
    assert!(cost < 16 << 10, "{cost} KiB");
    let still = cluster.leader_by(&led.leader).await.unwrap();
    assert!(still.this_node && still.term.0 == led.term, "{still:?}");
}
