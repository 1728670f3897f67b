//! A cluster of real nodes in this process, with a simulated enclave: sockets, disks, admin addresses, and a hand that
//! ends a node without a word.

use anyhow::{Context, Result, anyhow};
use nitro_elect::clock;
use nitro_elect::core::config::Observers;
use nitro_elect::demo::ports::Ports;
use nitro_elect::http::guard::Access;
use nitro_elect::http::{self, Admin, Bounds};
use nitro_elect::local_cluster::{self, LocalNode, draw_nodes};
use nitro_elect::manifest::{Manifest, Plan};
use nitro_elect::node::{Listed, Node, NodeConfig, OpenNode};
use nitro_elect::simulated::{SimulatedEnclave, pki_file};
use nitro_elect::transport::endpoint::{Endpoint, HostPort};
use nitro_elect::transport::listen::{Exposure, Listener};
use nitro_elect_protocol::policy::{Policy, Rule};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::{AbortHandle, JoinSet};

/// Patience for a busy machine.
const LATE: Duration = Duration::from_secs(40);
/// How often the nodes are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// An enclave, and the nodes that were started.
pub struct Live {
    directory: TempDir,
    ports: Ports,
    enclave: SimulatedEnclave,
    endpoint: Endpoint,
    nodes: BTreeMap<String, Running>,
    serving: JoinSet<()>,
}

/// A node and its admin address.
struct Running {
    node: Node,
    admin: SocketAddr,
    serving: AbortHandle,
}

/// Who leads, as all nodes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// The leader's name.
    pub leader: String,
    /// Its term.
    pub term: u64,
}

impl Live {
    /// An enclave, and no node yet.
    pub async fn new() -> Result<Self> {
        let enclave = SimulatedEnclave::boot(pki_file::generate()?, clock::wall)?;
        let mut ports = Ports::find()?;
        let endpoint: Endpoint = format!("tcp://127.0.0.1:{}", ports.some(1)?).parse()?;
        let listener = Listener::bind(&endpoint, Exposure::LoopbackOnly).await?;
        let mut serving = JoinSet::new();
        let served = enclave.clone();
        serving.spawn(async move { match served.serve(listener).await {} });
        let (directory, nodes) = (tempfile::tempdir()?, BTreeMap::new());
        Ok(Live { directory, ports, enclave, endpoint, nodes, serving })
    }

    /// An enclave and so many voters of a manifest, with a leader.
    pub async fn led(count: u16) -> Result<(Self, Led)> {
        let mut live = Live::new().await?;
        let nodes = draw_nodes(count.into(), live.ports.some(count)?)?;
        let plan = Plan {
            name: "demo".into(),
            f: None,
            policy: Policy::of(Rule::Priority),
            lease: Duration::from_secs(1),
            trust: live.enclave.trust().clone(),
            observers: Observers::Off,
            voters: nodes.iter().map(LocalNode::voter).collect(),
        };
        let manifest = Manifest::new(plan)?;
        local_cluster::write(&live.path("cluster"), &manifest, &nodes)?;
        for node in &nodes {
            let state = live.path("cluster").join(&node.name);
            let config =
                NodeConfig::listed(&manifest, &state, vec![live.endpoint.clone()], Listed::default())?;
            live.start(config, Access::default()).await?;
        }
        let led = live.agreement(1).await?;
        Ok((live, led))
    }

    /// Starts nodes of an open cluster, each under a name, each knowing the first.
    pub async fn open(&mut self, names: &[&str]) -> Result<()> {
        let first = self.ports.some(u16::try_from(names.len())?)?;
        for (port, name) in (first..).zip(names) {
            let peers = if port == first { vec![] } else { vec![loopback(first).into()] };
            self.open_node(name, loopback(port), peers, Access::default()).await?;
        }
        Ok(())
    }

    /// Starts a node that leads an open cluster of its own, for those who may ask.
    pub async fn alone(&mut self, name: &str, access: Access) -> Result<()> {
        let at = loopback(self.ports.some(1)?);
        self.open_node(name, at, vec![], access).await
    }

    async fn open_node(
        &mut self,
        name: &str,
        address: SocketAddr,
        peers: Vec<HostPort>,
        access: Access,
    ) -> Result<()> {
        let (trust, alone) = (self.enclave.trust().clone(), peers.is_empty());
        let node = OpenNode { address, peers, name: Some(name.into()), trust, alone };
        let state = self.path(&address.port().to_string());
        self.start(NodeConfig::open(&state, vec![self.endpoint.clone()], node)?, access).await
    }

    async fn start(&mut self, config: NodeConfig, access: Access) -> Result<()> {
        let name = config.name.clone();
        let node = Node::start(config).await?;
        let listener = http::bind(&Admin::Beside { port: 0 }).await?;
        let (admin, handle) = (listener.local_addr()?, node.handle().clone());
        let serving = self.serving.spawn(http::serve(listener, access, handle, Bounds::default()));
        self.nodes.insert(name, Running { node, admin, serving });
        Ok(())
    }

    /// Ends a node as SIGKILL does: nothing is given up or told, its sockets close.
    pub fn kill(&mut self, name: &str) {
        if let Some(node) = self.nodes.remove(name) {
            node.serving.abort();
        }
    }

    /// The names of the nodes that run.
    pub fn names(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    /// The address of a node's page.
    pub fn page(&self, name: &str) -> Result<String> {
        let node = self.nodes.get(name).with_context(|| format!("{name} does not run"))?;
        Ok(format!("http://{}/", node.admin))
    }

    /// Whom all running nodes follow, in this term or later.
    pub async fn agreement(&self, least: u64) -> Result<Led> {
        let last = Instant::now() + LATE;
        while Instant::now() < last {
            if let Some(led) = self.agreed().await.filter(|led| led.term >= least) {
                return Ok(led);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(anyhow!("no agreement on a leader of term {least} or later"))
    }

    async fn agreed(&self) -> Option<Led> {
        let mut found: Option<Led> = None;
        for running in self.nodes.values() {
            let status = running.node.status().await.ok()?;
            let everybody = status.members.iter().filter(|member| member.active).count() == self.nodes.len();
            let led = Led { leader: status.leader.filter(|_| everybody)?.name, term: status.term.0 };
            if found.replace(led.clone()).is_some_and(|before| before != led) {
                return None;
            }
        }
        found
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
