//! One term after the other: the next leader waits until the resource has ended what the one before had.

use nitro_elect::gate::{WordError, leave_word};
use nitro_elect_protocol::ids::Term;
use std::fs;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::presenter::{LATE, Scene, line, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_term_closes_the_lower_one_and_waits_for_its_end() {
    let scene = Scene::set().await;
    let (old, new) = (scene.leader(0, 7), scene.leader(1, 8));
    let mut proving = old.keep_proving();
    proving.opened().await;
    let mut stream = old.data().await.unwrap();
    line(&mut stream, "old").await.unwrap();
    scene.resource.hold(true);
    let mut next = new.keep_proving();
    next.refused("1 connections of term 7").await;
    assert!(line(&mut stream, "late").await.is_err());
    assert!(old.data().await.unwrap_err().contains("term 7 is over"), "though its proof still holds");
    assert!(new.data().await.is_err(), "and the new one is not in yet");
    assert_eq!(scene.resource.text(), "old\n");
    scene.resource.hold(false);
    next.opened().await;
    line(&mut new.data().await.unwrap(), "new").await.unwrap();
    assert_eq!(scene.resource.text(), "old\nnew\n");
    assert_eq!(scene.resource.resets(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_drain_the_gate_waits_for_an_operators_word() {
    let scene = Scene::with(|config| config.drain = Duration::from_millis(100)).await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    line(&mut stream, "old").await.unwrap();
    scene.resource.hold(true);
    let mut next = scene.leader(1, 8).keep_proving();
    until("the end of patience", || scene.why().contains("gate --drained 7")).await;
    let state = scene.home.path().join("gate");
    for wrong in [6, 8, 999] {
        let refused = leave_word(&state, Term(wrong)).unwrap_err();
        assert!(matches!(refused, WordError::OtherTerm { term: Term(7), .. }), "{refused}");
    }
    // As by an operator whose word was overtaken by the next term.
    fs::write(state.join("drained"), "6\n").unwrap();
    until("the wrong word to go", || !state.join("drained").exists()).await;
    next.refused("have not ended in time").await;
    leave_word(&state, Term(7)).unwrap();
    next.opened().await;
    assert_eq!(scene.gate.situation().term, Term(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_drain_the_fence_command_is_run_until_it_succeeds() {
    let home = tempfile::tempdir().unwrap();
    let (ran, may) = (home.path().join("ran"), home.path().join("may"));
    let command = format!("echo $NITRO_ELECT_TERM >> {}; test -e {}", ran.display(), may.display());
    let scene = Scene::with(|config| {
        (config.drain, config.fence_command) = (Duration::from_millis(100), Some(command));
    })
    .await;
    line(&mut scene.leader(0, 7).data().await.unwrap(), "old").await.unwrap();
    scene.resource.hold(true);
    let stream = scene.leader(0, 7).data().await.unwrap();
    let mut next = scene.leader(1, 8).keep_proving();
    until("a failure", || scene.why().contains("the fence command for term 7 failed")).await;
    fs::write(&may, "").unwrap();
    next.opened().await;
    let runs = fs::read_to_string(&ran).unwrap();
    assert!(runs.lines().count() >= 2 && runs.lines().all(|line| line == "7"), "{runs}");
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_was_killed_begins_in_doubt_of_its_term() {
    let scene = Scene::set().await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    line(&mut stream, "old").await.unwrap();
    let record = scene.home.path().join("gate/fence");
    assert!(fs::read_to_string(&record).unwrap().contains("term 7\n"));
    assert!(fs::read_to_string(&record).unwrap().contains("open yes\n"));
    let scene = scene.replaced(|_| {}).await;
    assert!(line(&mut stream, "late").await.is_err(), "with the gate down nothing gets through");
    assert!(scene.why().contains("the gate was ended with connections of term 7 open"), "{}", scene.why());
    let mut next = scene.leader(1, 8).keep_proving();
    next.refused("gate --drained 7").await;
    leave_word(&scene.home.path().join("gate"), Term(7)).unwrap();
    next.opened().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_leader_goes_on_in_its_term_after_the_gate_was_killed() {
    let scene = Scene::set().await;
    line(&mut scene.leader(0, 7).data().await.unwrap(), "one").await.unwrap();
    let scene = scene.replaced(|_| {}).await;
    line(&mut scene.leader(0, 7).data().await.unwrap(), "two").await.unwrap();
    assert_eq!(scene.resource.text(), "one\ntwo\n");
    let why = scene.leader(1, 8).data().await.unwrap_err();
    assert!(why.contains("term 7"), "the doubt is still there: {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_fence_command_runs_before_anybody_is_let_in() {
    let scene = Scene::set().await;
    line(&mut scene.leader(0, 7).data().await.unwrap(), "one").await.unwrap();
    let gate = scene.home.path().join("may");
    let command = format!("test -e {}", gate.display());
    let scene = scene.replaced(|config| config.fence_command = Some(command)).await;
    let why = scene.leader(0, 7).data().await.unwrap_err();
    assert!(why.contains("fence command"), "not even the same leader: {why}");
    fs::write(&gate, "").unwrap();
    let mut proving = scene.leader(0, 7).keep_proving();
    proving.opened().await;
    assert_eq!(scene.resource.text(), "one\n");
}

/// Waits until so much has come, and closes with it unread.
fn close_unread(stream: impl AsRawFd) {
    let (mut waiting, last) = (0, Instant::now() + LATE);
    while waiting == 0 {
        assert!(Instant::now() < last, "nothing comes");
        // SAFETY: FIONREAD writes one number, to where it is told to.
        assert_eq!(unsafe { libc::ioctl(stream.as_raw_fd(), libc::FIONREAD, &mut waiting) }, 0);
        thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_the_resources_end_over_a_unix_socket_and_a_doubt_over_tcp() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("socket");
    let (local, tcp) = (UnixListener::bind(&path).unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let over_tcp = format!("tcp://{}", tcp.local_addr().unwrap());
    thread::spawn(move || close_unread(local.accept().unwrap().0));
    thread::spawn(move || close_unread(tcp.accept().unwrap().0));
    for (upstream, is_end) in [(format!("unix://{}", path.display()), true), (over_tcp, false)] {
        let scene = Scene::with(|config| config.upstream = upstream.parse().unwrap()).await;
        let mut stream = scene.leader(0, 7).data().await.unwrap();
        assert!(line(&mut stream, "never read").await.is_err());
        until("the end of the connection", || scene.gate.situation().connections == 0).await;
        let mut next = scene.leader(1, 8).keep_proving();
        match is_end {
            true => next.opened().await,
            false => next.refused("broke before the resource ended them").await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_gate_with_connections_that_do_not_end_leaves_its_mark() {
    let scene = Scene::with(|config| config.drain = Duration::from_millis(200)).await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    line(&mut stream, "old").await.unwrap();
    scene.resource.hold(true);
    let record = scene.home.path().join("gate/fence");
    assert!(!scene.gate.shutdown().await);
    assert!(fs::read_to_string(record).unwrap().contains("open yes\n"));
}
