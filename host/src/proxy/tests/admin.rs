//! The admin address of a proxy: probes and numbers.

use super::*;
use crate::http::guard::Hosts;
use crate::http::{self, Admin};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// The page that explains the numbers to operators.
const OPERATIONS: &str = include_str!("../../../../docs/OPERATIONS.md");

/// The admin address of a proxy, served as the command does.
struct Probes {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Probes {
    async fn of(proxy: &Proxy) -> Self {
        let listener = http::bind(&Admin::Beside { port: 0 }).await.unwrap();
        let (address, routes) = (listener.local_addr().unwrap(), proxy.routes(Hosts::default()));
        let bounds = http::Bounds::default();
        let serving = tokio::spawn(async move { http::serve_routes(listener, routes, &bounds).await });
        Probes { address, serving }
    }

    /// Status code, head and body.
    async fn get(&self, path: &str, host: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let (code, _, body) = self.get(path, "localhost").await;
        (code, serde_json::from_str(&body).unwrap())
    }

    async fn metrics(&self) -> String {
        let (code, head, body) = self.get("/metrics", "localhost").await;
        assert_eq!(code, 200);
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        body
    }

    async fn sample(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing: {text}")).parse().unwrap()
    }
}

#[tokio::test]
async fn readiness_follows_the_enclave_and_says_why_not() {
    let stopped = Enclave::start().await.stop().await;
    let mut config = config(PLAIN, &Enclave::start().await, &[]);
    config.enclave = stopped.endpoint();
    let proxy = Proxy::start(config).await.unwrap();
    let probes = Probes::of(&proxy).await;
    wait_until(&proxy, |state| matches!(state, EnclaveState::Down { .. })).await;
    let (code, why) = probes.json("/readyz").await;
    let why = why["error"].as_str().unwrap();
    assert!(code == 503 && why.contains("not ready: the enclave is away"), "{why}");
    assert!(why.contains("enclave.sock: connection refused"), "{why}");
    assert_eq!(probes.json("/healthz").await.0, 200, "the proxy itself is well");
    assert_eq!(probes.sample("nitro_elect_proxy_enclave_up").await, 0.0);

    let enclave = stopped.start().await;
    wait_until(&proxy, |state| matches!(state, EnclaveState::Up(_))).await;
    let (code, ready) = probes.json("/readyz").await;
    assert_eq!((code, &ready["ready"]), (200, &true.into()), "{ready}");
    assert_eq!(ready["enclave"], "02".repeat(32));
    assert_eq!(probes.sample("nitro_elect_proxy_enclave_up").await, 1.0);
    drop(enclave);
    wait_until(&proxy, |state| matches!(state, EnclaveState::Down { .. })).await;
    assert_eq!(probes.json("/readyz").await.0, 503);
}

#[tokio::test]
async fn an_enclave_that_accepts_and_says_nothing_is_not_ready_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let _silent = tokio::net::UnixListener::bind(directory.path().join("enclave")).unwrap();
    let mut config = config(PLAIN, &Enclave::start().await, &[]);
    config.enclave = format!("unix://{}/enclave", directory.path().display()).parse().unwrap();
    config.bounds.health_deadline = Duration::from_millis(50);
    config.bounds.answer_deadline = 9 * LATE;
    let proxy = Proxy::start(config).await.unwrap();
    let probes = Probes::of(&proxy).await;
    let (code, why) = probes.json("/readyz").await;
    assert!(code == 503 && why["error"].as_str().unwrap().starts_with("not ready: "), "{why}");
    wait_until(&proxy, |state| matches!(state, EnclaveState::Down { .. })).await;
    let why = probes.json("/readyz").await.1;
    assert!(why["error"].as_str().unwrap().contains("no frame began within 50ms"), "{why}");
}

#[tokio::test]
async fn what_happened_is_in_the_numbers() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(TLS, &enclave, &[ours()])).await;
    let probes = Probes::of(&proxy).await;
    let node = node(1, &proxy);
    ask(&node, &Request::Health).await;
    ask(&node, &Request::Attest { nonce: None }).await;
    ask(&node, &latest(electorate(2, &[1]).digest())).await;
    let samples = [
        ("requests_total", 3.0),
        ("answers_total{source=\"enclave\"}", 1.0),
        ("answers_total{source=\"cache\"}", 1.0),
        ("refusals_total{reason=\"not_served\"}", 1.0),
        ("open_connections", 1.0),
        ("admitted_connections", 1.0),
        ("answer_seconds_count", 1.0),
        ("turn_wait_seconds_count", 1.0),
        ("requests_at_enclave{turn=\"elections\"}", 0.0),
        ("enclave_document_cached", 1.0),
    ];
    for (name, value) in samples {
        assert_eq!(probes.sample(&format!("nitro_elect_proxy_{name}")).await, value, "{name}");
    }
    drop(node);
    counted(&proxy.counters().connections_closed, 1).await;
    assert_eq!(probes.sample("nitro_elect_proxy_open_connections").await, 0.0);
}

#[tokio::test]
async fn the_numbers_are_those_that_operations_md_explains() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(PLAIN, &enclave, &[])).await;
    let text = Probes::of(&proxy).await.metrics().await;
    let ours = |name: &str| name.starts_with("nitro_elect_proxy_") || name.starts_with("process_");
    let told: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let explained: BTreeSet<&str> = OPERATIONS
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .filter(|name| ours(name))
        .collect();
    assert_eq!(told, explained);
}

#[tokio::test]
async fn another_path_and_another_name_are_turned_away() {
    let enclave = Enclave::start().await;
    let proxy = proxy(config(PLAIN, &enclave, &[])).await;
    let probes = Probes::of(&proxy).await;
    let (code, fault) = probes.json("/v1/leader").await;
    assert_eq!((code, &fault["error"]), (404, &"there is no /v1/leader; see /readyz and /metrics".into()));
    assert_eq!(probes.get("/metrics", "evil.example").await.0, 421);
}
