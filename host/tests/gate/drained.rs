//! One term after the other: the next leader waits until the resource has ended what the one before had.

use nitro_elect::gate::leave_word;
use nitro_elect_protocol::ids::Term;
use std::fs;
use std::time::Duration;

use crate::presenter::{Scene, line, until};

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
    leave_word(&state, Term(6)).unwrap();
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
