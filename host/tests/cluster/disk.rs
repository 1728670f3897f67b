//! Disks that fill up or cannot be written, and nodes that are told to end with nobody to hand over to.
//!
//! A full disk is a limit on the size of files, set from outside on a node that runs (RLIMIT_FSIZE, with its signal
//! ignored): each write to a file then fails, and the node's log with it, while sockets work.

use crate::operator::{Cluster, nitro_elect, refusal, signal, until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Has the processes that this one starts survive a write beyond the limit.
fn ignore_the_limits_signal() {
    // SAFETY: to ignore a signal changes nothing else of this process, which never has the limit itself.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Fills the disk of a node, or frees it.
fn fill_the_disk(process: u32, is_full: bool) {
    let most = if is_full { 0 } else { libc::RLIM_INFINITY };
    let limit = libc::rlimit { rlim_cur: most, rlim_max: libc::RLIM_INFINITY };
    let process = libc::pid_t::try_from(process).unwrap();
    // SAFETY: the pointers are to a live limit and to nothing; the process is one that the test started.
    let set = unsafe { libc::prlimit(process, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

impl Cluster {
    /// The leader hands over; who signed for the next one.
    async fn hand_over(&mut self) -> Vec<String> {
        let led = self.agreement(1).await;
        until("a hand-over", async || {
            let admin = self.admin(&led.leader).to_string();
            let mut resign = nitro_elect(self.operator.directory.path(), &["resign", "--admin", &admin]);
            resign.output().unwrap().status.success().then_some(())
        })
        .await;
        let next = self.agreement(led.term + 1).await;
        let admin = self.admin(&next.leader).to_string();
        let log = nitro_elect(self.operator.directory.path(), &["log", "--json", "--admin", &admin])
            .output()
            .unwrap();
        let text = String::from_utf8(log.stdout).unwrap();
        let newest: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let signers = newest["signers"].as_array().unwrap().iter();
        signers.map(|signer| signer["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_follower_whose_disk_is_full_serves_and_does_not_sign_until_there_is_room() {
    ignore_the_limits_signal();
    let (mut cluster, led) = Cluster::led(4).await;
    let full = cluster.names().into_iter().find(|name| *name != led.leader).unwrap();
    let drained = nitro_elect(
        cluster.operator.directory.path(),
        &["drain", "--admin", &cluster.admin(&full).to_string()],
    );
    assert!({ drained }.output().unwrap().status.success(), "so that it is never the one that must lead");
    fill_the_disk(cluster.operator.node(&full), true);
    let signers = cluster.hand_over().await;
    assert!(signers.len() == 3 && !signers.contains(&full), "{signers:?}");
    let overview = cluster.overview(&full).await.unwrap();
    assert!(overview.leader.leader.is_some(), "it follows, and says who leads");
    assert!(overview.counters["records_failed"] > 0, "{:?}", overview.counters);
    let generation = overview.generation;
    fill_the_disk(cluster.operator.node(&full), false);
    until("its vote", async || cluster.hand_over().await.contains(&full).then_some(())).await;
    assert_eq!(cluster.overview(&full).await.unwrap().generation, generation, "the same life");
}

#[tokio::test]
async fn a_leader_whose_disk_is_full_keeps_its_lease() {
    ignore_the_limits_signal();
    let (mut cluster, led) = Cluster::led(4).await;
    fill_the_disk(cluster.operator.node(&led.leader), true);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        let answer = until("its answer", async || cluster.leader_by(&led.leader).await).await;
        assert!(answer.this_node && answer.term.0 == led.term, "{answer:?}");
    }
    assert_eq!(cluster.agreement(led.term).await, led);
}

/// Makes a directory one that cannot be written, for this process's children: by its mode, or for root, which heeds no
/// modes, by a mount of their own.
fn read_only(command: &mut Command, directory: &Path) -> Command {
    // SAFETY: the call only reads.
    if unsafe { libc::geteuid() } != 0 {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o500)).unwrap();
        let mut same = Command::new(command.get_program());
        same.args(command.get_args());
        return same;
    }
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";
    let mut within = Command::new("unshare");
    within
        .args(["--mount", "sh", "-c", mount])
        .arg(directory)
        .arg(command.get_program())
        .args(command.get_args());
    within
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_written_is_refused_with_its_name() {
    let cluster = Cluster::new(4).await;
    let (home, manifest) = (cluster.operator.directory.path(), cluster.manifest());
    let state = cluster.operator.path("cluster/node-1");
    let mut node = nitro_elect(home, &["node", "--manifest", &manifest, "--state", &state]);
    let mut command = read_only(&mut node, Path::new(&state));
    let output =
        command.env("HOME", home).env("XDG_STATE_HOME", home).env("NITRO_ELECT_LOG_FORMAT", "human").output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let denied = text.contains("Read-only file system") || text.contains("Permission denied");
    assert!(text.contains("error: ") && text.contains(&state) && denied, "{text}");
    assert!(text.contains("help: check"), "{text}");
}

#[tokio::test]
async fn an_admin_port_that_is_taken_is_named_with_a_way_on() {
    let cluster = Cluster::new(4).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = taken.local_addr().unwrap().to_string();
    let (manifest, state) = (cluster.manifest(), cluster.operator.path("cluster/node-1"));
    let node = ["node", "--manifest", &manifest, "--state", &state, "--admin", &admin];
    let text = refusal(cluster.operator.directory.path(), 1, &node);
    assert!(text.contains(&admin) && text.contains("is in use") && text.contains("--admin"), "{text}");
}

#[tokio::test]
async fn a_leader_without_a_successor_ends_within_two_leases_and_at_once_when_told_twice() {
    let mut cluster = Cluster::made(4, &["--lease", "10s"]).await;
    let led = cluster.start_all().await;
    let others = cluster.names().into_iter().filter(|name| *name != led.leader);
    for name in others.collect::<Vec<_>>() {
        cluster.operator.kill(&name);
    }
    let overview = cluster.overview(&led.leader).await.unwrap();
    assert!(overview.leader.this_node, "its lease still runs");
    let asked = Instant::now();
    signal(cluster.operator.pid(&led.leader), libc::SIGTERM);
    until("its farewell", async || cluster.operator.log(&led.leader).contains("stopping").then_some(()))
        .await;
    let status = cluster.operator.terminate(&led.leader).await;
    assert_eq!(status.code(), Some(143), "{status}");
    // Told once it would wait two steps, 2 s, for somebody to take over.
    assert!(asked.elapsed() < Duration::from_millis(1500), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_node_that_is_told_to_end_ends_with_0_within_two_leases_whoever_is_left() {
    let (mut cluster, led) = Cluster::led(4).await;
    let mut names = cluster.names();
    names.retain(|name| *name != led.leader);
    names.insert(1, led.leader);
    for name in names {
        let asked = Instant::now();
        let status = cluster.operator.terminate(&name).await;
        let took = asked.elapsed();
        assert!(status.success() && took < Duration::from_secs(2), "{name}: {status} after {took:?}");
    }
}
