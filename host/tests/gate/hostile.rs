//! Presenters who should not get through: with others' keys, others' proofs, old proofs, and garbage.

use nitro_elect::gate::wire::{FromGate, Purpose, ToGate, send};
use nitro_elect::transport::tls::TlsIdentity;
use nitro_elect_protocol::ids::Nonce;
use serde_bytes::ByteBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::presenter::{Presenter, Scene, line, said, until};

fn why(answer: FromGate) -> String {
    match answer {
        FromGate::Closed { why } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_no_voter_is_turned_away_before_it_says_a_word() {
    let scene = Scene::set().await;
    let mut stream = scene.leader(0, 7).dial(TlsIdentity::throw_away()).await;
    assert!(why(said(&mut stream).await).contains("is no voter of the manifest"));
    assert_eq!(scene.gate.counters().not_admitted.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_with_the_leaders_proof_is_not_the_leader() {
    let scene = Scene::set().await;
    let thief = Presenter { shown: 0, ..scene.leader(1, 7) };
    let refused = thief.data().await.unwrap_err();
    assert!(refused.contains("leads, and") && refused.contains("presents it"), "{refused}");
    scene.leader(0, 7).keep_proving().opened().await;
    let refused = thief.data().await.unwrap_err();
    assert!(refused.contains("presents it"), "while the gate is open, too: {refused}");
    assert_eq!(scene.resource.text(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_a_forged_and_an_old_proof_open_nothing() {
    let scene = Scene::set().await;
    let leader = scene.leader(0, 7);
    let mut stream = leader.hello(Purpose::Prove).await;
    let replayed = leader.answer(&mut stream, |_| leader.proof(Nonce([9; 32]))).await;
    assert!(why(replayed).contains("none of the nonces drawn here"));
    let next = scene.leader(0, 8);
    let forge = |nonce| {
        let mut proof = next.proof(nonce);
        proof.bundle.certificate.signature = leader.proof(nonce).bundle.certificate.signature;
        proof
    };
    let forged = leader.answer(&mut stream, forge).await;
    assert!(why(forged).contains("check 5 of the proof failed"));
    let mut kept = None;
    let first = leader
        .answer(&mut stream, |nonce| {
            kept = Some(nonce);
            leader.proof(nonce)
        })
        .await;
    assert!(matches!(first, FromGate::Open { .. }));
    until("the end of the proof", || scene.gate.situation().closed.is_some()).await;
    let old = leader.answer(&mut stream, |_| leader.proof(kept.unwrap())).await;
    assert!(why(old).contains("was over"));
    assert_eq!(scene.gate.counters().proofs_refused.get(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_term_stays_out_after_a_higher_one_and_after_a_restart() {
    let scene = Scene::set().await;
    scene.leader(1, 8).keep_proving().opened().await;
    assert!(scene.leader(0, 7).data().await.unwrap_err().contains("term 7 is over"));
    let scene = scene.replaced(|_| {}).await;
    assert!(scene.leader(0, 7).data().await.unwrap_err().contains("term 7 is over"));
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_come_before_their_node_leads_do_not_keep_its_proof_out() {
    let scene = Scene::set().await;
    let leader = scene.leader(0, 7);
    let mut early = Vec::new();
    loop {
        let mut stream = leader.hello(Purpose::Data).await;
        let asked = tokio::time::timeout(Duration::from_millis(300), said(&mut stream)).await;
        early.push(stream); // it is asked for a proof, and has none
        if asked.is_err() {
            break; // the places are taken
        }
    }
    let mut proving = leader.keep_proving();
    let opened = tokio::time::timeout(Duration::from_secs(5), proving.opened()).await;
    assert!(opened.is_ok(), "the places of those who do not answer are others");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_silence_harm_nobody() {
    let scene = Scene::set().await;
    let leader = scene.leader(0, 7);
    for bytes in [&b"\xff\xff\xff\xffrubbish"[..], b"\0\0\0\0", b"\0\0\0\x05hello", b"GET / HTTP/1.1\r\n\r\n"]
    {
        let mut stream = leader.dial(identity()).await;
        let _hung_up = stream.write_all(bytes).await;
        let mut rest = Vec::new();
        let _hung_up = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{rest:?}");
    }
    let mut plain = tokio::net::TcpStream::connect(scene.gate.address()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let _silent = tokio::net::TcpStream::connect(scene.gate.address()).await.unwrap();
    let mut stream = leader.hello(Purpose::Data).await;
    assert!(matches!(said(&mut stream).await, FromGate::Nonce(_)));
    send(&mut stream, &ToGate::Proof(ByteBuf::from(b"{}".to_vec()))).await.unwrap();
    assert!(why(said(&mut stream).await).contains("is no proof"));
    let mut stream = leader.hello(Purpose::Data).await;
    assert!(matches!(said(&mut stream).await, FromGate::Nonce(_)));
    send(&mut stream, &ToGate::NoProof).await.unwrap();
    assert!(why(said(&mut stream).await).contains("no proof was shown"));
    line(&mut leader.data().await.unwrap(), "through").await.unwrap();
    assert_eq!(scene.resource.text(), "through\n");
}

fn identity() -> TlsIdentity {
    TlsIdentity::of(&crate::world::shared().voters[0])
}
