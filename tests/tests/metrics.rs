//! What `/metrics` answers, judged by Prometheus' own checker.
#![allow(clippy::unwrap_used)]

use nitro_elect::http::guard::Hosts;
use nitro_elect::http::{self, Admin, Bounds};
use nitro_elect::proxy::{Proxy, ProxyBounds, ProxyConfig};
use nitro_elect::transport::listen::Exposure;
use nitro_elect_tests::skip::skip;
use std::io::{ErrorKind, Write};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// What promtool says of these metrics; nothing where it is not installed.
fn promtool(metrics: &[u8]) -> Option<Output> {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skip("promtool", "make deps");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    child.stdin.take().unwrap().write_all(metrics).unwrap();
    Some(child.wait_with_output().unwrap())
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
    let mut client = http::client::Client::new(address, Duration::from_secs(30));
    let answer = client.get("/metrics").await.unwrap();
    serving.abort();
    assert_eq!(answer.code.as_u16(), 200);
    answer.body.to_vec()
}

#[tokio::test]
async fn promtool_finds_no_fault_in_the_metrics_of_a_proxy() {
    let metrics = of_a_proxy().await;
    let Some(judged) = promtool(&metrics) else { return };
    let said = [judged.stdout, judged.stderr].concat();
    assert!(judged.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn promtool_would_find_a_fault() {
    let Some(judged) = promtool(b"# TYPE requests counter\nrequests 1\n") else { return };
    assert!(!judged.status.success(), "a counter without help and without _total passed");
}
