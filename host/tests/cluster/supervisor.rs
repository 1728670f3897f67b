//! What becomes of a cluster when a node's process, or its supervisor, is killed, stopped or told to end.

use crate::operator::{Cluster, Led, children, is_running, nitro_elect, signal, until};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Voters are bound for two thirds of this at least: no test waits that long for what a will brings about.
const LONG_LEASE: Duration = Duration::from_secs(30);

/// Four nodes, whose leader's lease outlasts every test.
async fn long_led() -> (Cluster, Led) {
    let mut cluster = Cluster::made(4, &["--lease", "30s"]).await;
    let led = cluster.start_all().await;
    (cluster, led)
}

#[tokio::test]
async fn a_node_that_is_killed_has_its_will_sent_and_the_next_leader_does_not_wait_for_the_lease() {
    let (mut cluster, first) = long_led().await;
    let killed = Instant::now();
    let status = cluster.operator.kill_node(&first.leader).await;
    assert_eq!(status.code(), Some(137), "{status}");
    let second = cluster.agreement(first.term + 1).await;
    assert!(killed.elapsed() < LONG_LEASE / 3, "{:?}", killed.elapsed());
    assert_ne!(second.leader, first.leader);
    let log = cluster.operator.log(&first.leader);
    assert!(log.contains("was ended by signal 9; its last will reached 3 of 3 voters"), "{log}");

    cluster.start_node(&first.leader);
    let third = cluster.agreement(second.term).await;
    assert_eq!(third, second, "the next life of the one that died is a voter like any other");
}

/// Forks away into a session of its own, whose number it leaves behind, and heeds no polite signal.
const STRAY: &str = "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ >stray.$NITRO_ELECT_TERM; while :; do sleep 0.1; done' & \
                     while :; do sleep 0.1; done";

#[tokio::test]
async fn what_the_node_left_behind_is_gone_before_its_will_is_sent() {
    let mut cluster = Cluster::made(4, &["--lease", "30s"]).await;
    let command = format!("cd {}; {STRAY}", cluster.operator.directory.path().display());
    for name in cluster.names() {
        cluster.start_node_with(&name, &["--", "sh", "-c", &command]);
    }
    let first = cluster.agreement(1).await;
    let file = cluster.operator.path(&format!("stray.{}", first.term));
    let stray =
        until("the stray process", async || std::fs::read_to_string(&file).ok()?.trim().parse().ok()).await;
    assert!(is_running(stray));
    let killed = Instant::now();
    let status = cluster.operator.kill_node(&first.leader).await;
    assert!(!is_running(stray), "it is gone when the supervisor is");
    let log = cluster.operator.log(&first.leader);
    assert!(status.code() == Some(137) && log.contains("its last will reached 3 of 3 voters"), "{log}");
    cluster.agreement(first.term + 1).await;
    assert!(killed.elapsed() < LONG_LEASE / 3, "{:?}", killed.elapsed());
}

#[tokio::test]
async fn a_supervisor_that_is_killed_takes_its_node_along_and_the_lease_decides() {
    let (mut cluster, first) = Cluster::led(4).await;
    let node = cluster.operator.node(&first.leader);
    cluster.operator.kill(&first.leader);
    assert!(!is_running(node));
    let second = cluster.agreement(first.term + 1).await;
    assert_ne!(second.leader, first.leader);
    assert!(!cluster.operator.log(&first.leader).contains("will"), "nobody is left to send it");
}

#[tokio::test]
async fn a_node_that_is_stopped_is_alive_and_its_will_is_not_sent() {
    let (mut cluster, first) = Cluster::led(4).await;
    let node = cluster.operator.node(&first.leader);
    let other = cluster.names().into_iter().find(|name| *name != first.leader).unwrap();
    signal(node, libc::SIGSTOP);
    let stopped = Instant::now();
    let next =
        async || cluster.leader_by(&other).await.filter(|led| led.term.0 > first.term && led.lease_ms > 0);
    until("the next leader", next).await;
    // It renewed every third of a second, so its voters were bound for two thirds of one.
    assert!(stopped.elapsed() > Duration::from_millis(300), "the lease decides: {:?}", stopped.elapsed());
    signal(node, libc::SIGCONT);
    let second = cluster.agreement(first.term + 1).await;
    assert_ne!(second.leader, first.leader, "it follows when it goes on");
    assert!(!cluster.operator.log(&first.leader).contains("will"));
    // Told to end, it goes on and does so in order.
    signal(node, libc::SIGSTOP);
    assert_eq!(cluster.operator.terminate(&first.leader).await.code(), Some(0));
}

#[tokio::test]
async fn a_signal_to_the_supervisor_ends_the_node_in_order_and_needs_no_will() {
    let (mut cluster, first) = long_led().await;
    let asked = Instant::now();
    let status = cluster.operator.terminate(&first.leader).await;
    assert_eq!(status.code(), Some(0), "{status}");
    let second = cluster.agreement(first.term + 1).await;
    assert!(asked.elapsed() < LONG_LEASE / 3 && second.leader != first.leader);
    let log = cluster.operator.log(&first.leader);
    assert!(log.contains("stopped") && !log.contains("will"), "{log}");
}

/// A single node without an enclave: told to end it has nobody to wait for, unless it leads.
async fn lone() -> Cluster {
    let mut cluster = Cluster::new(4).await;
    cluster.start_node("node-1");
    until("the start of node-1", async || cluster.overview("node-1").await).await;
    cluster
}

#[tokio::test]
async fn a_signal_that_reaches_both_processes_counts_once() {
    let (cluster, first) = long_led().await;
    let mut cluster = cluster;
    let (supervisor, node) = (cluster.operator.pid(&first.leader), cluster.operator.node(&first.leader));
    signal(node, libc::SIGINT);
    signal(supervisor, libc::SIGINT);
    let status = cluster.operator.end_of(&first.leader).await;
    assert_eq!(status.code(), Some(0), "as by Ctrl-C, once: in order");
    assert!(cluster.operator.log(&first.leader).contains("stopped"));
}

#[tokio::test]
async fn a_second_signal_ends_the_node_at_once_and_its_will_is_sent() {
    let (mut cluster, first) = long_led().await;
    // Alone, the leader waits two steps, six seconds, for its successor.
    for name in cluster.names().into_iter().filter(|name| *name != first.leader) {
        cluster.operator.kill(&name);
    }
    let supervisor = cluster.operator.pid(&first.leader);
    signal(supervisor, libc::SIGTERM);
    let log = async || cluster.operator.log(&first.leader).contains("once more ends at once").then_some(());
    until("the first signal", log).await;
    let again = Instant::now();
    signal(supervisor, libc::SIGTERM);
    let status = cluster.operator.end_of(&first.leader).await;
    assert_eq!(status.code(), Some(143), "{status}");
    assert!(again.elapsed() < Duration::from_secs(3), "{:?}", again.elapsed());
    let log = cluster.operator.log(&first.leader);
    assert!(log.contains("ended with exit code 143; its last will reached 0 of 3 voters"), "{log}");
}

#[tokio::test]
async fn a_refused_start_passes_through_with_its_one_message() {
    let cluster = Cluster::new(4).await;
    let nowhere = cluster.operator.path("nowhere");
    let arguments = ["node", "--manifest", &cluster.manifest(), "--state", &nowhere];
    let output = nitro_elect(cluster.operator.directory.path(), &arguments).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.matches("error:").count(), 1, "{text}");
    assert!(!text.contains("will"), "{text}");
}

#[tokio::test]
async fn a_node_has_a_name_a_parent_and_no_way_to_outlive_it() {
    let cluster = lone().await;
    let (supervisor, node) = (cluster.operator.pid("node-1"), cluster.operator.node("node-1"));
    let read = |process: u32, file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap();
    assert_eq!(children(supervisor), [node]);
    assert_eq!(read(node, "comm").trim(), "nitro-elect");
    assert_eq!(read(node, "cmdline"), read(supervisor, "cmdline"));
    assert!(!read(node, "environ").is_empty());
    assert_eq!(
        read(supervisor, "status").lines().find(|line| line.starts_with("Threads:")),
        Some("Threads:\t1")
    );
    let group = |process: u32| {
        read(process, "stat").rsplit(')').next().unwrap().split(' ').nth(3).unwrap().to_owned()
    };
    assert_eq!(group(supervisor), group(node), "it stays in the process group");
}

/// Takes root's right to debug everybody from whatever this thread starts from here on; others have not got it.
fn renounce_debugging() {
    const CAP_SYS_PTRACE: libc::c_ulong = 19;
    // SAFETY: prctl with PR_CAPBSET_DROP takes a number; it concerns this thread and the programs that it starts.
    unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_PTRACE) };
}

/// Whether another process of this user could debug it: what `exe` is a link to is told to such alone (proc(5)).
fn could_be_debugged(process: u32) -> bool {
    let mut look = std::process::Command::new("readlink");
    look.arg(format!("/proc/{process}/exe")).stdout(Stdio::null()).status().unwrap().success()
}

#[tokio::test]
async fn the_memory_of_those_who_hold_the_key_is_kept_from_other_processes_and_the_commands_is_not() {
    renounce_debugging();
    let mut cluster = Cluster::made(1, &[]).await;
    let file = cluster.operator.path("command");
    let command = format!("echo $$ >{file}.new; mv {file}.new {file}; exec sleep 600");
    cluster.start_node_with("node-1", &["--", "sh", "-c", &command]);
    let number = async || std::fs::read_to_string(&file).ok()?.trim().parse().ok();
    let command = until("the command", number).await;
    let (supervisor, node) = (cluster.operator.pid("node-1"), cluster.operator.node("node-1"));
    assert!(!could_be_debugged(supervisor) && !could_be_debugged(node));
    assert!(could_be_debugged(command), "what it runs is its user's to debug");
}

#[tokio::test]
async fn a_variable_left_over_from_elsewhere_makes_no_node() {
    let home = tempfile::tempdir().unwrap();
    for mark in ["3,1", "not a mark"] {
        let mut command = nitro_elect(home.path(), &["node", "--manifest", "nowhere", "--state", "nowhere"]);
        let status = command.env("NITRO_ELECT_SUPERVISOR", mark).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{mark}: started by a user, it refuses what is wrong");
    }
}
