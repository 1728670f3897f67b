//! The audit trail of a running cluster, and those who look at it from outside: observers, and watchers that trust nobody.

use crate::operator::{Cluster, nitro_elect, run, until};
use nitro_elect::core::known::Basis;
use nitro_elect::http::answers::Overview;
use nitro_elect::http::client::Client;
use nitro_elect::proof_file::ProofFile;
use nitro_elect_protocol::codec;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The public key of RFC 8032's first test.
const OTHER_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// A cluster whose manifest admits observers, with its leader.
async fn observed() -> (Cluster, crate::operator::Led) {
    let mut cluster = Cluster::made(4, &["--observers", "4"]).await;
    let led = cluster.start_all().await;
    (cluster, led)
}

impl Cluster {
    /// Runs `log` with these arguments, and wants it done.
    fn log(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = run(self.operator.directory.path(), &[&["log"], arguments].concat());
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// Starts an observer with a new key, and gives its admin address.
    pub fn start_observer(&mut self) -> SocketAddr {
        let (state, manifest) = (self.operator.path("observer"), self.manifest());
        let home = self.operator.directory.path();
        assert!(run(home, &["keygen", "--state", &state]).status.success());
        let admin = format!("127.0.0.1:{}", self.operator.ports.some(1).unwrap());
        let node = ["node", "--manifest", &manifest, "--state", &state, "--observe", "--admin", &admin];
        self.operator.start("observer", &node);
        admin.parse().unwrap()
    }
}

/// A watcher that trusts nobody, and the events it tells.
struct Watcher {
    child: Child,
    events: Receiver<Value>,
}

impl Watcher {
    fn start(cluster: &Cluster, admin: SocketAddr) -> Self {
        let (manifest, admin) = (cluster.manifest(), admin.to_string());
        let watch = ["watch", "--manifest", &manifest, "--allow-simulated", "--json", "--admin", &admin];
        let mut command = nitro_elect(cluster.operator.directory.path(), &watch);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (to, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _gone = to.send(serde_json::from_str(&line).unwrap());
            }
        });
        Watcher { child, events }
    }

    /// The next event of a kind; the others are passed over.
    async fn next(&mut self, kind: &str) -> Value {
        until(&format!("a watcher that tells {kind}"), async || {
            let mut told = self.events.try_iter();
            told.find(|event| event["event"] == kind)
        })
        .await
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

#[tokio::test]
async fn the_log_of_a_cluster_is_read_beside_it_exported_and_verified_elsewhere() {
    let (mut cluster, first) = Cluster::led(4).await;
    let admin = cluster.admin(&first.leader).to_string();
    let resigned = run(cluster.operator.directory.path(), &["resign", "--admin", &admin]);
    assert!(resigned.status.success(), "{}", String::from_utf8_lossy(&resigned.stderr));
    let second = cluster.agreement(first.term + 1).await;
    cluster.operator.kill(&second.leader);
    let third = cluster.agreement(second.term + 1).await;
    let (state, admin) =
        (cluster.operator.path(&format!("cluster/{}", third.leader)), cluster.admin(&third.leader));
    let (manifest, admin) = (cluster.manifest(), admin.to_string());
    for source in [["--state", &state], ["--admin", &admin]] {
        let (code, text) = cluster.log(&[&source[..], &["--manifest", &manifest]].concat());
        assert_eq!(code, Some(0), "{text}");
        for led in [&first, &second, &third] {
            let line = text.lines().find(|line| line.contains(&format!("term {:<5}", led.term)));
            assert!(
                line.is_some_and(|line| line.contains(&led.leader) && line.contains("SIMULATED")),
                "{text}"
            );
        }
    }
    let another =
        cluster.names().into_iter().find(|name| ![&second.leader, &third.leader].contains(&name)).unwrap();
    let files: Vec<String> =
        [&third.leader, &another].map(|name| cluster.operator.path(&format!("{name}.jsonl"))).into();
    let admins = [&third.leader, &another].map(|name| cluster.admin(name).to_string());
    for (file, admin) in files.iter().zip(&admins) {
        let (code, text) = cluster.log(&["export", "--admin", admin, "--out", file]);
        assert_eq!(code, Some(0), "{text}");
    }
    let verify = ["verify", &files[0], &files[1], "--manifest", &manifest];
    let (code, text) = cluster.log(&[&verify[..], &["--allow-simulated"]].concat());
    assert!(code == Some(0) && text.contains("no gap, SIMULATED"), "{text}");
    assert_eq!(cluster.log(&verify).0, Some(3));
}

#[tokio::test]
async fn an_observer_follows_a_leader_and_the_next_and_no_quorum_has_it() {
    let (mut cluster, first) = observed().await;
    let observer = cluster.start_observer();
    let seen = async |least: u64| {
        until("an observer that knows the leader", async || {
            let overview: Overview =
                Client::new(observer, Duration::from_secs(2)).get_json("/v1/status").await.ok()?;
            (overview.leader.term.0 >= least && overview.leader.leader.is_some()).then_some(overview)
        })
        .await
    };
    let overview = seen(first.term).await;
    assert_eq!(overview.leader.leader.unwrap().name, first.leader);
    assert!(overview.ready && !overview.voter && !overview.leader.this_node && overview.enclaves.is_empty());
    let as_of = overview.leader.as_of.unwrap();
    assert!(as_of.basis == Basis::Heard && as_of.ms_ago < 1000, "news, counted from its receipt: {as_of:?}");
    assert!(overview.leader.lease_ms <= 1000, "{}", overview.leader.lease_ms);
    cluster.operator.kill(&first.leader);
    let second = cluster.agreement(first.term + 1).await;
    let overview = seen(second.term).await;
    assert_eq!((overview.leader.leader.unwrap().name, overview.cluster.n), (second.leader.clone(), 4));
    let (_, text) = cluster.log(&["--admin", &observer.to_string(), "--json"]);
    let newest: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(newest["reason"], "by priority", "as /v1/elections has it: {newest}");
    let signers: Vec<&str> =
        newest["signers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(signers.len() == 3 && signers.iter().all(|name| name.starts_with("node-")), "{newest}");
    // Two voters and an observer are no quorum of four.
    let voters: Vec<String> =
        cluster.names().into_iter().filter(|name| *name != first.leader && *name != second.leader).collect();
    cluster.operator.kill(&second.leader);
    until("the end of the lease at the observer", async || {
        let overview: Overview =
            Client::new(observer, Duration::from_secs(2)).get_json("/v1/status").await.ok()?;
        overview.leader.leader.is_none().then_some(())
    })
    .await;
    let left = until("a voter that knows no leader either", async || {
        let overview = cluster.overview(&voters[0]).await?;
        overview.leader.leader.is_none().then_some(overview)
    });
    let left = left.await;
    let active = left.members.members.iter().filter(|member| member.active);
    assert_eq!(
        (active.count(), left.cluster.quorum),
        (3, 3),
        "as many as a quorum, but one of them has no vote"
    );
}

#[tokio::test]
async fn an_observer_is_ready_once_it_has_verified_a_certificate() {
    let mut cluster = Cluster::made(4, &["--observers", "4"]).await;
    let observer = cluster.start_observer();
    let readiness = async || {
        let answer = Client::new(observer, Duration::from_secs(2)).get("/readyz").await.ok()?;
        Some((answer.code.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap()))
    };
    let (code, text) = until("an observer that answers", readiness).await;
    assert!(code == 503 && text.contains("has verified no certificate yet"), "{text}");
    cluster.start_all().await;
    until("its readiness", async || readiness().await.filter(|(code, _)| *code == 200)).await;
}

#[tokio::test]
async fn a_watcher_tells_the_leaders_it_verified_and_when_there_is_none() {
    let (mut cluster, first) = Cluster::led(4).await;
    let survivor = cluster.names().into_iter().find(|name| *name != first.leader).unwrap();
    let mut watcher = Watcher::start(&cluster, cluster.admin(&survivor));
    let leads = watcher.next("leads").await;
    assert_eq!(
        (&leads["leader"]["name"], &leads["term"]),
        (&first.leader.clone().into(), &first.term.into())
    );
    assert_eq!(leads["assurance"], "simulated");
    cluster.operator.kill(&first.leader);
    let next = watcher.next("leads").await;
    assert!(next["term"].as_u64().unwrap() > first.term, "{next}");
    let others = cluster.names().into_iter().filter(|name| ![&first.leader, &survivor].contains(&name));
    others.for_each(|name| cluster.operator.kill(&name));
    let over = watcher.next("over").await;
    assert_eq!(over["term"], next["term"]);
    cluster.operator.kill(&survivor);
    let silent = until("a watcher that says that nobody answers", async || {
        let told = watcher.events.try_iter().find(|event| event["event"] == "no_proof")?;
        told["text"].as_str().unwrap().contains("cannot be reached").then_some(told)
    });
    assert!(silent.await["text"].as_str().unwrap().contains("no proof since"));
    let unreachable = run(
        cluster.operator.directory.path(),
        &["watch", "--manifest", &cluster.manifest(), "--admin", "127.0.0.1:1"],
    );
    assert_eq!(unreachable.status.code(), Some(1));
}

#[tokio::test]
async fn a_watcher_that_wants_attested_ends_with_3_at_a_simulated_cluster() {
    let (cluster, led) = Cluster::led(4).await;
    let admin = cluster.admin(&led.leader).to_string();
    let watch = ["watch", "--manifest", &cluster.manifest(), "--admin", &admin];
    let output = run(cluster.operator.directory.path(), &watch);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(3) && text.contains("--allow-simulated accepts it"), "{text}");
    assert!(!text.contains("holds the lease"), "{text}");
}

/// A node that answers every request with the same text.
async fn liar(text: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = text.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}");
            tokio::spawn(async move {
                let _request = stream.read(&mut [0; 4096]).await;
                let _sent = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_node_that_lies_is_named_and_nothing_it_says_is_told() {
    let (cluster, led) = Cluster::led(4).await;
    let path = format!("/v1/proof?nonce={}", "ab".repeat(32));
    let old = until("a proof", async || cluster.answer(&led.leader, &path).await).await;
    let forged = {
        let mut proof = nitro_elect::proof_file::ProofFile::parse(&old).unwrap();
        proof.bundle.certificate.signature[7] ^= 1;
        proof.to_text()
    };
    let other = Cluster::led(3).await;
    let foreign = until("a proof", async || other.0.answer(&other.1.leader, &path).await).await;
    let lies = [
        (old, "an old proof"),
        (forged, "a forged certificate"),
        (foreign, "another cluster's proof"),
        ("{\"leader\": \"node-9\"}".into(), "no proof"),
    ];
    for (text, named) in lies {
        let address = liar(text).await;
        let mut watcher = Watcher::start(&cluster, address);
        let lie = watcher.next("lie").await;
        let text = lie["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("{address} LIES: ")) && text.contains(named), "{named}: {lie}");
        assert!(lie["leader"].is_null() && lie["term"].is_null() && !text.contains("node-"), "{lie}");
    }
}

/// A node between the watcher and an honest one, which passes on the answer to each nonce as `spoil` leaves it.
async fn spoiler(honest: SocketAddr, spoil: fn(ProofFile) -> ProofFile) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).await.unwrap();
            let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
            let path = asked.split(' ').nth(1).unwrap_or_default();
            let Ok(answer) = Client::new(honest, Duration::from_secs(2)).get(path).await else { continue };
            let Ok(proof) = ProofFile::parse(&String::from_utf8_lossy(&answer.body)) else { continue };
            let text = spoil(proof).to_text();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
            let _sent = stream.write_all(format!("{head}{text}").as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_fresh_answer_that_was_tampered_with_is_a_lie() {
    let (cluster, led) = Cluster::led(4).await;
    let honest = cluster.admin(&led.leader);
    let untouched = spoiler(honest, |proof| proof).await;
    assert_eq!(Watcher::start(&cluster, untouched).next("leads").await["leader"]["name"], *led.leader);
    let forged_lease = spoiler(honest, |mut proof| {
        let promise = &mut proof.lease.as_mut().unwrap().promises[0];
        let mut bytes = codec::encode(promise);
        // Its signature comes last.
        *bytes.last_mut().unwrap() ^= 1;
        *promise = codec::decode(&bytes).unwrap();
        proof
    });
    let too_few = spoiler(honest, |mut proof| {
        proof.lease.as_mut().unwrap().promises.truncate(2);
        proof
    });
    for address in [forged_lease.await, too_few.await] {
        let mut watcher = Watcher::start(&cluster, address);
        let lie = watcher.next("lie").await;
        let text = lie["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("{address} LIES: what it shows fails check ")), "{lie}");
        assert!(watcher.events.try_iter().all(|event| event["event"] != "leads"));
    }
}

/// A server that answers every request with this head, and then with this over and over, or with nothing at all.
async fn babbler(head: &'static str, body: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _request = stream.read(&mut [0; 4096]).await;
                let _sent = stream.write_all(head.as_bytes()).await;
                while !body.is_empty() && stream.write_all(body.as_bytes()).await.is_ok() {}
                // Nothing more is sent, and the connection stays until the watcher lets it go.
                while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    address
}

#[tokio::test]
async fn a_node_that_never_ends_or_never_begins_its_answer_shows_no_lease() {
    let cluster = Cluster::new(4).await;
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let endless: &str = format!("{ok}transfer-encoding: chunked\r\n\r\n").leak();
    let promised: &str = format!("{ok}content-length: 9999999999\r\n\r\n").leak();
    let chunk: &str = format!("8000\r\n{}\r\n", "x".repeat(0x8000)).leak();
    let (cut, late) = ("its answer breaks off, or is longer than", "it does not answer in time");
    // What never ends is cut at its bound, or when the time is over, whichever is first on this machine.
    for (head, body, reasons) in [
        (endless, chunk, &[cut, late][..]),
        (promised, chunk, &[cut, late]),
        ("HTTP/1.1 200 OK\r\n", "x: y\r\n", &[cut, late]),
        ("", "", &[late]),
        (ok, "", &[late]),
        ("220 mail.example.org ESMTP\r\n", "", &[cut]),
    ] {
        let mut watcher = Watcher::start(&cluster, babbler(head, body).await);
        let told = watcher.next("no_proof").await;
        let text = told["text"].as_str().unwrap();
        assert!(reasons.iter().any(|reason| text.contains(reason)), "{head:?}: {told}");
        let size = fs::read_to_string(format!("/proc/{}/status", watcher.child.id())).unwrap();
        let peak = size.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
        let peak: u64 = peak.split(' ').next().unwrap().parse().unwrap();
        assert!(peak < 64 << 10, "{head:?}: it took {peak} KiB");
        assert!(watcher.events.try_iter().all(|event| event["event"] == "no_proof"));
    }
}

#[tokio::test]
async fn who_may_not_observe_is_told_why() {
    let cluster = Cluster::new(4).await;
    let (home, manifest) = (cluster.operator.directory.path(), cluster.manifest());
    let (voter, stranger) = (cluster.operator.path("cluster/node-1"), cluster.operator.path("observer"));
    assert!(run(home, &["keygen", "--state", &stranger]).status.success());
    let observe = |state: &str| {
        let output = run(home, &["node", "--manifest", &manifest, "--state", state, "--observe"]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let text = observe(&voter);
    assert!(
        text.contains("voter \"node-1\"") && text.contains("cannot observe") && text.contains("keygen"),
        "{text}"
    );
    let text = observe(&stranger);
    assert!(text.contains("does not admit the key") && text.contains("it admits none"), "{text}");
    assert!(text.contains("help: set observers in the manifest"), "{text}");
    let text = fs::read_to_string(&manifest)
        .unwrap()
        .replace("observers = \"off\"", &format!("observers = [\"{OTHER_KEY}\"]"));
    fs::write(&manifest, text).unwrap();
    let text = observe(&stranger);
    assert!(text.contains("it lists others"), "{text}");
}
