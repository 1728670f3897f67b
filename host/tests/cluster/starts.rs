//! Starts that cannot work: each says what is wrong and what to do.

use crate::operator::{Cluster, Operator, refusal, run, until};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

fn says(text: &str, parts: &[&str]) {
    for part in ["error:", "help:"].iter().chain(parts) {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[tokio::test]
async fn a_node_says_what_keeps_it_from_starting() {
    let cluster = Cluster::new(4).await;
    let home = cluster.operator.directory.path();
    let (manifest, state) = (cluster.manifest(), cluster.operator.path("cluster/node-1"));
    let taken = TcpListener::bind(("127.0.0.1", cluster.port("node-1"))).unwrap();
    let node = ["node", "--manifest", &manifest, "--state", &state];
    says(&refusal(home, 1, &node), &["is in use"]);
    drop(taken);
    let foreign = cluster.operator.path("foreign");
    assert!(run(home, &["keygen", "--state", &foreign]).status.success());
    let foreign = ["node", "--manifest", &manifest, "--state", &foreign];
    says(&refusal(home, 1, &foreign), &["is no voter", "node-1, node-2"]);
    let nowhere = cluster.operator.path("nowhere");
    says(&refusal(home, 2, &["node", "--manifest", &manifest, "--state", &nowhere]), &["keygen"]);
    says(&refusal(home, 2, &["node", "--manifest", &nowhere, "--state", &state]), &[&nowhere]);
    let exposed = ["node", "--manifest", &manifest, "--state", &state, "--admin", "0.0.0.0:0"];
    says(&refusal(home, 1, &exposed), &["--danger-open"]);
    let admin = cluster.admin("node-1").to_string();
    let _taken = TcpListener::bind(&admin).unwrap();
    let busy = [&node[..], &["--admin", &admin]].concat();
    says(&refusal(home, 1, &busy), &[&admin, "is in use", "choose another port with --admin"]);
    let token = cluster.operator.path("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    says(&refusal(home, 2, &[&node[..], &["--token-file", &token]].concat()), &[&token, "chmod 600"]);
}

#[tokio::test]
async fn a_node_that_can_never_lead_is_not_started_with_what_only_a_leader_does() {
    let cluster = Cluster::made(4, &["--observers", "4"]).await;
    let home = cluster.operator.directory.path();
    let (manifest, state) = (cluster.manifest(), cluster.operator.path("observer"));
    assert!(run(home, &["keygen", "--state", &state]).status.success());
    let node = ["node", "--manifest", &manifest, "--state", &state];
    let (ran, work) = (cluster.operator.path("ran"), ["--", "touch", &cluster.operator.path("ran")]);
    for more in [&["--observe"][..], &[]] {
        let text = refusal(home, 2, &[&node[..], more, &work].concat());
        says(&text, &[&state, "the command would never run", "leave out the command", "--state"]);
        let text = refusal(home, 2, &[&node[..], more, &["--check", "true"]].concat());
        says(&text, &[&state, "--check would decide nothing", "leave out --check"]);
    }
    let once = [&node[..], &["--observe", "--resign-on-exit"], &work].concat();
    says(&refusal(home, 2, &once), &["the command would never run"]);
    let exec = [&["exec", "--manifest", &manifest, "--state", &state], &work[..]].concat();
    says(&refusal(home, 2, &exec), &["the command would never run"]);
    assert!(!std::path::Path::new(&ran).exists());
}

#[tokio::test]
async fn a_lost_disk_is_refused_until_somebody_takes_it_on_himself() {
    let mut cluster = Cluster::new(4).await;
    let (manifest, state) = (cluster.manifest(), cluster.operator.path("cluster/node-1"));
    std::fs::remove_file(cluster.operator.path("cluster/node-1/record")).unwrap();
    let node = ["node", "--manifest", &manifest, "--state", &state];
    says(&refusal(cluster.operator.directory.path(), 1, &node), &["lost", "--danger-forget-votes"]);
    for name in ["node-2", "node-3", "node-4"] {
        cluster.start_node(name);
    }
    cluster.agreement(1).await;
    let (enclave, admin) = (cluster.enclave.clone(), cluster.admin("node-1").to_string());
    let more = ["--danger-forget-votes", "--enclave", &enclave, "--admin", &admin];
    cluster.operator.start("node-1", &[&node[..], &more[..]].concat());
    cluster.agreement(1).await;
    assert!(cluster.operator.log("node-1").contains("counts as one of the f"));
    assert!(cluster.operator.terminate("node-1").await.success());
    cluster.start_node("node-1");
    cluster.agreement(1).await;
    let log = cluster.operator.log("node-1");
    assert_eq!(log.matches("counts as one of the f").count(), 2, "also at a start without the flag: {log}");
    assert!(!log.contains("nothing is forgotten"), "{log}");
}

#[tokio::test]
async fn the_flag_for_a_lost_disk_is_told_to_do_nothing_where_none_is_lost() {
    let mut cluster = Cluster::new(4).await;
    cluster.start_node_with("node-1", &["--danger-forget-votes"]);
    until("the word", async || {
        let log = cluster.operator.log("node-1");
        log.contains("nothing is forgotten").then(|| assert!(!log.contains("one of the f faulty"), "{log}"))
    })
    .await;
}

#[tokio::test]
async fn two_processes_with_one_state_are_refused() {
    let (cluster, _) = Cluster::led(4).await;
    let (manifest, state) = (cluster.manifest(), cluster.operator.path("cluster/node-1"));
    let text =
        refusal(cluster.operator.directory.path(), 1, &["node", "--manifest", &manifest, "--state", &state]);
    says(&text, &["in use by another process"]);
}

#[test]
fn an_open_node_without_a_trust_file_is_told_where_it_would_be() {
    let home = tempfile::tempdir().unwrap();
    says(
        &refusal(home.path(), 2, &["node", "-p", "5000", "-n", "5001"]),
        &["simulated/trust.json", "simulate-enclave"],
    );
}

#[test]
fn wrong_flags_are_named() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (&["node"][..], "--manifest"),
        (&["node", "-p", "0"], "port 0"),
        (&["node", "-p", "5000", "-n", "x"], "no port"),
        (&["node", "-p", "5000", "--enclave", "http://x:1"], "unix://"),
        (&["node", "--manifest", "x"], "--state"),
        (&["demo", "--nodes", "2"], "3..=13"),
    ] {
        let text = refusal(home.path(), 2, arguments);
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[tokio::test]
async fn a_taken_admin_port_is_replaced_by_a_free_one_that_is_printed() {
    let mut operator = Operator::new();
    let trust = operator.path("trust.json");
    let enclave = format!("tcp://127.0.0.1:{}", operator.ports.some(1).unwrap());
    operator.start("enclave", &["simulate-enclave", "--listen", &enclave, "--trust-out", &trust]);
    until("the trust file", async || std::path::Path::new(&trust).exists().then_some(())).await;
    let port = operator.ports.some(1).unwrap();
    let beside = port + 10_000;
    let _taken = TcpListener::bind(("127.0.0.1", beside));
    let port = port.to_string();
    operator.start("node", &["node", "-p", &port, "--enclave", &enclave, "--trust", &trust]);
    let line = until("the line that names the admin address", async || {
        let log = operator.log("node");
        log.lines().find(|line| line.contains("http://127.0.0.1:")).map(str::to_owned)
    });
    let line = line.await;
    assert!(!line.ends_with(&format!("http://127.0.0.1:{beside}/")), "{line}");
}
