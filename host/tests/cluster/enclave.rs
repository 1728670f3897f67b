//! Enclaves that are away.

use crate::operator::{Cluster, until};
use std::time::{Duration, Instant};

/// The lease of clusters that `init` makes.
const LEASE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_dead_enclave_ends_no_lease_and_a_restarted_one_counts_again() {
    let (mut cluster, first) = Cluster::led(4).await;
    cluster.operator.kill("enclave");
    let killed = Instant::now();
    until("three leases without an enclave", async || {
        let led = cluster.agreement(first.term).await;
        assert_eq!(led, first, "renewal needs no enclave");
        (killed.elapsed() > 3 * LEASE).then_some(())
    })
    .await;
    cluster.start_enclave().await;
    cluster.operator.kill(&first.leader);
    let second = cluster.agreement(first.term + 1).await;
    assert_ne!(second.leader, first.leader);
}

#[tokio::test]
async fn nodes_that_start_before_their_enclave_say_so_and_go_on() {
    let mut cluster = Cluster::new(4).await;
    cluster.operator.kill("enclave");
    for name in cluster.names() {
        cluster.start_node(&name);
    }
    let why = until("a reason", async || {
        let overview = cluster.overview("node-1").await?;
        overview.no_leader_because.filter(|why| why.contains("enclave"))
    });
    let why = why.await;
    assert!(why.contains("no enclave is reachable"), "{why}");
    let log = cluster.operator.log("node-1");
    assert!(log.contains("does not answer") && log.contains(&cluster.enclave), "{log}");
    cluster.start_enclave().await;
    cluster.agreement(1).await;
}

#[tokio::test]
async fn an_enclave_under_another_root_is_not_accepted() {
    let mut cluster = Cluster::new(4).await;
    cluster.operator.kill("enclave");
    std::fs::remove_file(cluster.operator.path("pki")).unwrap();
    cluster.start_enclave().await;
    for name in cluster.names() {
        cluster.start_node(&name);
    }
    let log = until("the refusal", async || {
        cluster.operator.all_live();
        let log = cluster.operator.log("node-2");
        log.contains("is not accepted").then_some(log)
    });
    let log = log.await;
    assert!(log.contains("root"), "{log}");
    let answer = cluster.leader_by("node-2").await.unwrap();
    assert_eq!((answer.leader, answer.term.0), (None, 0));
}
