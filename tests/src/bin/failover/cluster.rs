//! Four nodes as processes, watched by their own events.

use anyhow::{Context, Result, bail, ensure};
use nitro_elect::demo::ports::Ports;
use nitro_elect::http::answers::{Leader, Overview};
use nitro_elect::http::client::Client;
use nitro_elect::http::follower::{Event, Follower};
use nitro_elect::supervisor::children_of;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

const NODES: u16 = 4;
const ANSWER: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// Rounds begin at different times within a renewal, a third of the default lease.
const RENEWAL: Duration = Duration::from_millis(333);

/// Which process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// The node.
    Node,
    /// The node and, first, what would have sent its will.
    WithItsSupervisor,
}

/// Something that a node told, and when it was heard here.
struct Told {
    node: usize,
    at: Instant,
    event: Event,
}

/// The processes. Dropping it kills them.
pub struct Cluster {
    program: PathBuf,
    directory: TempDir,
    enclave: String,
    first_admin: u16,
    processes: Vec<Child>,
    nodes: Vec<Child>,
    told: mpsc::UnboundedReceiver<Told>,
    tell: mpsc::UnboundedSender<Told>,
    round: u32,
    verbose: bool,
    _ports: Ports,
}

impl Cluster {
    /// Makes the files and starts everything; there is a leader when it returns.
    pub async fn start(program: PathBuf, verbose: bool) -> Result<Self> {
        let mut ports = Ports::find()?;
        let enclave = format!("tcp://127.0.0.1:{}", ports.some(1)?);
        let (first_port, first_admin) = (ports.some(NODES)?, ports.some(NODES)?);
        let (tell, told) = mpsc::unbounded_channel();
        let mut cluster = Cluster {
            program,
            directory: tempfile::tempdir()?,
            enclave,
            first_admin,
            processes: Vec::new(),
            nodes: Vec::new(),
            told,
            tell,
            round: 0,
            verbose,
            _ports: ports,
        };
        cluster.make_files(first_port).await?;
        for node in 0..usize::from(NODES) {
            let child = cluster.start_node(node)?;
            cluster.nodes.push(child);
        }
        cluster.settle().await?;
        (0..usize::from(NODES)).for_each(|node| cluster.follow(node));
        Ok(cluster)
    }

    async fn make_files(&mut self, first_port: u16) -> Result<()> {
        let (trust, made) = (self.path("trust.json"), self.path("cluster"));
        let arguments = ["simulate-enclave", "--listen", &self.enclave, "--trust-out", &trust];
        let enclave = self.command("enclave", &arguments)?.spawn()?;
        self.processes.push(enclave);
        wait_for("the enclave", async || Path::new(&trust).exists().then_some(())).await?;
        let (count, port) = (NODES.to_string(), first_port.to_string());
        let init = ["init", "--local", &count, "--trust", &trust, "--base-port", &port, &made];
        ensure!(self.command("init", &init)?.status()?.success(), "init failed: {}", self.log("init"));
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Result<Command> {
        let log = File::options().create(true).append(true).open(self.path(&format!("{name}.log")))?;
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", self.directory.path());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    fn start_node(&self, node: usize) -> Result<Child> {
        let name = name(node);
        let (manifest, state) = (self.path("cluster/cluster.toml"), self.path(&format!("cluster/{name}")));
        let admin = self.admin(node).to_string();
        let files = ["node", "--manifest", &manifest, "--state", &state];
        let arguments = [&files[..], &["--enclave", &self.enclave, "--admin", &admin]].concat();
        Ok(self.command(&name, &arguments)?.spawn()?)
    }

    fn admin(&self, node: usize) -> SocketAddr {
        let port = self.first_admin + u16::try_from(node).expect("there are four");
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    /// Passes on what a node tells, until it dies.
    fn follow(&self, node: usize) {
        let (admin, tell) = (self.admin(node), self.tell.clone());
        tokio::spawn(async move {
            let Ok(mut follower) = Follower::begin(admin, None, None).await else { return };
            while let Ok(Some(event)) = follower.next().await {
                let told = Told { node, at: Instant::now(), event };
                if tell.send(told).is_err() {
                    return;
                }
            }
        });
    }

    /// Waits until all nodes see each other, are ready, and agree on a leader; which one it is.
    async fn settle(&self) -> Result<usize> {
        wait_for("a cluster that is whole", async || {
            let mut leader = None;
            for node in 0..usize::from(NODES) {
                let mut client = Client::new(self.admin(node), ANSWER);
                let seen: Overview = client.get_json("/v1/status").await.ok()?;
                let all = seen
                    .members
                    .members
                    .iter()
                    .all(|member| member.active && member.connected | member.this_node);
                leader = leader.or(seen.leader.this_node.then_some(node));
                if !seen.ready || !all || seen.leader.leader.is_none() {
                    return None;
                }
            }
            leader
        })
        .await
    }

    /// Kills the leader, and says how long it took until another node told that it holds the lease.
    pub async fn fail_over(&mut self, killed: Killed) -> Result<Duration> {
        self.round += 1;
        sleep(RENEWAL * (self.round % 7) / 7).await;
        let leader = self.settle().await?;
        while self.told.try_recv().is_ok() {}
        let node = self.node_below(leader)?;
        let began = Instant::now();
        match killed {
            Killed::Node => kill(Pid::from_raw(node), Signal::SIGKILL)?,
            Killed::WithItsSupervisor => self.nodes[leader].kill()?,
        }
        let took = self.next_lease(leader, began).await?;
        self.nodes[leader].wait()?;
        self.check_agreement(leader).await?;
        wait_for("the end of the node", async || {
            (!Path::new(&format!("/proc/{node}")).exists()).then_some(())
        })
        .await?;
        self.nodes[leader] = self.start_node(leader)?;
        self.settle().await?;
        self.follow(leader);
        Ok(took)
    }

    async fn next_lease(&mut self, old: usize, began: Instant) -> Result<Duration> {
        loop {
            let told = timeout(PATIENCE, self.told.recv()).await.context("nobody leads")?;
            let Told { node, at, event } = told.context("nobody is followed")?;
            if self.verbose {
                let text: Value = serde_json::from_str(&event.data)?;
                let text = text["text"].as_str().unwrap_or_default().to_owned();
                println!("    {:>7.1} ms  {}: {text}", crate::millis(at - began), name(node));
            }
            if node != old && event.event == "lease_gained" {
                return Ok(at - began);
            }
        }
    }

    /// What was measured must be what clients see.
    async fn check_agreement(&self, old: usize) -> Result<()> {
        let others = (0..usize::from(NODES)).filter(|node| *node != old);
        for node in others {
            let answer: Leader = Client::new(self.admin(node), ANSWER).get_json("/v1/leader").await?;
            ensure!(
                answer.leader.is_none_or(|leader| leader.name != name(old)),
                "{} still follows",
                name(node)
            );
        }
        Ok(())
    }

    /// The node's own process, below its supervisor.
    fn node_below(&self, node: usize) -> Result<i32> {
        let below = children_of(self.nodes[node].id())?;
        let first = below.first().with_context(|| format!("{} has no node below it", name(node)))?;
        Ok(i32::try_from(*first)?)
    }

    /// Ends all processes; whoever ended on its own is an error.
    pub fn end(mut self) -> Result<()> {
        for node in 0..self.nodes.len() {
            if let Some(status) = self.nodes[node].try_wait()? {
                bail!("{} ended: {status}\n{}", name(node), self.log(&name(node)));
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().chain(&mut self.processes) {
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

fn name(node: usize) -> String {
    format!("node-{}", node + 1)
}

async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let last = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        ensure!(Instant::now() < last, "{what} did not come to be in time");
        sleep(LOOK).await;
    }
}
