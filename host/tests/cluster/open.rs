//! The two lines of the open cluster.

use crate::operator::{LATE, Operator, run, until};
use nitro_elect::http::answers::Leader;
use nitro_elect::http::client::Client;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// An enclave and two nodes that know each other's ports.
async fn two_lines() -> (Operator, [u16; 2], [SocketAddr; 2]) {
    let mut operator = Operator::new();
    let enclave = format!("tcp://127.0.0.1:{}", operator.ports.some(1).unwrap());
    let trust = operator.path("trust.json");
    operator.start("enclave", &["simulate-enclave", "--listen", &enclave, "--trust-out", &trust]);
    until("the start of the enclave", async || Path::new(&trust).exists().then_some(())).await;
    let (low, admin) = (operator.ports.some(2).unwrap(), operator.ports.some(2).unwrap());
    let admins = [admin, admin + 1].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    for (at, (port, peer)) in [(low, low + 1), (low + 1, low)].into_iter().enumerate() {
        let (port, peer, admin) = (port.to_string(), peer.to_string(), admins[at].to_string());
        let places = ["node", "-p", &port, "-n", &peer, "--admin", &admin];
        operator.start(&port, &[&places[..], &["--enclave", &enclave, "--trust", &trust]].concat());
    }
    (operator, [low, low + 1], admins)
}

async fn leader(admin: SocketAddr) -> Option<Leader> {
    Client::new(admin, LATE).get_json("/v1/leader").await.ok()
}

#[tokio::test]
async fn two_lines_elect_the_higher_address() {
    let (mut operator, ports, admins) = two_lines().await;
    let higher = format!("127.0.0.1:{}", ports[1]);
    for admin in admins {
        let answer =
            until("a leader", async || leader(admin).await.filter(|answer| answer.leader.is_some())).await;
        assert_eq!(answer.leader.unwrap().address, higher);
        assert_eq!(answer.assurance.unwrap().to_string(), "open");
    }
    operator.all_live();
    assert!(operator.log(&ports[0].to_string()).contains("OPEN mode"));
}

#[tokio::test]
async fn an_open_clusters_certificate_says_so() {
    let (operator, _, admins) = two_lines().await;
    let proof = until("a proof", async || {
        let answer = Client::new(admins[0], LATE).get("/v1/certificate").await.ok()?;
        (answer.code == 200).then_some(answer.body)
    });
    let (file, trust, home) =
        (operator.path("proof"), operator.path("trust.json"), operator.directory.path());
    std::fs::write(&file, proof.await).unwrap();
    let verify = ["verify", "--proof", &file, "--trust", &trust];
    assert_eq!(run(home, &verify).status.code(), Some(3));
    let output = run(home, &[&verify[..], &["--allow-open", "--allow-simulated"]].concat());
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("OPEN"));
}

#[tokio::test]
async fn a_node_of_an_open_cluster_does_not_lead_alone_unasked() {
    let (mut operator, ports, admins) = two_lines().await;
    until("a leader", async || leader(admins[0]).await.filter(|answer| answer.leader.is_some())).await;
    operator.kill(&ports[0].to_string());
    let left = until("the end of the lease", async || {
        leader(admins[1]).await.filter(|answer| answer.leader.is_none())
    });
    assert!(!left.await.this_node);
}
