//! Leaders that die, stop and come back.

use crate::operator::{Cluster, run, until};
use nitro_elect::core::diagnosis::CauseName;
use nitro_elect::http::answers::Ready;
use std::time::{Duration, Instant};

#[tokio::test]
async fn killing_the_leader_elects_another_and_the_old_one_catches_up() {
    let (mut cluster, first) = Cluster::led(4).await;
    cluster.operator.kill(&first.leader);
    let second = cluster.agreement(first.term + 1).await;
    assert_ne!(second.leader, first.leader);
    cluster.start_node(&first.leader);
    let third = cluster.agreement(second.term).await;
    assert_eq!(third, second, "the one that comes back does not take over");
    let overview = cluster.overview(&first.leader).await.unwrap();
    assert_eq!(overview.generation, 2);
    assert_eq!(overview.members.members.iter().filter(|member| member.active).count(), 4);
}

#[tokio::test]
async fn a_leader_that_is_stopped_hands_over_and_nobody_waits_for_its_lease() {
    let mut cluster = Cluster::made(4, &["--lease", "20s"]).await;
    let first = cluster.start_all().await;
    let asked = Instant::now();
    let status = cluster.operator.terminate(&first.leader).await;
    assert!(status.success(), "{status}");
    let second = cluster.agreement(first.term + 1).await;
    let took = asked.elapsed();
    assert_ne!(second.leader, first.leader);
    // A lease is renewed every third of it, so its voters would be bound for 13 s at least.
    assert!(took < Duration::from_secs(13), "{took:?}");
    assert!(cluster.operator.log(&first.leader).contains("stopped"));
}

#[tokio::test]
async fn every_nodes_certificate_verifies_from_files_alone() {
    let (cluster, led) = Cluster::led(4).await;
    let (home, file, manifest) =
        (cluster.operator.directory.path(), cluster.operator.path("proof"), cluster.manifest());
    for name in cluster.names() {
        let proof = until("a proof", async || cluster.proof(&name).await).await;
        std::fs::write(&file, proof).unwrap();
        let verify = ["verify", "--proof", &file, "--manifest", &manifest];
        assert_eq!(run(home, &verify).status.code(), Some(3), "simulated is less than attested");
        let output = run(home, &[&verify[..], &["--allow-simulated"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        assert!(text.contains("SIMULATED") && text.contains(&format!("term {}", led.term)), "{text}");
    }
}

#[tokio::test]
async fn every_node_has_the_leader_answer_a_verifiers_nonce() {
    let (cluster, led) = Cluster::led(4).await;
    let (home, file, manifest) =
        (cluster.operator.directory.path(), cluster.operator.path("lease"), cluster.manifest());
    for (name, byte) in cluster.names().into_iter().zip(["a1", "b2", "c3", "d4"]) {
        let nonce = byte.repeat(32);
        let path = format!("/v1/proof?nonce={nonce}");
        let proof = until("a lease under the nonce", async || cluster.answer(&name, &path).await).await;
        std::fs::write(&file, proof).unwrap();
        let verify = ["verify", "--proof", &file, "--manifest", &manifest, "--allow-simulated", "--nonce"];
        let mine = run(home, &[&verify[..], &[&nonce]].concat());
        let text = String::from_utf8(mine.stdout).unwrap();
        assert!(mine.status.success(), "{text}");
        assert!(
            text.contains(&format!("term {}", led.term)) && text.contains("after you drew the nonce"),
            "{text}"
        );
        let other = "e5".repeat(32);
        assert_eq!(run(home, &[&verify[..], &[&other]].concat()).status.code(), Some(1));
    }
    let evidence = cluster.answer(&led.leader, "/v1/evidence").await.unwrap();
    assert!(evidence.contains("\"evidence\": []"), "nobody is accused: {evidence}");
}

#[tokio::test]
async fn a_quorum_that_is_gone_leaves_no_leader_and_says_why() {
    let (mut cluster, led) = Cluster::led(4).await;
    let followers: Vec<String> = cluster.names().into_iter().filter(|name| *name != led.leader).collect();
    cluster.operator.kill(&followers[0]);
    cluster.operator.kill(&followers[1]);
    let why = until("the end of the lease", async || {
        let overview = cluster.overview(&led.leader).await?;
        overview.leader.leader.is_none().then_some(overview.no_leader_because).flatten()
    });
    let why = why.await;
    assert!(why.contains("2 of 4") && why.contains('3'), "{why}");
    let admin = cluster.admin(&led.leader).to_string();
    let status = run(cluster.operator.path("").as_ref(), &["status", "--admin", &admin]);
    let text = String::from_utf8(status.stdout).unwrap();
    assert_eq!(status.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("{} (silent for", followers[0])) && text.contains("-> start them"),
        "{text}"
    );
    let ready = cluster.answer(&led.leader, "/readyz").await.unwrap();
    let ready: Ready = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready.diagnosis[0].name, CauseName::VotersMissing, "{ready:?}");
    cluster.start_node(&followers[0]);
    cluster.agreement(led.term).await;
}
