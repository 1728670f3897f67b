//! The voters of a running cluster are changed as operators do it: words signed beside running nodes, files handed
//! around, nodes restarted one after the other. Somebody asks every node all the while whether it leads.

use crate::operator::{Cluster, refusal, run, until};
use nitro_elect::http::answers::{Leader, Overview};
use nitro_elect::http::client::Client;
use nitro_elect::manifest::Manifest;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const ANSWER: Duration = Duration::from_secs(2);

/// A node that said it leads, and when it was asked and had answered.
#[derive(Clone, Debug)]
struct Claim {
    name: String,
    term: u64,
    asked: Instant,
    answered: Instant,
}

/// Asks every node again and again.
struct Watcher {
    claims: Arc<Mutex<Vec<Claim>>>,
    asking: JoinHandle<()>,
}

impl Watcher {
    fn of(admins: BTreeMap<String, SocketAddr>) -> Self {
        let claims = Arc::new(Mutex::new(Vec::new()));
        let told = claims.clone();
        let asking = tokio::spawn(async move {
            loop {
                for (name, admin) in &admins {
                    let asked = Instant::now();
                    let answer = Client::new(*admin, ANSWER).get_json::<Leader>("/v1/leader").await.ok();
                    if let Some(leader) = answer.filter(|leader| leader.this_node) {
                        let (name, term, answered) = (name.clone(), leader.term.0, Instant::now());
                        told.lock().unwrap().push(Claim { name, term, asked, answered });
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Watcher { claims, asking }
    }

    /// One leader a term, and once a term was claimed, nobody claims a lower one.
    fn judge(self) -> usize {
        self.asking.abort();
        let claims = self.claims.lock().unwrap().clone();
        for one in &claims {
            for other in &claims {
                assert!(one.term != other.term || one.name == other.name, "{one:?} and {other:?}");
                assert!(one.term <= other.term || other.asked <= one.answered, "{one:?}, then {other:?}");
            }
        }
        claims.len()
    }
}

/// A cluster whose voters change. Names and admin addresses of all nodes there will ever be.
struct Changing {
    cluster: Cluster,
    admins: BTreeMap<String, SocketAddr>,
}

impl Changing {
    async fn of(nodes: u16, more: &[&str]) -> Self {
        let cluster = Cluster::made(nodes, more).await;
        let admins = cluster.names().into_iter().map(|name| (name.clone(), cluster.admin(&name))).collect();
        Changing { cluster, admins }
    }

    fn path(&self, name: &str) -> String {
        self.cluster.operator.path(&format!("cluster/{name}"))
    }

    fn home(&self) -> &Path {
        self.cluster.operator.directory.path()
    }

    /// A key for one more node; returns its address and its key.
    fn newcomer(&mut self, name: &str) -> (String, String) {
        let port = self.cluster.operator.ports.some(2).unwrap();
        self.admins.insert(name.into(), SocketAddr::from((Ipv4Addr::LOCALHOST, port + 1)));
        let made = self.does(&["keygen", "--state", &self.path(name)]);
        let key = made.split_whitespace().find(|word| word.len() == 64).expect("the public key").to_owned();
        (format!("127.0.0.1:{port}"), key)
    }

    /// The manifest of a file.
    fn manifest(&self, file: &str) -> Manifest {
        Manifest::load(Path::new(&self.path(file))).unwrap()
    }

    /// Writes the successor of a manifest, changed by hand.
    fn succeed(&self, old: &str, new: &str, change: impl FnOnce(&mut Manifest)) {
        let mut manifest = self.manifest(old);
        manifest.electorate.previous = Some(manifest.electorate.digest());
        manifest.electorate.epoch += 1;
        change(&mut manifest);
        manifest.electorate.sort();
        manifest.save(Path::new(&self.path(new))).unwrap();
    }

    /// Runs a command that must succeed; returns what it printed.
    fn does(&self, arguments: &[&str]) -> String {
        let output = run(self.home(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Has these voters endorse and approve a step, and leaves the approvals beside the new manifest.
    fn agree(&self, old: &str, new: &str, voters: &[&str]) {
        let (old, file) = (self.path(old), self.path(new));
        let endorsement = |voter: &&str| self.path(&format!("{voter}-{new}.endorsement"));
        for voter in voters {
            let (state, out) = (self.path(voter), endorsement(voter));
            self.does(&["manifest", "endorse", "--state", &state, &old, &file, "--out", &out]);
        }
        let endorsements: Vec<String> = voters.iter().map(endorsement).collect();
        let mut approvals = String::new();
        for voter in voters {
            let state = self.path(voter);
            let mut arguments = vec!["manifest", "approve", "--state", &state, &old, &file, "--endorsements"];
            arguments.extend(endorsements.iter().map(String::as_str));
            approvals += &self.does(&arguments);
        }
        std::fs::write(Path::new(&file).with_extension("approvals"), approvals).unwrap();
    }

    fn start(&mut self, name: &str, manifest: &str) {
        let (manifest, state, admin) = (self.path(manifest), self.path(name), self.admins[name].to_string());
        let enclave = self.cluster.enclave.clone();
        let arguments =
            ["node", "--manifest", &manifest, "--state", &state, "--enclave", &enclave, "--admin", &admin];
        self.cluster.operator.start(name, &arguments);
    }

    /// Ends a node in order, starts it with another manifest, and waits until it is ready.
    async fn restart(&mut self, name: &str, manifest: &str) {
        let status = self.cluster.operator.terminate(name).await;
        assert!(status.success(), "{name}: {status}");
        self.start(name, manifest);
        self.ready(name).await;
    }

    async fn ready(&self, name: &str) {
        let mut client = Client::new(self.admins[name], ANSWER);
        until(&format!("{name} ready"), async || {
            client.get("/readyz").await.ok().filter(|answer| answer.code == 200)
        })
        .await;
    }

    /// The leader that all these nodes agree on, in this term or a later one.
    async fn agreement(&mut self, names: &[&str], least: u64) -> (String, u64) {
        until("agreement", async || {
            self.cluster.operator.all_live();
            let mut led = Vec::new();
            let mut of_itself = 0;
            for name in names {
                let leader: Leader =
                    Client::new(self.admins[*name], ANSWER).get_json("/v1/leader").await.ok()?;
                of_itself += usize::from(leader.this_node);
                led.push((leader.leader?.name, leader.term.0));
            }
            let first = led.first()?.clone();
            (of_itself == 1 && first.1 >= least && led.iter().all(|one| *one == first)).then_some(first)
        })
        .await
    }

    async fn overview(&self, name: &str) -> Overview {
        until("an overview", async || {
            Client::new(self.admins[name], ANSWER).get_json("/v1/status").await.ok()
        })
        .await
    }

    /// The newest certificate of a node verifies under this manifest.
    async fn verifies(&self, name: &str, manifest: &str) {
        let mut client = Client::new(self.admins[name], ANSWER);
        let answer = until("a certificate", async || {
            client.get("/v1/certificate").await.ok().filter(|answer| answer.code == 200)
        })
        .await;
        let proof = self.path("proof.json");
        std::fs::write(&proof, &answer.body).unwrap();
        self.does(&["verify", "--proof", &proof, "--manifest", &self.path(manifest), "--allow-simulated"]);
    }
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

const FOUR: [&str; 4] = ["node-1", "node-2", "node-3", "node-4"];

#[tokio::test]
async fn four_voters_become_five_by_a_rolling_restart_with_one_leader_at_a_time() {
    let mut site = Changing::of(4, &[]).await;
    let (address, key) = site.newcomer("node-5");
    for name in FOUR {
        site.start(name, "cluster.toml");
    }
    let watcher = Watcher::of(site.admins.clone());
    let (_, term) = site.agreement(&FOUR, 1).await;
    site.succeed("cluster.toml", "cluster.2.toml", |manifest| {
        let mut fifth = manifest.electorate.voters[0].clone();
        fifth.key = key.parse().unwrap();
        (fifth.name, fifth.address, fifth.weight) = ("node-5".into(), address, 1);
        manifest.electorate.voters.push(fifth);
    });
    let unapproved = ["node", "--manifest", &site.path("cluster.2.toml"), "--state", &site.path("node-5")];
    says(&refusal(site.home(), 1, &unapproved), &["which this node was not shown", "--approvals"]);
    site.agree("cluster.toml", "cluster.2.toml", &FOUR[..3]);

    site.start("node-5", "cluster.2.toml");
    for name in FOUR {
        site.restart(name, "cluster.2.toml").await;
    }
    let all = ["node-1", "node-2", "node-3", "node-4", "node-5"];
    let (_, risen) = site.agreement(&all, term + 1).await;
    assert!(risen > term);
    for name in all {
        assert_eq!(site.overview(name).await.cluster.n, 5, "{name}");
        site.verifies(name, "cluster.2.toml").await;
    }
    assert!(watcher.judge() > 10);

    let back = ["node", "--manifest", &site.path("cluster.toml"), "--state", &site.path("node-1")];
    site.cluster.operator.terminate("node-1").await;
    says(&refusal(site.home(), 1, &back), &["refused for ever", "epoch 2"]);
    site.succeed("cluster.2.toml", "unapproved.toml", |manifest| manifest.electorate.lease_ms *= 2);
    let unapproved = ["node", "--manifest", &site.path("unapproved.toml"), "--state", &site.path("node-1")];
    let approvals = "none of the 4 approvals needed is there";
    says(&refusal(site.home(), 1, &unapproved), &[approvals, "manifest endorse"]);
    site.succeed("cluster.2.toml", "unsafe.toml", |manifest| {
        manifest.electorate.voters.retain(|voter| !["node-2", "node-3"].contains(&voter.name.as_str()));
        manifest.electorate.f = 0;
    });
    let unsafe_step = ["node", "--manifest", &site.path("unsafe.toml"), "--state", &site.path("node-1")];
    says(&refusal(site.home(), 1, &unsafe_step), &["one voter a change", "manifest diff"]);
    site.start("node-1", "cluster.2.toml");
    site.agreement(&all, risen).await;
}

#[tokio::test]
async fn a_lost_disk_is_replaced_in_two_steps_while_the_cluster_runs() {
    let mut site = Changing::of(4, &[]).await;
    for name in FOUR {
        site.start(name, "cluster.toml");
    }
    let watcher = Watcher::of(site.admins.clone());
    let (_, term) = site.agreement(&FOUR, 1).await;
    let left = ["node-1", "node-2", "node-4"];
    site.cluster.operator.kill("node-3");
    std::fs::remove_dir_all(site.path("node-3")).unwrap();
    let made = site.does(&["keygen", "--state", &site.path("node-3")]);
    let key = made.split_whitespace().find(|word| word.len() == 64).expect("the public key").to_owned();
    let manifest = site.path("cluster.toml");
    site.does(&["manifest", "replace", "--manifest", &manifest, "node-3", &key]);

    site.agree("cluster.toml", "cluster.2.toml", &left);
    site.start("node-3", "cluster.2.toml");
    for name in left {
        site.restart(name, "cluster.2.toml").await;
    }
    let (_, added) = site.agreement(&FOUR, term + 1).await;
    site.agree("cluster.2.toml", "cluster.3.toml", &["node-1", "node-2", "node-3", "node-4"]);
    for name in FOUR {
        site.restart(name, "cluster.3.toml").await;
    }
    site.agreement(&FOUR, added + 1).await;
    for name in FOUR {
        assert_eq!(site.overview(name).await.cluster.n, 4, "{name}");
        site.verifies(name, "cluster.3.toml").await;
    }
    assert!(watcher.judge() > 10);
}
