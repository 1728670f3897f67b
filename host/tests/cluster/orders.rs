//! An operator's orders to running nodes: look, watch, hand over, drain, and who may not.

use crate::operator::{Cluster, nitro_elect, refusal, run, signal, until};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

impl Cluster {
    /// Runs a command against one node, as its user.
    pub fn order(&self, name: &str, arguments: &[&str]) -> (i32, String) {
        let admin = self.admin(name).to_string();
        let output = run(self.operator.directory.path(), &[arguments, &["--admin", &admin]].concat());
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().expect("it was not killed"), text)
    }

    fn follower_of(&self, leader: &str) -> String {
        self.names().into_iter().find(|name| name != leader).unwrap()
    }
}

#[tokio::test]
async fn the_leader_hands_over_to_the_named_node_and_returns_when_that_one_leads() {
    let (mut cluster, led) = Cluster::led(4).await;
    let to = cluster.follower_of(&led.leader);
    let (code, text) = cluster.order(&led.leader, &["resign", "--to", &to, "--json"]);
    assert_eq!(code, 0, "{text}");
    let done: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(done["leader"]["name"], to.as_str());
    let next = cluster.agreement(led.term + 1).await;
    assert_eq!((next.leader.as_str(), next.term), (to.as_str(), done["term"].as_u64().unwrap()));
    let (code, text) = cluster.order(&led.leader, &["resign"]);
    assert!(code == 1 && text.contains("does not lead") && text.contains(&to), "{text}");
    let (code, text) = cluster.order(&to, &["resign", "--to", "nobody"]);
    assert!(code == 1 && text.contains("no voter is called \"nobody\"") && text.contains("node-1"), "{text}");
}

#[tokio::test]
async fn a_leader_that_nobody_else_could_succeed_says_that_it_leads_again() {
    let mut cluster = Cluster::made(3, &["--lease", "3s"]).await;
    let led = cluster.start_all().await;
    let frozen = cluster.follower_of(&led.leader);
    let drained = cluster.names().into_iter().find(|name| *name != led.leader && *name != frozen).unwrap();
    assert_eq!(cluster.order(&drained, &["drain"]).0, 0);
    until("the leader knows", async || {
        let overview = cluster.overview(&led.leader).await?;
        overview.members.members.iter().any(|one| one.name == drained && !one.eligible).then_some(())
    })
    .await;
    // Nobody knows of it yet.
    signal(cluster.operator.node(&frozen), libc::SIGSTOP);
    let (code, text) = cluster.order(&led.leader, &["resign"]);
    assert!(code == 1 && text.contains("this node was elected again"), "{text}");
    let again = cluster.leader_by(&led.leader).await.expect("it leads");
    assert!(again.leader.is_some_and(|who| who.name == led.leader) && again.term.0 > led.term);
}

#[tokio::test]
async fn a_drained_leader_hands_over_and_leads_again_only_when_it_may() {
    let (mut cluster, led) = Cluster::led(4).await;
    assert_eq!(cluster.order(&led.leader, &["drain"]).0, 0);
    let second = cluster.agreement(led.term + 1).await;
    assert_ne!(second.leader, led.leader);
    until("the others know", async || {
        let overview = cluster.overview(&second.leader).await?;
        overview.members.members.iter().any(|one| one.name == led.leader && !one.eligible).then_some(())
    })
    .await;
    let (code, text) = cluster.order(&second.leader, &["resign", "--to", &led.leader]);
    assert!(code == 1 && text.contains("nothing was given up"), "{text}");
    assert_eq!(cluster.order(&led.leader, &["undrain"]).0, 0);
    until("it may lead again", async || {
        (cluster.order(&second.leader, &["resign", "--to", &led.leader]).0 == 0).then_some(())
    })
    .await;
    assert_eq!(cluster.agreement(second.term + 1).await.leader, led.leader);
}

#[tokio::test]
async fn nobody_else_gives_orders() {
    let (mut cluster, led) = Cluster::led(4).await;
    let home = cluster.operator.directory.path().to_owned();
    let admin = cluster.admin(&led.leader);
    let left = home.join(format!("nitro-elect/run/admin-{}.token", admin.port()));
    let mode = fs::metadata(&left).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let guess = home.join("guess");
    fs::write(&guess, "0123456789abcdef").unwrap();
    fs::set_permissions(&guess, fs::Permissions::from_mode(0o600)).unwrap();
    let resign = ["resign", "--admin", &admin.to_string(), "--token-file", guess.to_str().unwrap()];
    assert!(refusal(&home, 1, &resign).contains("not the admin token"));
    fs::set_permissions(&guess, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refusal(&home, 2, &resign).contains("open to others"));
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = refusal(elsewhere.path(), 1, &["drain", "--admin", &admin.to_string()]);
    assert!(stranger.contains("needs the admin token") && stranger.contains("--token-file"), "{stranger}");
    assert_eq!(cluster.agreement(led.term).await, led, "nothing came of any of it");
    cluster.operator.terminate(&led.leader).await;
    assert!(!left.exists(), "a token goes with its process");
}

#[test]
fn a_token_that_was_left_is_shown_to_its_own_address_alone_and_only_if_nobody_else_can_have_put_it_there() {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("nitro-elect/run");
    fs::create_dir_all(&run).unwrap();
    // Others can put a link to any secret into a directory that they can write to.
    for (listens, mode, is_shown) in
        [("127.0.0.1", 0o700, true), ("127.0.0.2", 0o700, false), ("127.0.0.1", 0o777, false)]
    {
        fs::set_permissions(&run, fs::Permissions::from_mode(mode)).unwrap();
        let listener = TcpListener::bind((listens, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let left = run.join(format!("admin-{}.token", at.port()));
        fs::write(&left, "0123456789abcdef").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o600)).unwrap();
        let mut asks = nitro_elect(home.path(), &["status", "--admin", &at.to_string()]);
        let mut asks = asks.stderr(Stdio::null()).spawn().unwrap();
        let head = BufReader::new(listener.accept().unwrap().0).lines().map(Result::unwrap);
        let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
        assert!(head[0].starts_with("GET /v1/status "), "{head:?}");
        assert_eq!(
            head.iter().any(|line| line.contains("0123456789abcdef")),
            is_shown,
            "{listens}: {head:?}"
        );
        asks.wait().unwrap();
    }
}

#[tokio::test]
async fn status_shows_the_cluster_and_why_each_election_happened() {
    let (cluster, led) = Cluster::led(4).await;
    for name in cluster.names() {
        let (code, text) = cluster.order(&name, &["status"]);
        assert_eq!(code, 0, "{text}");
        let term = format!("leads term {}", led.term);
        for part in
            [&led.leader, &term, "SIMULATED", "quorum 3", "enclave 1", "PCR0", "node-4", "by priority"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let (_, json) = cluster.order(&led.leader, &["status", "--json"]);
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["leader"]["name"], led.leader.as_str());
    assert!(value["supporters"].as_u64().unwrap() >= 3 && !value["elections"].as_array().unwrap().is_empty());
    assert!(
        refusal(cluster.operator.directory.path(), 1, &["status", "--admin", "127.0.0.1:1"])
            .contains("--admin")
    );
}

#[tokio::test]
async fn watch_tells_what_was_and_what_happens_next() {
    let (mut cluster, led) = Cluster::led(4).await;
    let follower = cluster.follower_of(&led.leader);
    let admin = cluster.admin(&follower).to_string();
    let mut command = nitro_elect(cluster.operator.directory.path(), &["watch", "--admin", &admin]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for line in lines.map_while(Result::ok) {
            let is_next =
                line.contains(" leads term ") && !line.contains(&format!("leads term {}:", led.term));
            seen.push(line);
            if is_next {
                break;
            }
        }
        seen
    });
    cluster.operator.kill(&led.leader);
    cluster.agreement(led.term + 1).await;
    let seen = tokio::task::spawn_blocking(|| reader.join().unwrap()).await.unwrap();
    watching.kill().unwrap();
    watching.wait().unwrap();
    assert!(
        seen.iter().any(|line| line.contains(&format!("leads term {}: the first election (", led.term))),
        "{seen:?}"
    );
    let why = format!("{} fell silent and its lease ran out (", led.leader);
    assert!(seen.last().unwrap().contains(&why), "{seen:?}");
}
