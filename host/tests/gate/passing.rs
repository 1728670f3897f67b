//! What passes the gate, and for how long.

use nitro_elect::gate::{Gate, GateError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

use crate::presenter::{Scene, config, line, until};
use crate::resource::Resource;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_reaches_the_resource_and_its_answers_come_back() {
    let scene = Scene::set().await;
    assert!(scene.why().contains("no leader has shown a proof yet"), "{}", scene.why());
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    line(&mut stream, "one").await.unwrap();
    line(&mut stream, "two").await.unwrap();
    assert_eq!(scene.resource.text(), "one\ntwo\n");
    let now = scene.gate.situation();
    assert_eq!((now.term.0, now.connections, now.marked, now.closed), (7, 1, true, None));
    stream.shutdown().await.unwrap();
    drop(stream);
    until("the end of the connection", || scene.gate.situation().connections == 0).await;
    until("the mark to go", || !scene.gate.situation().marked).await;
    assert!(scene.gate.shutdown().await, "nothing is in doubt");
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_on_their_own_connection_keep_the_others_open() {
    let scene = Scene::set().await;
    let leader = scene.leader(0, 7);
    let mut proving = leader.keep_proving();
    proving.opened().await;
    let mut stream = leader.data().await.unwrap();
    for number in 0..15 {
        line(&mut stream, &format!("line {number}")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await; // longer than a lease in all
    }
    assert_eq!(scene.gate.situation().connections, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_proof_a_connection_ends_and_nothing_more_is_forwarded() {
    let scene = Scene::set().await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    line(&mut stream, "in time").await.unwrap();
    until("the end of the proof", || scene.gate.situation().closed.is_some()).await;
    let late = line(&mut stream, "late").await;
    assert!(late.is_err(), "{late:?}");
    until("the drain", || scene.gate.situation().connections == 0).await;
    assert_eq!(scene.resource.text(), "in time\n");
    assert_eq!(scene.resource.resets(), 0, "the resource saw an end, not a reset");
    assert!(scene.why().contains("ended") && scene.why().contains("no newer one came"), "{}", scene.why());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leader_sends_without_a_pause_stops_with_its_proof() {
    let scene = Scene::set().await;
    let mut stream = scene.leader(0, 7).data().await.unwrap();
    let flood = tokio::spawn(async move { while stream.write_all(&[b'x'; 4096]).await.is_ok() {} });
    until("the end of the proof", || scene.gate.situation().closed.is_some()).await;
    until("the drain", || scene.gate.situation().connections == 0).await;
    let reached = scene.resource.text().len();
    flood.await.unwrap();
    let mut next = scene.leader(1, 8).data().await.unwrap();
    line(&mut next, "next").await.unwrap();
    let text = scene.resource.text();
    assert_eq!(&text[reached..], "next\n", "nothing of the old term comes after its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_is_away_is_said_and_leaves_nothing_in_doubt() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = Scene::with(|config| config.upstream = gone.to_string().parse().unwrap()).await;
    let why = scene.leader(0, 7).data().await.unwrap_err();
    assert!(why.contains("the resource is away") && why.contains("refused"), "{why}");
    assert_eq!(scene.gate.situation().connections, 0);
    scene.leader(1, 8).data().await.unwrap_err();
    assert_eq!(scene.gate.situation().term.0, 8, "the next leader is let in all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gate_on_the_same_state_and_a_damaged_state_are_refused() {
    let scene = Scene::set().await;
    let (state, resource) = (scene.home.path().join("gate"), Resource::start());
    let second = Gate::start(config(&state, &resource)).await.err().unwrap();
    assert!(second.to_string().contains("in use by another fence or gate"), "{second}");
    let elsewhere = scene.home.path().join("damaged");
    drop(Gate::start(config(&elsewhere, &resource)).await.unwrap());
    std::fs::write(elsewhere.join("fence"), "nitro-elect/v1/fence\nterm 3\n").unwrap();
    let damaged = loop {
        match Gate::start(config(&elsewhere, &resource)).await.err().unwrap() {
            GateError::State(nitro_elect::fence::StateError::Locked { .. }) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(damaged.to_string().contains("is damaged"), "{damaged}");
}
